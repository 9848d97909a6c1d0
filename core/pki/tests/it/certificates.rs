use lanyard_pki::{
    Authority, Certificate, CertificateError, Digest, IssueError, Name, NameAttribute, PrivateKey,
    SignatureError, Strength, Template,
    cms::{self, Cipher, Envelope, SignedMessage, Signer},
};

use crate::{
    identities::{EC, INTERMEDIATE, ROOT, RSA, at, authority_template, template},
    tlv::Node,
};

/// A certificate of [`RSA`]'s key with something else in it, signed by that key again.
fn forged(change: impl FnOnce(&mut Node)) -> Vec<u8> {
    let own = Authority::self_signed(RSA.key.clone(), &template("own", 9)).unwrap();
    let mut certificate = Node::parse(own.certificate().der());
    change(&mut certificate);
    let signature = RSA
        .key
        .sign(Digest::Sha256, &certificate.at(&[0]).der())
        .unwrap();
    *certificate.at(&[2]).contents() = [vec![0], signature].concat();
    certificate.der()
}

/// sscep writes serial numbers of 32 octets that end in a zero; others write negative ones, and zero.
#[test]
fn signers_may_have_any_serial_number() {
    let long = [vec![0x5a; 31], vec![0]].concat();
    for serial in [&long, &vec![0x80, 1], &vec![0], &vec![0, 0, 7]] {
        let der = forged(|certificate| *certificate.at(&[0, 1]).contents() = serial.clone());
        let certificate = Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.serial(), serial);
        certificate
            .verify_signed_by(RSA.key.public_key(), Strength::Modern)
            .unwrap();

        let message = Signer::new(&RSA.key, &certificate).sign(b"text").unwrap();
        let message = SignedMessage::parse(&message).unwrap();
        assert_eq!(
            *message.verify(Strength::Modern).unwrap().signer(),
            certificate
        );
        let envelope = cms::encrypt(b"text", &certificate, Cipher::Aes128Cbc).unwrap();
        let opened = Envelope::parse(&envelope)
            .unwrap()
            .decrypt(&certificate, &RSA.key);
        assert_eq!(*opened.unwrap(), b"text");
    }
}

#[test]
fn certificates_with_odd_or_no_extensions_are_read() {
    let bare = forged(|certificate| {
        certificate.at(&[0]).children().truncate(7);
    });
    let version_one = forged(|certificate| {
        certificate.at(&[0]).children().truncate(7);
        certificate.at(&[0]).children().remove(0);
    });
    let unknown = forged(|certificate| {
        let extension = vec![
            Node::primitive(0x06, &[0x2a, 0x03, 0x04]),
            Node::primitive(0x01, &[0xff]),
            Node::primitive(0x04, b"whatever"),
        ];
        let extensions = certificate.at(&[0, 7, 0]).children();
        extensions.push(Node::constructed(0x30, extension));
    });
    let broken_usage = forged(|certificate| {
        let usage = vec![
            Node::primitive(0x06, &[0x55, 0x1d, 0x0f]),
            Node::primitive(0x04, b"rubbish"),
        ];
        *certificate.at(&[0, 7, 0]).children() = vec![Node::constructed(0x30, usage)];
    });
    for (der, usage) in [
        (bare, false),
        (version_one, false),
        (unknown, true),
        (broken_usage, false),
    ] {
        let certificate = Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.key_usage().is_some(), usage);
        assert!(!certificate.is_authority());
        certificate
            .verify_signed_by(RSA.key.public_key(), Strength::Modern)
            .unwrap();
    }
}

#[test]
fn every_octet_changed_once_is_noticed() {
    for (certificate, issuer) in [
        (&RSA.certificate, INTERMEDIATE.key()),
        (INTERMEDIATE.certificate(), ROOT.key()),
    ] {
        for index in 0..certificate.der().len() {
            for mask in [0x01, 0x02, 0x80] {
                let mut changed = certificate.der().to_vec();
                changed[index] ^= mask;
                let accepted = Certificate::from_der(&changed).is_ok_and(|changed| {
                    changed
                        .verify_signed_by(issuer.public_key(), Strength::Modern)
                        .is_ok()
                });
                assert!(!accepted, "octet {index} ^ {mask:#04x}");
            }
        }
    }
}

