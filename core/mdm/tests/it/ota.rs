use lanyard_mdm::Challenge;
use lanyard_mdm::document::Limits;
use lanyard_mdm::ota::{
    Attestation, DeviceAttributes, FactoryError, FactoryTrust, NotAttested, PhaseError,
    PhaseMessage, ProfileService, verify_message, write_message,
};
use lanyard_mdm::profile::Label;
use lanyard_pki::cms::{Attribute, Signer};
use lanyard_pki::{Certificate, Digest, PrivateKey, Strength};
use plist::{Dictionary, Value};
use proptest::prelude::*;
use uuid::Uuid;

use crate::identities::{
    DEVICE, FACTORY, FACTORY_DEVICE, Identity, OURS, authority, issue, subordinate,
};

fn attributes() -> DeviceAttributes {
    DeviceAttributes {
        udid: "00008030-001C2D5E0A".to_owned(),
        serial: Some("C02XXXXXXXXX".to_owned()),
        product: Some("iPhone14,5".to_owned()),
        version: Some("21F90".to_owned()),
        imei: Some("11 111111 111111 1".to_owned()),
        device_name: Some("Ann’s iPhone".to_owned()),
        challenge: Some(Challenge::new("SECRET")),
        ..DeviceAttributes::default()
    }
}

fn write(attributes: &DeviceAttributes, identity: &Identity, chain: &[Certificate]) -> Vec<u8> {
    write_message(
        attributes,
        &identity.key,
        &identity.certificate,
        chain,
        Digest::Sha256,
    )
    .unwrap()
}

fn ours(certificate: &Certificate) -> bool {
    certificate
        .verify_signed_by(OURS.certificate().public_key(), Strength::Modern)
        .is_ok()
}

fn trust() -> FactoryTrust {
    FactoryTrust::new()
        .with_root(FACTORY.certificate().clone())
        .unwrap()
}

fn read(body: &[u8]) -> Result<PhaseMessage, PhaseError> {
    verify_message(body, Limits::bytes(64 * 1024), ours)
}

#[test]
fn the_phase_one_document_reads_back() {
    let label = Label::new("org.example.enroll", Uuid::from_u128(1)).named("Enroll");
    let document = ProfileService::new(
        label,
        "https://mdm.example.org/enroll/profile",
        Challenge::new("SECRET"),
    );
    let xml = document.to_xml().unwrap();
    assert_eq!(
        ProfileService::parse(&xml, Limits::default()).unwrap(),
        document
    );
    // The bootstrap does not start with anything but a bare dictionary in here.
    let entries = lanyard_mdm::document::read(&xml, Limits::default()).unwrap();
    assert_eq!(entries.get("PayloadType"), Some(&"Profile Service".into()));
    assert!(matches!(
        entries.get("PayloadContent"),
        Some(Value::Dictionary(_))
    ));
    assert!(!format!("{document:?}").contains("SECRET"));
}

#[test]
fn the_signer_tells_the_phases_apart() {
    let phase_2 = read(&write(&attributes(), &FACTORY_DEVICE, &[])).unwrap();
    let expected = PhaseMessage::Device {
        attributes: attributes(),
        certificate: FACTORY_DEVICE.certificate.clone(),
        chain: vec![FACTORY_DEVICE.certificate.clone()],
    };
    assert_eq!(phase_2, expected);

    let phase_3 = read(&write(&attributes().without_challenge(), &DEVICE, &[])).unwrap();
    let expected = PhaseMessage::Identity {
        attributes: attributes().without_challenge(),
        certificate: DEVICE.certificate.clone(),
    };
    assert_eq!(phase_3, expected);
}

#[test]
fn an_authority_of_the_same_name_is_not_ours() {
    let impostor = authority("Test Identity CA", 3);
    let device = issue(&impostor, "device", 4);
    let message = read(&write(
        &attributes(),
        &device,
        std::slice::from_ref(impostor.certificate()),
    ))
    .unwrap();
    let PhaseMessage::Device {
        certificate, chain, ..
    } = message
    else {
        panic!("an impostor passed for our authority");
    };
    assert!(matches!(
        trust().attest(&certificate, &chain),
        Attestation::None(NotAttested::UnknownRoot { .. })
    ));
}

