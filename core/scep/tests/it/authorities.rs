use lanyard_pki::{Authority, Certificate, KeyUsage, PrivateKey, cms};
use lanyard_scep::{
    Compatibility, Endpoint, EndpointError, Identity, Mode,
    client::{Authorities, ClientError},
};

use crate::lab::{
    AUTHORITY, EC_AUTHORITY, ENCRYPTION, Lab, SHAPES, SIGNING, STRANGER, Shape, authority_template,
    both, ra,
};

#[test]
fn getcacert_has_the_order_and_type_that_clients_want() {
    for (shape, ec) in SHAPES {
        let lab = Lab::new(shape, ec, Compatibility::Modern);
        let response = lab.endpoint.authorities();
        let key = if ec { &*EC_AUTHORITY } else { &*AUTHORITY };
        if shape == Shape::AuthorityOnly {
            assert_eq!(response.content_type, "application/x-x509-ca-cert");
            let certificate = Certificate::from_der(&response.body).unwrap();
            assert_eq!(certificate, *lab.endpoint.authority());
            assert_eq!(certificate, *lab.endpoint.anchor());
            continue;
        }
        assert_eq!(response.content_type, "application/x-x509-ca-ra-cert");
        let bundle = cms::parse_certificates_only(&response.body).unwrap();
        let mut expected = vec![&*SIGNING];
        if shape == Shape::SplitRa {
            expected.push(&*ENCRYPTION);
        }
        expected.extend([key, lab.root.key()]);
        let keys = bundle.iter().map(Certificate::public_key);
        assert!(keys.eq(expected.into_iter().map(PrivateKey::public_key)));
        // The root is last, signed by itself, and what a device is given the fingerprint of.
        let root = bundle.last().unwrap();
        assert_eq!(root.subject(), root.issuer());
        assert_eq!(root, lab.endpoint.anchor());
        let read = Authorities::read(response.content_type, &response.body).unwrap();
        assert_eq!(read.all(), bundle);
        // Asked again, the answer is the same to the octet.
        assert_eq!(lab.endpoint.authorities(), response);
    }
}

#[test]
fn getcacaps_has_the_words_that_clients_look_for() {
    for (compatibility, old) in [
        (Compatibility::Modern, false),
        (Compatibility::Compatible, true),
    ] {
        let lab = Lab::new(Shape::OneRa, true, compatibility);
        let capabilities = lab.endpoint.capabilities();
        assert!(capabilities.ends_with('\n') && !capabilities.contains("\n\n"));
        assert!(!capabilities.contains(['\r', ' ', '\t']));
        let words: Vec<&str> = capabilities.lines().collect();
        for word in [
            "AES",
            "POSTPKIOperation",
            "SCEPStandard",
            "SHA-256",
            "SHA-384",
            "SHA-512",
        ] {
            assert!(words.contains(&word), "{word}");
        }
        for word in ["DES3", "SHA-1"] {
            assert_eq!(words.contains(&word), old, "{word}");
        }
        // What is not served is not offered.
        for word in ["Renewal", "GetNextCACert", "Update"] {
            assert!(!words.contains(&word), "{word}");
        }
    }
}

fn endpoint(authority: &Authority, mode: Mode) -> Result<(), EndpointError> {
    Endpoint::new(
        "device",
        authority.clone(),
        Vec::new(),
        mode,
        Compatibility::Modern,
    )
    .map(drop)
}

#[test]
fn an_endpoint_that_no_client_could_use_is_not_set_up() {
    let usage = KeyUsage::KEY_CERT_SIGN;
    let own = |key: &PrivateKey| {
        Authority::self_signed(key.clone(), &authority_template("root", 1, usage)).unwrap()
    };
    let (rsa, ec) = (own(&AUTHORITY), own(&EC_AUTHORITY));
    assert!(endpoint(&rsa, Mode::AuthorityOnly).is_ok());
    assert!(matches!(
        endpoint(&ec, Mode::AuthorityOnly),
        Err(EndpointError::NotRsa("authority"))
    ));
    let one = |key: &PrivateKey, usage| Mode::OneRa(ra(&ec, "ra", 3, key, usage));
    assert!(endpoint(&ec, one(&SIGNING, both())).is_ok());
    assert!(matches!(
        endpoint(&ec, one(&EC_AUTHORITY, both())),
        Err(EndpointError::NotRsa(_))
    ));
    for incomplete in [KeyUsage::DIGITAL_SIGNATURE, KeyUsage::KEY_ENCIPHERMENT] {
        assert!(matches!(
            endpoint(&ec, one(&SIGNING, incomplete)),
            Err(EndpointError::KeyUsage(_))
        ));
    }
    assert!(matches!(
        endpoint(&rsa, one(&SIGNING, both())),
        Err(EndpointError::NotIssuedByAuthority(_))
    ));
    let mismatched = Identity {
        key: STRANGER.clone(),
        ..ra(&ec, "ra", 3, &SIGNING, both())
    };
    assert!(matches!(
        endpoint(&ec, Mode::OneRa(mismatched)),
        Err(EndpointError::KeyMismatch(_))
    ));
    let authority = Identity {
        certificate: ec
            .danger_issue(&authority_template("sub", 4, both()), SIGNING.public_key())
            .unwrap(),
        key: SIGNING.clone(),
    };
    assert!(matches!(
        endpoint(&ec, Mode::OneRa(authority)),
        Err(EndpointError::KeyUsage(_))
    ));
    // Signing and encryption the wrong way round.
    let swapped = Mode::SplitRa {
        signing: ra(&ec, "e", 3, &ENCRYPTION, KeyUsage::KEY_ENCIPHERMENT),
        encryption: ra(&ec, "s", 4, &SIGNING, KeyUsage::DIGITAL_SIGNATURE),
    };
    assert!(matches!(
        endpoint(&ec, swapped),
        Err(EndpointError::KeyUsage("signing registration authority"))
    ));
}

#[test]
fn a_client_needs_somebody_to_encrypt_to() {
    let lab = Lab::usual();
    let authority = lab.endpoint.authority();
    let only_ec = cms::certificates_only(&[authority]);
    assert!(matches!(
        Authorities::read("application/x-x509-ca-ra-cert", &only_ec),
        Err(ClientError::NoAuthority("encrypt to"))
    ));
    assert!(matches!(
        Authorities::read("application/x-x509-ca-cert", b"<html>"),
        Err(ClientError::Certificate(_))
    ));
    assert!(matches!(
        Authorities::read("application/x-x509-ca-ra-cert", authority.der()),
        Err(ClientError::Message(_))
    ));
}