#[test]
fn keys_that_make_checking_an_attack_verify_nothing() {
    let with_key = |change: &dyn Fn(&mut Node)| {
        forged(|certificate| {
            let bits = certificate.at(&[0, 6, 1]).contents();
            let mut key = Node::parse(&bits[1..]);
            change(&mut key);
            *bits = [vec![0], key.der()].concat();
        })
    };
    for (key, expected) in [
        // An exponent of 4096 bits, of one, an even one; a modulus that is even, one of 16384 bits.
        (
            with_key(&|key| *key.at(&[1]).contents() = vec![0x7f; 512]),
            SignatureError::Algorithm,
        ),
        (
            with_key(&|key| *key.at(&[1]).contents() = vec![1]),
            SignatureError::Algorithm,
        ),
        (
            with_key(&|key| *key.at(&[1]).contents() = vec![2]),
            SignatureError::Algorithm,
        ),
        (
            with_key(&|key| *key.at(&[0]).contents().last_mut().unwrap() &= 0xfe),
            SignatureError::Algorithm,
        ),
        (
            with_key(&|key| *key.at(&[0]).contents() = vec![0x7f; 2048]),
            SignatureError::Strength,
        ),
    ] {
        let certificate = Certificate::from_der(&key).unwrap();
        assert_eq!(
            certificate.verify_signed_by(certificate.public_key(), Strength::Factory),
            Err(expected)
        );
    }
}

#[test]
fn what_would_come_out_otherwise_is_not_issued() {
    let two_units = Template {
        subject: Name::new(&[
            (NameAttribute::OrganizationalUnit, "a"),
            (NameAttribute::OrganizationalUnit, "b"),
        ]),
        ..template("device", 6)
    };
    let backwards = Template {
        not_after: at(1_500_000_000),
        ..template("device", 6)
    };
    let issue = |template| ROOT.danger_issue(template, RSA.key.public_key());
    assert!(matches!(
        issue(&two_units),
        Err(IssueError::SubjectName(name)) if name == "OU=a, OU=b"
    ));
    assert!(matches!(issue(&backwards), Err(IssueError::Validity)));
}

#[test]
fn subjects_and_validity_are_kept_to_the_letter() {
    let subject = Name::new(&[
        (NameAttribute::Country, "DE"),
        (NameAttribute::Organization, "Müller & Söhne, \"Lager\""),
        (NameAttribute::OrganizationalUnit, "Empfang"),
        (NameAttribute::CommonName, &"x".repeat(80)),
        (NameAttribute::SerialNumber, "C02-XYZ"),
        (NameAttribute::UserId, "com.apple.mgmt.External.1"),
    ]);
    for year in [at(1_600_000_000), at(2_600_000_000), at(10_000_000_000)] {
        let template = Template {
            subject: subject.clone(),
            not_after: year,
            not_before: at(1_000_000_000),
            ..template("", 6)
        };
        let certificate = ROOT.danger_issue(&template, RSA.key.public_key()).unwrap();
        assert_eq!(*certificate.subject(), subject);
        assert_eq!(certificate.not_after(), year);
        assert!(certificate.is_valid_at(year) && !certificate.is_valid_at(at(999_999_999)));
    }
}

#[test]
fn pem_is_read_in_order_and_other_blocks_are_passed_over() {
    let key = PrivateKey::generate_p256().unwrap();
    let pem = [
        RSA.certificate.to_pem(),
        key.to_pem().unwrap().to_string(),
        "a comment\n".to_owned(),
        EC.certificate.to_pem(),
    ]
    .concat();
    assert_eq!(
        Certificate::many_from_pem(pem.as_bytes()).unwrap(),
        [RSA.certificate.clone(), EC.certificate.clone()]
    );
    assert!(matches!(
        Certificate::many_from_pem(key.to_pem().unwrap().as_bytes()),
        Err(CertificateError::NoCertificate)
    ));
}

#[test]
fn a_bundle_of_certificates_keeps_its_order() {
    let bundle = [
        &RSA.certificate,
        INTERMEDIATE.certificate(),
        ROOT.certificate(),
        &EC.certificate,
    ];
    let message = cms::certificates_only(&bundle);
    let read = cms::parse_certificates_only(&message).unwrap();
    assert!(read.iter().eq(bundle));
    let ber = Node::parse(&message).ber(50);
    assert_eq!(cms::parse_certificates_only(&ber).unwrap(), read);
    assert!(matches!(
        SignedMessage::parse(&message),
        Err(cms::CmsError::Signers(0))
    ));
}

#[test]
fn an_authority_above_is_limited_in_depth() {
    let key = PrivateKey::generate_p256().unwrap();
    let template = authority_template("leaf authority", 8, 0);
    let certificate = ROOT.danger_issue(&template, key.public_key()).unwrap();
    assert!(certificate.is_authority());
    assert_eq!(certificate.key_usage(), Some(template.key_usage));
}
