//! Messages that were damaged: whatever comes, the readers answer with a value or an error.

use lanyard_pki::{
    Certificate, CertificationRequest, Name, NameAttribute, PrivateKey, Strength, ber,
    cms::{self, Cipher, Envelope, SignedMessage, Signer},
};
use proptest::{prelude::*, sample::Index};

use crate::{
    identities::{EC, INTERMEDIATE, RSA},
    tlv::Node,
};

/// One way to damage a message.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let octet = prop_oneof![any::<u8>(), Just(0x80), Just(0xff), Just(0x00), Just(0x24)];
    prop_oneof![
        4 => (any::<Index>(), octet).prop_map(|(at, octet)| Damage::Set(at, octet)),
        1 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, octets)| Damage::Insert(at, octets)),
        1 => (any::<Index>(), 1usize..40).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (any::<Index>(), 1usize..200).prop_map(|(at, count)| Damage::Repeat(at, count)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

impl Damage {
    fn apply(&self, message: &mut Vec<u8>) {
        if message.is_empty() {
            return;
        }
        let length = message.len();
        match self {
            Self::Set(at, octet) => message[at.index(length)] = *octet,
            Self::Insert(at, octets) => {
                let at = at.index(length);
                message.splice(at..at, octets.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(length);
                message.drain(at..(at + count).min(length));
            }
            Self::Repeat(at, count) => {
                let at = at.index(length);
                message.extend_from_within(at..(at + count).min(length));
            }
            Self::Truncate(at) => message.truncate(at.index(length)),
        }
    }
}

/// Everything that reads what comes from outside.
fn read(message: &[u8]) {
    let _ = ber::normalise(message);
    if let Ok(signed) = SignedMessage::parse(message) {
        let _ = signed.verify(Strength::Factory);
        let _ = signed.verify_detached(b"text", Strength::Factory);
        let _ = format!("{signed:?}");
    }
    if let Ok(envelope) = Envelope::parse(message) {
        let _ = envelope.decrypt(&RSA.certificate, &RSA.key);
        let _ = format!("{envelope:?}");
    }
    let _ = cms::parse_certificates_only(message);
    if let Ok(certificate) = Certificate::from_der(message) {
        let _ = certificate.verify_signed_by(certificate.public_key(), Strength::Factory);
        let _ = format!("{certificate:?}");
    }
    if let Ok(request) = CertificationRequest::from_der(message) {
        let _ = request.verify(Strength::Factory);
        let _ = format!("{request:?} {:?}", request.alternative_names());
    }
    let _ = Certificate::many_from_pem(message);
    let _ = PrivateKey::from_pem(message);
    let _ = PrivateKey::from_pkcs8(message);
}

fn samples() -> Vec<Vec<u8>> {
    let chain = [INTERMEDIATE.certificate().clone()];
    let name = Name::new(&[(NameAttribute::CommonName, "device")]);
    let signed = Signer::new(&RSA.key, &RSA.certificate)
        .chain(&chain)
        .sign(b"text")
        .unwrap();
    let bare = Signer::new(&EC.key, &EC.certificate)
        .without_attributes()
        .detached()
        .sign(b"text")
        .unwrap();
    let envelope = cms::encrypt(b"text", &RSA.certificate, Cipher::Aes128Cbc).unwrap();
    vec![
        Node::parse(&signed).ber(20),
        Node::parse(&envelope).ber(20),
        signed,
        bare,
        envelope,
        cms::certificates_only(&[&RSA.certificate, &EC.certificate]),
        RSA.certificate.der().to_vec(),
        RSA.certificate.to_pem().into_bytes(),
        CertificationRequest::sign(&RSA.key, &name, Some("secret")).unwrap(),
        EC.key.to_pem().unwrap().as_bytes().to_vec(),
        EC.key.to_pkcs8().unwrap().to_vec(),
    ]
}

#[test]
fn damaged_messages_never_panic() {
    let samples = samples();
    let damages = proptest::collection::vec(damage(), 1..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(any::<Index>(), damages), |(sample, damages)| {
            let mut message = sample.get(&samples).clone();
            for damage in &damages {
                damage.apply(&mut message);
            }
            read(&message);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_octets_never_panic(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&message);
    }
}
