use lanyard_mdm::Challenge;
use lanyard_mdm::document::{Limits, read};
use lanyard_mdm::profile::{
    AccessRights, AccessRightsError, Capability, CertificatePayload, CertificateRole,
    ConfigurationProfile, Content, EnrollmentMode, Label, MdmPayload, Payload, Problem,
    ProfileError, ReceivedProfile, ScepPayload, Settings,
};
use lanyard_mdm::signed::{self, SigningIdentity};
use plist::{Dictionary, Value};
use proptest::prelude::*;
use uuid::Uuid;

use crate::identities::{DEVICE, FACTORY, OTHER_DEVICE, SERVER};

const TOPIC: &str = "com.apple.mgmt.External.00000000-1111-2222-3333-444455556666";

fn label(name: &str, uuid: u128) -> Label {
    Label::new(format!("org.example.{name}"), Uuid::from_u128(uuid)).named(name)
}

fn scep() -> ScepPayload {
    ScepPayload {
        subject: vec![
            vec![("O".to_owned(), "Example".to_owned())],
            vec![
                ("CN".to_owned(), "device".to_owned()),
                ("2.5.4.5".to_owned(), "C02".to_owned()),
            ],
        ],
        name: Some("lanyard".to_owned()),
        retries: Some(10),
        retry_delay: Some(30),
        ..ScepPayload::new(
            "https://mdm.example.org/scep/device",
            Challenge::new("SECRET"),
        )
    }
}

/// An enrollment profile: trust, identity, management.
fn enrollment() -> ConfigurationProfile {
    let root = CertificatePayload {
        role: CertificateRole::Root,
        der: FACTORY.certificate().der().to_vec(),
    };
    let mdm = MdmPayload {
        capabilities: vec![Capability::BootstrapToken],
        server_pins: vec![Uuid::from_u128(2)],
        ..MdmPayload::new(
            Uuid::from_u128(3),
            TOPIC,
            "https://mdm.example.org/mdm/connect",
        )
    };
    let payload = |label, settings| Payload { label, settings };
    ConfigurationProfile {
        label: label("enrollment", 1),
        payloads: vec![
            payload(label("root", 2), Settings::Certificate(root)),
            payload(label("identity", 3), Settings::Scep(scep())),
            payload(label("mdm", 4), Settings::Mdm(Box::new(mdm))),
        ],
    }
}

fn server() -> SigningIdentity<'static> {
    SigningIdentity {
        key: &SERVER.key,
        certificate: &SERVER.certificate,
        chain: std::slice::from_ref(FACTORY.certificate()),
    }
}

/// What a device does with a profile.
fn open(
    message: &[u8],
    identity: &crate::identities::Identity,
) -> Result<Vec<Payload>, ProfileError> {
    let document = signed::open(message).unwrap();
    assert_eq!(document.signer, SERVER.certificate);
    assert!(document.certificates.contains(FACTORY.certificate()));
    ReceivedProfile::parse(&document.content, Limits::default())?.payloads(
        &identity.certificate,
        &identity.key,
        Limits::default(),
    )
}

#[test]
fn an_encrypted_profile_is_for_one_device() {
    let profile = enrollment();
    let document = profile.to_encrypted_xml(&DEVICE.certificate).unwrap();
    let entries = read(&document, Limits::default()).unwrap();
    assert_eq!(entries.get("IsEncrypted"), Some(&Value::Boolean(true)));
    assert!(!entries.contains_key("PayloadContent"));

    let message = signed::sign(&document, server()).unwrap();
    assert_eq!(open(&message, &DEVICE).unwrap(), profile.payloads);
    assert!(matches!(
        open(&message, &OTHER_DEVICE),
        Err(ProfileError::Decrypt(_))
    ));
}

#[test]
fn a_profile_in_clear_reads_back() {
    let profile = enrollment();
    let received = ReceivedProfile::parse(&profile.to_xml().unwrap(), Limits::default()).unwrap();
    assert_eq!(received.label, profile.label);
    assert_eq!(received.content, Content::Clear(profile.payloads));
}

#[test]
fn a_scep_payload_has_the_keys_that_devices_look_for() {
    let profile = ConfigurationProfile {
        label: label("interim", 1),
        payloads: vec![Payload {
            label: label("identity", 2),
            settings: Settings::Scep(scep()),
        }],
    };
    let document = read(&profile.to_xml().unwrap(), Limits::default()).unwrap();
    let payload = document.get("PayloadContent").unwrap().as_array().unwrap()[0]
        .as_dictionary()
        .unwrap();
    assert_eq!(
        payload.get("PayloadType"),
        Some(&"com.apple.security.scep".into())
    );
    assert_eq!(
        payload.get("PayloadUUID"),
        Some(&"00000000-0000-0000-0000-000000000002".into())
    );
    let content = payload
        .get("PayloadContent")
        .unwrap()
        .as_dictionary()
        .unwrap();
    let pair = |kind: &str, value: &str| Value::Array(vec![kind.into(), value.into()]);
    let subject = Value::Array(vec![
        Value::Array(vec![pair("O", "Example")]),
        Value::Array(vec![pair("CN", "device"), pair("2.5.4.5", "C02")]),
    ]);
    let expected = Dictionary::from_iter([
        ("URL", Value::from("https://mdm.example.org/scep/device")),
        ("Name", "lanyard".into()),
        ("Subject", subject),
        ("Challenge", "SECRET".into()),
        ("Keysize", 2048.into()),
        ("Key Type", "RSA".into()),
        ("Key Usage", 5.into()),
        ("Retries", 10.into()),
        ("RetryDelay", 30.into()),
        ("KeyIsExtractable", false.into()),
    ]);
    assert_eq!(content, &expected);
    assert!(!format!("{profile:?}").contains("SECRET"));
}

