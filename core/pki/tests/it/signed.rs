use lanyard_pki::{
    Certificate, Digest, PrivateKey, SignatureError, Strength,
    cms::{Attribute, CmsError, SignedMessage, Signer},
    oid,
};

use crate::{
    identities::{EC, IMPOSTOR, INTERMEDIATE, Identity, OTHER, ROOT, RSA, at},
    tlv::Node,
};

const CONTENT: &[u8] = b"the content";

/// Where things are in the ContentInfo that [`Signer`] writes.
const VERSION: &[usize] = &[1, 0, 0];
const CONTENT_TYPE: &[usize] = &[1, 0, 2, 0];
const CERTIFICATES: &[usize] = &[1, 0, 3];
const SIGNERS: &[usize] = &[1, 0, 4];
const SIGNER: &[usize] = &[1, 0, 4, 0];
const ATTRIBUTES: &[usize] = &[1, 0, 4, 0, 3];

fn signed_by(identity: &Identity) -> Node {
    let message = Signer::new(&identity.key, &identity.certificate)
        .signing_time(at(1_700_000_000))
        .sign(CONTENT);
    Node::parse(&message.unwrap())
}

/// Signs the attributes anew, in the order in which they stand.
fn sign_again(message: &mut Node, key: &PrivateKey) {
    let mut set = message.at(ATTRIBUTES).clone();
    set.tag = 0x31;
    let signature = key.sign(Digest::Sha256, &set.der()).unwrap();
    *message.at(SIGNER).at(&[5]).contents() = signature;
}

fn verify(message: &Node) -> Result<Vec<u8>, CmsError> {
    let message = SignedMessage::parse(&message.der())?;
    let verified = message.verify(Strength::Modern)?;
    Ok(verified.content().to_vec())
}

#[test]
fn every_shape_is_read_as_it_was_written() {
    for identity in [&*RSA, &*EC] {
        for digest in Digest::ALL {
            for attributes in [true, false] {
                for attached in [true, false] {
                    round_trip(identity, digest, attributes, attached);
                }
            }
        }
    }
}

fn round_trip(identity: &Identity, digest: Digest, attributes: bool, attached: bool) {
    let chain = [
        INTERMEDIATE.certificate().clone(),
        ROOT.certificate().clone(),
    ];
    let mut signer = Signer::new(&identity.key, &identity.certificate)
        .chain(&chain)
        .digest(digest);
    if attributes {
        signer = signer.attribute(Attribute::utf8(oid::CHALLENGE_PASSWORD, "value"));
    } else {
        signer = signer.without_attributes();
    }
    if !attached {
        signer = signer.detached();
    }
    let message = SignedMessage::parse(&signer.sign(CONTENT).unwrap()).unwrap();
    let verified = if attached {
        message.verify(Strength::Sha1).unwrap()
    } else {
        assert!(matches!(
            message.verify(Strength::Sha1),
            Err(CmsError::NoContent)
        ));
        message.verify_detached(CONTENT, Strength::Sha1).unwrap()
    };
    assert_eq!(verified.content(), CONTENT);
    assert_eq!(verified.digest(), digest);
    assert_eq!(*verified.signer(), identity.certificate);
    let written: Vec<&Certificate> = [&identity.certificate].into_iter().chain(&chain).collect();
    assert!(verified.certificates().iter().eq(written), "chain order");
    let value = verified
        .attributes()
        .map(|attributes| attributes.value(oid::CHALLENGE_PASSWORD).unwrap());
    assert_eq!(value, attributes.then_some(Some(&b"value"[..])));
    if digest == Digest::Sha1 {
        let refused = match attached {
            true => message.verify(Strength::Modern),
            false => message.verify_detached(CONTENT, Strength::Modern),
        };
        assert!(matches!(
            refused,
            Err(CmsError::Signature(SignatureError::Strength))
        ));
    }
}

#[test]
fn a_detached_signature_is_over_one_content_only() {
    for signer in [
        Signer::new(&RSA.key, &RSA.certificate).detached(),
        Signer::new(&RSA.key, &RSA.certificate)
            .detached()
            .without_attributes(),
    ] {
        let message = SignedMessage::parse(&signer.sign(CONTENT).unwrap()).unwrap();
        assert!(
            message
                .verify_detached(b"the c0ntent", Strength::Modern)
                .is_err()
        );
    }
    let attached = SignedMessage::parse(&signed_by(&RSA).der()).unwrap();
    assert!(matches!(
        attached.verify_detached(CONTENT, Strength::Modern),
        Err(CmsError::ContentType(_))
    ));
}

