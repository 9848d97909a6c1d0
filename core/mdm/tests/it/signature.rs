use lanyard_mdm::signature::{self, Claim, SignatureError};
use lanyard_mdm::signed;
use lanyard_pki::Certificate;
use proptest::prelude::*;

use crate::identities::DEVICE;

fn verify_signature(header: &[u8], body: &[u8]) -> Result<Certificate, SignatureError> {
    let claim = Claim::read(header)?;
    let claimed = claim.unverified_signer()?.clone();
    assert_eq!(claim.verify(body)?, claimed);
    Ok(claimed)
}

#[test]
fn a_signature_proves_its_signer_for_its_body_only() {
    let header = signature::create(b"body", &DEVICE.key, &DEVICE.certificate).unwrap();
    assert!(!header.contains(char::is_whitespace));
    let signer = verify_signature(header.as_bytes(), b"body").unwrap();
    assert_eq!(signer, DEVICE.certificate);
    assert!(verify_signature(format!(" {header} ").as_bytes(), b"body").is_ok());

    assert!(matches!(
        verify_signature(header.as_bytes(), b"bodY"),
        Err(SignatureError::Signature(_))
    ));
    assert!(matches!(
        verify_signature(b"", b"body"),
        Err(SignatureError::Signature(_))
    ));
    assert!(matches!(
        verify_signature(b"%%%", b"body"),
        Err(SignatureError::Encoding(_))
    ));
    let long = vec![b'A'; signature::MAX_LENGTH + 1];
    assert!(matches!(
        verify_signature(&long, b"body"),
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
    assert!(verify_signature(header.as_bytes(), b"body").is_err());
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(header in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = verify_signature(&header, b"body");
    }
}