/// Each change makes a profile that devices refuse.
#[test]
fn profiles_that_devices_refuse_are_not_built() {
    type Change = fn(&mut ConfigurationProfile);
    fn mdm(profile: &mut ConfigurationProfile) -> &mut MdmPayload {
        match &mut profile.payloads[2].settings {
            Settings::Mdm(mdm) => mdm,
            other => panic!("{other:?}"),
        }
    }
    fn identity(profile: &mut ConfigurationProfile) -> &mut ScepPayload {
        match &mut profile.payloads[1].settings {
            Settings::Scep(scep) => scep,
            other => panic!("{other:?}"),
        }
    }
    let cases: &[(Change, &str)] = &[
        (
            |p| mdm(p).server_url = "http://mdm.example.org".to_owned(),
            "ServerURL is",
        ),
        (
            |p| mdm(p).server_url = "https://".to_owned(),
            "ServerURL is",
        ),
        (
            |p| mdm(p).check_in_url = Some("ftp://x".to_owned()),
            "CheckInURL is",
        ),
        (|p| mdm(p).topic = "com.example".to_owned(), "Topic is"),
        (
            |p| mdm(p).access_rights = None,
            "AccessRights must be given",
        ),
        (
            |p| mdm(p).identity = Uuid::from_u128(2),
            "IdentityCertificateUUID",
        ),
        (
            |p| mdm(p).server_pins = vec![Uuid::from_u128(9)],
            "pinned certificate",
        ),
        (
            |p| mdm(p).enrollment_mode = Some(EnrollmentMode::Adde),
            "EnrollmentMode needs",
        ),
        (
            |p| mdm(p).enrollment_mode = Some(EnrollmentMode::Byod),
            "AccessRights must be given",
        ),
        (
            |p| identity(p).url = "mdm.example.org".to_owned(),
            "URL of the SCEP payload",
        ),
        (
            |p| identity(p).key_bits = 1024,
            "Keysize of the SCEP payload",
        ),
        (
            |p| identity(p).key_usage = 0,
            "Key Usage of the SCEP payload",
        ),
        (
            |p| identity(p).subject.push(Vec::new()),
            "Subject of the SCEP payload",
        ),
        (
            |p| p.payloads[0].label.uuid = Uuid::from_u128(1),
            "PayloadUUID",
        ),
        (
            |p| p.payloads[0].label.identifier = "org.example.mdm".to_owned(),
            "PayloadIdentifier",
        ),
        (
            |p| p.label.identifier.clear(),
            "a PayloadIdentifier is empty",
        ),
        (
            |p| {
                let mut second = p.payloads[2].clone();
                second.label = label("second", 5);
                p.payloads.push(second);
            },
            "there are two com.apple.mdm payloads",
        ),
    ];
    assert!(enrollment().to_xml().is_ok());
    for (change, message) in cases {
        let mut profile = enrollment();
        change(&mut profile);
        match profile.to_xml() {
            Err(ProfileError::Invalid(problem)) => {
                assert!(
                    problem.to_string().starts_with(message),
                    "{problem} / {message}"
                );
            }
            other => panic!("{message}: {other:?}"),
        }
        assert!(matches!(
            profile.to_encrypted_xml(&DEVICE.certificate),
            Err(ProfileError::Invalid(_))
        ));
    }
}

#[test]
fn a_profile_cannot_be_encrypted_to_an_elliptic_curve_key() {
    let device = crate::identities::subordinate(&FACTORY, "ec", 9);
    let outcome = enrollment().to_encrypted_xml(device.certificate());
    assert!(matches!(outcome, Err(ProfileError::Encrypt(_))));
}

#[test]
fn access_rights_hold_together() {
    use AccessRightsError::{Needs, Range};
    let cases = [
        (0, Err(Range(0))),
        (8192, Err(Range(8192))),
        (-1, Err(Range(-1))),
        (2, Err(Needs(2, 1))),
        (3, Ok(3)),
        (128, Err(Needs(128, 64))),
        (192, Ok(192)),
        (8191, Ok(8191)),
    ];
    for (bits, expected) in cases {
        assert_eq!(
            AccessRights::from_bits(bits).map(AccessRights::bits),
            expected
        );
    }
}

#[test]
fn a_bare_document_is_not_signed() {
    assert!(signed::open(&enrollment().to_xml().unwrap()).is_err());
}

#[test]
fn a_wrong_reference_is_reported_with_its_uuid() {
    let mut profile = enrollment();
    profile.payloads.remove(1);
    let Err(ProfileError::Invalid(problem)) = profile.to_xml() else {
        panic!("a profile without identity was built");
    };
    assert_eq!(problem, Problem::Identity(Uuid::from_u128(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Signature outside, encryption inside: no byte can be changed without the device noticing.
    #[test]
    fn a_changed_profile_never_opens_as_another(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let profile = enrollment();
        let document = profile.to_encrypted_xml(&DEVICE.certificate).unwrap();
        let mut message = signed::sign(&document, server()).unwrap();
        let at = at.index(message.len());
        message[at] ^= 1 << bit;
        if let Ok(opened) = signed::open(&message) {
            prop_assert!(opened.content == document || opened.signer != SERVER.certificate);
        }
        let mut mutated = document;
        let at = at % mutated.len();
        mutated[at] ^= 1 << bit;
        if let Ok(received) = ReceivedProfile::parse(&mutated, Limits::default()) {
            let _ = received.payloads(&DEVICE.certificate, &DEVICE.key, Limits::default());
        }
    }
}