#[test]
fn attestation_says_why_not() {
    let attest = |trust: &FactoryTrust, leaf: &Certificate, message: &[Certificate]| {
        trust.attest(leaf, message)
    };
    let none = FactoryTrust::new();
    let chain = [FACTORY.certificate().clone()];
    let leaf = &FACTORY_DEVICE.certificate;

    let outcome = attest(&none, leaf, &[]);
    assert!(
        matches!(outcome, Attestation::None(NotAttested::NoIssuer { .. })),
        "{outcome:?}"
    );
    let outcome = attest(&none, leaf, &chain);
    assert!(
        matches!(outcome, Attestation::None(NotAttested::UnknownRoot { .. })),
        "{outcome:?}"
    );
    let outcome = attest(&none, FACTORY.certificate(), &[]);
    assert_eq!(outcome, Attestation::None(NotAttested::SelfSigned));
    // A leaf issues nothing, whatever it signs.
    let forged = issue_with_leaf();
    let outcome = attest(&trust(), &forged, std::slice::from_ref(leaf));
    assert!(
        matches!(outcome, Attestation::None(NotAttested::NoIssuer { .. })),
        "{outcome:?}"
    );
    // Through an intermediate that only the message has.
    let intermediate = subordinate(&FACTORY, "Test Device Sub CA", 7);
    let device = issue(&intermediate, "factory identity", 8);
    let outcome = attest(
        &trust(),
        &device.certificate,
        std::slice::from_ref(intermediate.certificate()),
    );
    let root_sha256 = FACTORY.certificate().fingerprint();
    assert_eq!(outcome, Attestation::Trusted { root_sha256 });
}

/// Each signature that is tried costs the server computing that anybody can ask for.
#[test]
fn of_many_issuers_of_one_name_few_are_tried() {
    let real = subordinate(&FACTORY, "Test Device Sub CA", 7);
    let device = issue(&real, "factory identity", 8).certificate;
    let made_up = subordinate(&FACTORY, "Test Device Sub CA", 9);
    let mut chain = vec![made_up.certificate().clone(); 2];
    let believed = |chain: &[Certificate]| {
        matches!(trust().attest(&device, chain), Attestation::Trusted { .. })
    };
    assert!(believed(&[chain[0].clone(), real.certificate().clone()]));
    chain.push(real.certificate().clone());
    assert!(!believed(&chain), "the third of the name is not looked at");
}

/// A certificate signed with the key of a leaf.
fn issue_with_leaf() -> Certificate {
    let leaf = &*FACTORY_DEVICE;
    let as_authority =
        lanyard_pki::Authority::new(leaf.certificate.clone(), leaf.key.clone()).unwrap();
    issue(&as_authority, "forged", 11).certificate
}

#[test]
fn a_file_that_is_not_apples_is_noticed() {
    let outcome = FactoryTrust::new().with_apple(vec![FACTORY.certificate().clone()]);
    assert!(matches!(outcome, Err(FactoryError::NotApple { .. })));
    let outcome = FactoryTrust::new().with_root(DEVICE.certificate.clone());
    assert!(matches!(outcome, Err(FactoryError::NotAuthority { .. })));
}

/// Weak signatures are for factory identities alone.
#[test]
fn an_identity_of_ours_signs_as_anything_modern_does() {
    let sign = |identity: &Identity| {
        write_message(
            &attributes(),
            &identity.key,
            &identity.certificate,
            &[],
            Digest::Sha1,
        )
        .unwrap()
    };
    assert!(matches!(
        read(&sign(&FACTORY_DEVICE)),
        Ok(PhaseMessage::Device { .. })
    ));
    assert!(matches!(
        read(&sign(&DEVICE)),
        Err(PhaseError::Signature(_))
    ));
}

/// Signs any entries as a device would.
fn sign_entries(entries: &Dictionary) -> Vec<u8> {
    let content = lanyard_mdm::document::write(entries).unwrap();
    Signer::new(&FACTORY_DEVICE.key, &FACTORY_DEVICE.certificate)
        .sign(&content)
        .unwrap()
}