#[test]
fn unsorted_attributes_are_accepted_signed_either_way() {
    for identity in [&*RSA, &*EC] {
        let mut message = signed_by(identity);
        message.at(ATTRIBUTES).children().reverse();
        // The signature is still the one over the sorted set.
        assert_eq!(verify(&message).unwrap(), CONTENT);
        sign_again(&mut message, &identity.key);
        assert_eq!(verify(&message).unwrap(), CONTENT);
    }
}

#[test]
fn the_attributes_that_count_are_there_once_and_right() {
    for index in 0..3 {
        let mut twice = signed_by(&RSA);
        let kind = twice.at(ATTRIBUTES).at(&[index, 0]).contents().clone();
        let attribute = twice.at(ATTRIBUTES).at(&[index]).clone();
        twice.at(ATTRIBUTES).children().push(attribute);
        sign_again(&mut twice, &RSA.key);
        let parsed = SignedMessage::parse(&twice.der()).unwrap();
        if kind == oid::SIGNING_TIME.as_bytes() {
            assert!(matches!(
                parsed
                    .unverified_attributes()
                    .unwrap()
                    .value(oid::SIGNING_TIME),
                Err(CmsError::Attribute(oid::SIGNING_TIME))
            ));
            continue;
        }
        assert!(matches!(verify(&twice), Err(CmsError::Attribute(_))));

        let mut missing = signed_by(&RSA);
        missing.at(ATTRIBUTES).children().remove(index);
        sign_again(&mut missing, &RSA.key);
        assert!(matches!(verify(&missing), Err(CmsError::Attribute(_))));

        let mut two_values = signed_by(&RSA);
        let values = two_values.at(ATTRIBUTES).at(&[index, 1]).children();
        values.push(values[0].clone());
        sign_again(&mut two_values, &RSA.key);
        assert!(matches!(verify(&two_values), Err(CmsError::Attribute(_))));
    }
}

#[test]
fn the_content_type_is_the_one_that_was_signed() {
    let mut message = signed_by(&RSA);
    for attribute in message.at(ATTRIBUTES).children() {
        if *attribute.at(&[0]).contents() == oid::CONTENT_TYPE.as_bytes() {
            *attribute.at(&[1, 0]).contents() = oid::ENVELOPED_DATA.as_bytes().to_vec();
        }
    }
    sign_again(&mut message, &RSA.key);
    assert!(matches!(
        verify(&message),
        Err(CmsError::Attribute(oid::CONTENT_TYPE))
    ));
    // And with both changed, it is signed content of that type, which CMS numbers 3.
    *message.at(CONTENT_TYPE).contents() = oid::ENVELOPED_DATA.as_bytes().to_vec();
    assert!(verify(&message).is_err());
    *message.at(VERSION).contents() = vec![3];
    assert_eq!(verify(&message).unwrap(), CONTENT);
}

#[test]
fn without_attributes_the_content_is_data() {
    let message = Signer::new(&RSA.key, &RSA.certificate)
        .without_attributes()
        .sign(CONTENT);
    let mut message = Node::parse(&message.unwrap());
    *message.at(CONTENT_TYPE).contents() = oid::SIGNED_DATA.as_bytes().to_vec();
    *message.at(VERSION).contents() = vec![3];
    assert!(matches!(
        verify(&message),
        Err(CmsError::ContentType(oid::SIGNED_DATA))
    ));
}

#[test]
fn attributes_signed_elsewhere_are_no_content() {
    let mut message = signed_by(&RSA);
    let mut attributes = message.at(SIGNER).children().remove(3);
    attributes.tag = 0x31;
    *message.at(&[1, 0, 2, 1, 0]).contents() = attributes.der();
    assert!(matches!(
        verify(&message),
        Err(CmsError::Attribute(oid::MESSAGE_DIGEST))
    ));
}

#[test]
fn there_is_exactly_one_signer() {
    let mut message = signed_by(&RSA);
    let second = message.at(SIGNER).clone();
    message.at(SIGNERS).children().push(second);
    assert!(matches!(verify(&message), Err(CmsError::Signers(2))));
    message.at(SIGNERS).children().clear();
    assert!(matches!(verify(&message), Err(CmsError::Signers(0))));
}

