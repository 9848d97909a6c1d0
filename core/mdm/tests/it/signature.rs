use lanyard_mdm::signature::{self, SignatureError};
use lanyard_mdm::signed;
use proptest::prelude::*;

use crate::identities::DEVICE;

#[test]
fn a_signature_proves_its_signer_for_its_body_only() {
    let header = signature::create(b"body", &DEVICE.key, &DEVICE.certificate).unwrap();
    assert!(!header.contains(char::is_whitespace));
    let signer = signature::verify(header.as_bytes(), b"body").unwrap();
    assert_eq!(signer, DEVICE.certificate);
    assert!(signature::verify(format!(" {header} ").as_bytes(), b"body").is_ok());

    assert!(matches!(
        signature::verify(header.as_bytes(), b"bodY"),
        Err(SignatureError::Signature(_))
    ));
    assert!(matches!(
        signature::verify(b"", b"body"),
        Err(SignatureError::Signature(_))
    ));
    assert!(matches!(
        signature::verify(b"%%%", b"body"),
        Err(SignatureError::Encoding(_))
    ));
    let long = vec![b'A'; signature::MAX_LENGTH + 1];
    assert!(matches!(
        signature::verify(&long, b"body"),
        Err(SignatureError::TooLong(_))
    ));
}

/// Otherwise a phase-3 message, or anything else that a device ever signed, would pass for a signature.
#[test]
fn a_signature_with_content_of_its_own_is_refused() {
    use base64::Engine;
    let identity = signed::SigningIdentity {
        key: &DEVICE.key,
        certificate: &DEVICE.certificate,
        chain: &[],
    };
    let attached = signed::sign(b"body", identity).unwrap();
    let header = base64::engine::general_purpose::STANDARD.encode(attached);
    assert!(signature::verify(header.as_bytes(), b"body").is_err());
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(header in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = signature::verify(&header, b"body");
    }
}
