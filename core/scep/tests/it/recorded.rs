//! A Mac's PKIOperation, from `$LANYARD_SHARED` or the `shared` folder beside the checkout. It may not be copied into the
//! project, so a test that does not find it says so.

use std::path::PathBuf;

use lanyard_pki::{
    Digest, Strength,
    cms::{Cipher, Envelope, SignedMessage},
    oid,
};
use lanyard_scep::{FailInfo, RefusalReason};

use crate::{
    draft::{MESSAGE_TYPE, SENDER_NONCE, TRANSACTION_ID},
    lab::Lab,
};

fn pki_operation() -> Option<Vec<u8>> {
    let root = std::env::var_os("LANYARD_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let file = root.join("recorded/scep/macos-mdmclient-pkioperation.der");
    match std::fs::read(&file) {
        Ok(message) => Some(message),
        Err(error) => {
            assert!(
                std::env::var_os("LANYARD_SHARED").is_none(),
                "{}: {error}",
                file.display()
            );
            eprintln!("skipped: {} cannot be read ({error})", file.display());
            None
        }
    }
}

#[test]
fn a_macs_outer_message_verifies() {
    let Some(message) = pki_operation() else {
        return;
    };
    let message = SignedMessage::parse(&message).unwrap();
    let verified = message.verify(Strength::Modern).unwrap();
    assert_eq!(verified.digest(), Digest::Sha512);
    let signer = verified.signer();
    assert_eq!(signer.subject().to_string(), "CN=MDM SCEP SIGNER, C=AU");
    signer
        .verify_signed_by(signer.public_key(), Strength::Modern)
        .unwrap();
    let attributes = verified.attributes().unwrap();
    assert_eq!(attributes.string(MESSAGE_TYPE).unwrap(), Some(&b"19"[..]));
    assert_eq!(
        attributes.octets(SENDER_NONCE).unwrap(),
        Some(&[0xfa, 0xc5, 0xe2, 0xed, 0xa5, 0xd9, 0x7d, 0x64][..])
    );
    let transaction = attributes.string(TRANSACTION_ID).unwrap().unwrap();
    assert!(transaction.len() == 40 && transaction.iter().all(u8::is_ascii_hexdigit));
    let envelope = Envelope::parse(verified.content()).unwrap();
    assert_eq!(envelope.cipher(), Cipher::TripleDesCbc);
}

#[test]
fn a_macs_challenge_is_in_no_output() {
    let Some(octets) = pki_operation() else {
        return;
    };
    let message = SignedMessage::parse(&octets).unwrap();
    let verified = message.verify(Strength::Modern).unwrap();
    let attributes = verified.attributes().unwrap();
    let challenge = attributes.value(oid::CHALLENGE_PASSWORD).unwrap().unwrap();
    let text = std::str::from_utf8(challenge).unwrap();
    let listed = format!("{challenge:?}");
    let hex: String = challenge
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();

    let reason = Lab::usual().refusal(&octets);
    let repeated = attributes.repeat(oid::CHALLENGE_PASSWORD).unwrap();
    for printed in [
        format!("{message:?} {message:#?}"),
        format!("{verified:?}"),
        format!("{attributes:?} {repeated:?}"),
        format!("{reason:?} {reason}"),
    ] {
        assert!(!printed.contains(text));
        assert!(!printed.contains(listed.trim_matches(['[', ']'])));
        assert!(!printed.to_lowercase().contains(&hex));
    }
}

/// The authority that it is encrypted to is not ours: it is told so, after its signature was accepted.
#[test]
fn a_macs_message_is_for_another_authority() {
    let Some(message) = pki_operation() else {
        return;
    };
    assert!(matches!(
        Lab::usual().refusal(&message),
        RefusalReason::NotRecipient
    ));
    assert_eq!(Lab::modern().fail_info(&message), FailInfo::BadAlg);
}