#[test]
fn the_signer_is_found_by_name_and_verifies_by_key() {
    // Another certificate in front changes nothing.
    let mut message = signed_by(&RSA);
    let other = Node::parse(OTHER.certificate.der());
    message.at(CERTIFICATES).children().insert(0, other.clone());
    assert_eq!(verify(&message).unwrap(), CONTENT);
    // One of the same name and serial number has another key.
    *message.at(CERTIFICATES).children() = vec![Node::parse(IMPOSTOR.certificate.der())];
    assert!(matches!(
        verify(&message),
        Err(CmsError::Signature(SignatureError::Mismatch))
    ));
    *message.at(CERTIFICATES).children() = vec![other];
    assert!(matches!(
        verify(&message),
        Err(CmsError::NoSignerCertificate)
    ));
    message.at(&[1, 0]).children().remove(3);
    assert!(matches!(
        verify(&message),
        Err(CmsError::NoSignerCertificate)
    ));
}

#[test]
fn the_signer_may_be_named_by_its_key_identifier() {
    let mut message = signed_by(&RSA);
    let id = RSA.certificate.subject_key_id().unwrap();
    *message.at(SIGNER).at(&[1]) = Node::primitive(0x80, id);
    *message.at(SIGNER).at(&[0]).contents() = vec![3];
    *message.at(VERSION).contents() = vec![3];
    assert_eq!(verify(&message).unwrap(), CONTENT);
}

#[test]
fn the_signature_algorithm_fits_key_and_digest() {
    let algorithm = |oid: lanyard_pki::ObjectIdentifier| Node::primitive(0x06, oid.as_bytes());
    for (identity, named, accepted) in [
        (&*RSA, oid::RSA_ENCRYPTION, true),
        (&*RSA, oid::SHA256_WITH_RSA, true),
        (&*RSA, oid::SHA512_WITH_RSA, false),
        (&*RSA, oid::ECDSA_WITH_SHA256, false),
        (&*RSA, oid::EC_PUBLIC_KEY, false),
        (&*EC, oid::ECDSA_WITH_SHA256, true),
        (&*EC, oid::EC_PUBLIC_KEY, true),
        (&*EC, oid::ECDSA_WITH_SHA1, false),
        (&*EC, oid::SHA256_WITH_RSA, false),
        (&*EC, oid::RSA_ENCRYPTION, false),
    ] {
        let mut message = signed_by(identity);
        *message.at(SIGNER).at(&[4]) = Node::constructed(0x30, vec![algorithm(named)]);
        assert_eq!(verify(&message).is_ok(), accepted, "{named}");
    }
}

#[test]
fn limits_hold() {
    let mut message = signed_by(&RSA);
    let certificate = message.at(CERTIFICATES).at(&[0]).clone();
    *message.at(CERTIFICATES).children() = vec![certificate.clone(); 16];
    assert!(verify(&message).is_ok());
    message.at(CERTIFICATES).children().push(certificate);
    assert!(matches!(
        verify(&message),
        Err(CmsError::TooMany("certificates"))
    ));
    let mut message = signed_by(&RSA);
    let attribute = message.at(ATTRIBUTES).at(&[0]).clone();
    *message.at(ATTRIBUTES).children() = vec![attribute; 33];
    assert!(matches!(
        verify(&message),
        Err(CmsError::TooMany("signed attributes"))
    ));
}

/// A change is noticed when the message no longer verifies, or verifies in the name of other certificates: these are the
/// caller's to check.
#[test]
fn every_octet_changed_once_is_noticed() {
    let chain = [INTERMEDIATE.certificate().clone()];
    for identity in [&*RSA, &*EC] {
        let attributes = Signer::new(&identity.key, &identity.certificate).chain(&chain);
        let bare = Signer::new(&identity.key, &identity.certificate)
            .chain(&chain)
            .without_attributes();
        for message in [attributes, bare].map(|signer| signer.sign(CONTENT).unwrap()) {
            let original = SignedMessage::parse(&message).unwrap();
            for index in 0..message.len() {
                for mask in [0x01, 0x02, 0x80] {
                    let mut changed = message.clone();
                    changed[index] ^= mask;
                    let unnoticed = SignedMessage::parse(&changed).is_ok_and(|changed| {
                        changed.verify(Strength::Modern).is_ok()
                            && changed.certificates() == original.certificates()
                    });
                    assert!(!unnoticed, "octet {index} ^ {mask:#04x}");
                }
            }
        }
    }
}

#[test]
fn contents_and_attributes_are_not_printed() {
    let message = Signer::new(&RSA.key, &RSA.certificate)
        .attribute(Attribute::printable(oid::CHALLENGE_PASSWORD, b"a secret"))
        .sign(b"another secret");
    let message = SignedMessage::parse(&message.unwrap()).unwrap();
    let verified = message.verify(Strength::Modern).unwrap();
    let printed = format!("{message:?} {verified:?}");
    for secret in ["secret", "115, 101, 99"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
