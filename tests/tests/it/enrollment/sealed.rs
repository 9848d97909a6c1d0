//! The profile of one device is closed to every other, and to its own factory key.

use lanyard_device::{
    enroll::{Phase, decrypt},
    factory::Identity,
};
use lanyard_mdm::{
    document::{self, Limits},
    signed::{self, SignedDocument},
};
use plist::Value;

use super::stage::{Journey, Stage};

const ENVELOPE: &str = "EncryptedPayloadContent";

#[tokio::test]
async fn only_the_device_that_it_is_for_opens_a_profile() {
    let stage = Stage::start();
    let a = stage.at(Phase::InterimCertificate).await;
    let b = stage.at(Phase::InterimCertificate).await;
    let (for_a, for_b) = (delivered(&a).await, delivered(&b).await);

    for (document, owner, other) in [(&for_a, &a, &b), (&for_b, &b, &a)] {
        assert!(decrypt(document, owner.interim()).is_ok());
        let strangers = [
            ("another device's certificate", other.interim().clone()),
            (
                "the device's factory identity",
                owner.device.factory.clone(),
            ),
            (
                "the device's certificate with another's key",
                Identity {
                    key: other.interim().key.clone(),
                    ..owner.interim().clone()
                },
            ),
        ];
        for (who, identity) in strangers {
            assert!(decrypt(document, &identity).is_err(), "{who}");
        }
        let clear = String::from_utf8_lossy(&document.content);
        for secret in ["com.apple.mdm", "Challenge", "ServerURL"] {
            assert!(!clear.contains(secret), "{secret} is outside the envelope");
        }
    }

    // One device's envelope in the other's document, as if nothing had signed that.
    let swapped = with_envelope(&for_a, envelope(&for_b));
    assert!(decrypt(&swapped, a.interim()).is_err());
    assert!(decrypt(&swapped, b.interim()).is_ok());
}

/// The profile as it came, opened as far as everybody can.
async fn delivered(journey: &Journey) -> SignedDocument {
    let answer = journey.post_message(&journey.phase_3()).await;
    assert_eq!(answer.status, 200);
    signed::open(&answer.body).unwrap()
}

fn envelope(document: &SignedDocument) -> Vec<u8> {
    let entries = document::read(&document.content, Limits::default()).unwrap();
    entries[ENVELOPE].as_data().unwrap().to_vec()
}

fn with_envelope(document: &SignedDocument, envelope: Vec<u8>) -> SignedDocument {
    let mut entries = document::read(&document.content, Limits::default()).unwrap();
    entries.insert(ENVELOPE.to_owned(), Value::Data(envelope));
    SignedDocument {
        content: document::write(&entries).unwrap(),
        signer: document.signer.clone(),
        certificates: document.certificates.clone(),
    }
}