#[test]
fn attributes_are_read_leniently_where_devices_are_sloppy() {
    let mut entries = Dictionary::from_iter([
        ("UDID", Value::from("D1")),
        ("IMEI", "".into()),
        ("MEID", " ".into()),
        ("CHALLENGE", Value::Data(b"SECRET".to_vec())),
        ("UserLongName", "ignored".into()),
    ]);
    let PhaseMessage::Device { attributes, .. } = read(&sign_entries(&entries)).unwrap() else {
        panic!("not phase 2");
    };
    let expected = DeviceAttributes {
        udid: "D1".to_owned(),
        challenge: Some(Challenge::new("SECRET")),
        ..DeviceAttributes::default()
    };
    assert_eq!(attributes, expected);

    let long = "x".repeat(256);
    let cases = [
        (
            "UDID",
            Value::from(""),
            "device attributes: \"UDID\" is missing",
        ),
        (
            "UDID",
            "a b".into(),
            "device attributes: \"UDID\" must be 1 to 64 letters, digits, '-', '_' or '.'",
        ),
        (
            "SERIAL",
            long.as_str().into(),
            "device attributes: \"SERIAL\" must be at most 255 bytes without control characters",
        ),
        (
            "PRODUCT",
            "a\nb".into(),
            "device attributes: \"PRODUCT\" must be at most 255 bytes without control characters",
        ),
        (
            "SERIAL",
            1.into(),
            "device attributes: \"SERIAL\" is of type integer, not string",
        ),
        (
            "CHALLENGE",
            Value::Data(vec![0xff]),
            "device attributes: \"CHALLENGE\" must be text, as string or data",
        ),
        (
            "CHALLENGE",
            true.into(),
            "device attributes: \"CHALLENGE\" is of type boolean, not string",
        ),
    ];
    for (key, value, message) in cases {
        let before = entries.insert(key.to_owned(), value);
        match read(&sign_entries(&entries)) {
            Err(PhaseError::Field(error)) => assert_eq!(error.to_string(), message),
            other => panic!("{message}: {other:?}"),
        }
        match before {
            Some(before) => entries.insert(key.to_owned(), before),
            None => entries.remove(key),
        };
    }
}

#[test]
fn messages_are_bounded() {
    let body = write(&attributes(), &FACTORY_DEVICE, &[]);
    let limits = Limits::bytes(body.len() - 1);
    let outcome = verify_message(&body, limits, ours);
    assert!(matches!(outcome, Err(PhaseError::TooLarge { .. })));
}

#[test]
fn only_the_key_of_the_certificate_signs() {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let body = write_message(
        &attributes(),
        &key,
        &DEVICE.certificate,
        &[],
        Digest::Sha256,
    )
    .unwrap();
    assert!(matches!(read(&body), Err(PhaseError::Signature(_))));
}

/// Every byte, with one of its bits turned: what comes out is refused, or is signed by another certificate, or says exactly
/// the same.
fn check_every_byte(body: &[u8]) {
    let original = read(body).unwrap();
    for at in 0..body.len() {
        let mut flipped = body.to_vec();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(read) = read(&flipped) {
            assert!(
                read == original || signer(&read) != signer(&original),
                "byte {at}: {read:?}"
            );
        }
    }
}

fn signer(message: &PhaseMessage) -> &Certificate {
    match message {
        PhaseMessage::Device { certificate, .. } | PhaseMessage::Identity { certificate, .. } => {
            certificate
        }
    }
}

#[test]
fn no_byte_of_a_phase_message_changes_its_meaning() {
    check_every_byte(&write(&attributes(), &FACTORY_DEVICE, &[]));
    check_every_byte(&write(&attributes().without_challenge(), &DEVICE, &[]));
    let content = b"<plist><dict><key>UDID</key><string>D1</string></dict></plist>";
    let with_attributes = Signer::new(&DEVICE.key, &DEVICE.certificate)
        .attribute(Attribute::octets(
            lanyard_pki::ObjectIdentifier::new_unwrap("1.2.3.4"),
            &[1; 16],
        ))
        .sign(content)
        .unwrap();
    check_every_byte(&with_attributes);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&body);
    }

    #[test]
    fn mutated_messages_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = write(&attributes(), &FACTORY_DEVICE, &[]);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = read(&body);
        let _ = read(&body[..cut.index(body.len())]);
    }
}
