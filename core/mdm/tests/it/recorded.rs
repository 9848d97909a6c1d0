//! Messages that real devices sent, from `$LANYARD_SHARED` or the `shared` folder beside the checkout. They may not be copied
//! into the project, so a test that does not find them says so.

use std::path::PathBuf;

use lanyard_mdm::checkin::{Authenticate, CheckIn, Message, TokenUpdate};
use lanyard_mdm::connect::{ErrorItem, Outcome, Report, Status};
use lanyard_mdm::document::{Limits, read};
use lanyard_mdm::ota::{
    Attestation, DeviceAttributes, FactoryTrust, NotAttested, PhaseError, PhaseMessage,
    verify_message,
};
use lanyard_mdm::{Challenge, DeviceToken, PushMagic, UnlockToken};
use lanyard_pki::{Certificate, ber, cms::SignedMessage};

const UDID: &str = "00000000-1111-2222-3333-444455556666";
const TOPIC: &str = "com.apple.mgmt.test.00000000-1111-2222-3333-444455556666";

/// The file, or `None` after saying that the test is skipped.
fn shared(path: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("LANYARD_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let file = root.join(path);
    match std::fs::read(&file) {
        Ok(bytes) => Some(bytes),
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

fn apple() -> Option<FactoryTrust> {
    let pem = shared("spec/data/apple-iphone-device-ca-chain.pem")?;
    let certificates = Certificate::many_from_pem(&pem).unwrap();
    assert_eq!(certificates.len(), 3);
    Some(FactoryTrust::new().with_apple(certificates).unwrap())
}

/// What a phase-2 message says, and who vouches for its sender.
#[derive(Debug, PartialEq)]
struct Told {
    attributes: DeviceAttributes,
    attestation: Attestation,
    certificate: Certificate,
}

fn phase_2(body: &[u8], trust: &FactoryTrust) -> Result<Told, PhaseError> {
    match verify_message(body, Limits::bytes(64 * 1024), |_| false)? {
        PhaseMessage::Device {
            attributes,
            certificate,
            chain,
        } => Ok(Told {
            attributes,
            attestation: trust.attest(&certificate, &chain),
            certificate,
        }),
        PhaseMessage::Identity { .. } => panic!("an Apple device passed for one of ours"),
    }
}

#[test]
fn an_apple_device_is_attested_up_to_apple_root_ca() {
    let (Some(body), Some(apple)) = (shared("recorded/ota/phase2.ber"), apple()) else {
        return;
    };
    let expected = DeviceAttributes {
        udid: "78897E40-F532-5DE0-A7DC-56BAC5CEEB9C".to_owned(),
        serial: Some("ZDL2M9PTJ3".to_owned()),
        product: Some("VirtualMac2,1".to_owned()),
        version: Some("22A380".to_owned()),
        challenge: Some(Challenge::new(
            "8gLEIttrT7qbLOZs3XzL5XPgNXCliGwRLtn2Lfe4GBsa7g6MGm2sJjicKrLFal4D",
        )),
        ..DeviceAttributes::default()
    };
    // The message carries the chain, so Apple's file is not even needed.
    for trust in [&apple, &FactoryTrust::new()] {
        let Told {
            attributes,
            attestation,
            certificate,
        } = phase_2(&body, trust).unwrap();
        assert_eq!((&attributes, attestation), (&expected, Attestation::Apple));
        assert!(
            certificate
                .issuer()
                .to_string()
                .contains("Apple iPhone Device CA")
        );
    }
}

#[test]
fn apple_sends_a_leaf_only_at_times_and_then_the_file_is_needed() {
    let (Some(body), Some(apple)) = (shared("recorded/ota/phase2.ber"), apple()) else {
        return;
    };
    let message = SignedMessage::parse(&body).unwrap();
    let leaf = message.unverified_signer().unwrap();
    assert_eq!(apple.attest(leaf, &[]), Attestation::Apple);
    let without = FactoryTrust::new().attest(leaf, &[]);
    assert!(
        matches!(without, Attestation::None(NotAttested::NoIssuer { .. })),
        "{without:?}"
    );
}

/// Apple Root CA has issued more than device authorities: whatever does not come through those is no device.
#[test]
fn another_authority_of_apples_issues_no_device_identities() {
    let Some(pem) = shared("spec/data/apple-iphone-device-ca-chain.pem") else {
        return;
    };
    let chain = Certificate::many_from_pem(&pem).unwrap();
    let is =
        |certificate: &&Certificate, name: &str| certificate.subject().to_string().contains(name);
    let device_authority = chain
        .iter()
        .find(|certificate| is(certificate, "Apple iPhone Device CA"))
        .unwrap();
    let outcome = FactoryTrust::new().attest(device_authority, &chain);
    assert!(
        matches!(
            outcome,
            Attestation::None(NotAttested::NotDeviceAuthority { .. })
        ),
        "{outcome:?}"
    );
}

#[test]
fn no_byte_of_the_message_changes_its_meaning() {
    let (Some(body), Some(apple)) = (shared("recorded/ota/phase2.ber"), apple()) else {
        return;
    };
    let original = phase_2(&body, &apple).unwrap();
    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(read) = phase_2(&flipped, &apple) {
            assert!(
                read == original || read.certificate != original.certificate,
                "byte {at}: {read:?}"
            );
        }
    }
}

#[test]
fn the_message_is_as_much_worth_in_der() {
    let (Some(body), Some(apple)) = (shared("recorded/ota/phase2.ber"), apple()) else {
        return;
    };
    let der = ber::normalise(&body).unwrap();
    assert_ne!(der.as_ref() as &[u8], body.as_slice());
    assert_eq!(
        phase_2(&der, &apple).unwrap(),
        phase_2(&body, &apple).unwrap()
    );
}

fn check_in(file: &str, id: &str, expected: Message) {
    let Some(body) = shared(&format!("recorded/checkin/{file}")) else {
        return;
    };
    let read = CheckIn::parse(&body, Limits::default()).unwrap();
    assert_eq!(
        (read.sender.id().to_string().as_str(), &read.message),
        (id, &expected),
        "{file}"
    );
    assert_eq!(read.raw().expose(), body);
}

#[test]
fn authenticate_is_read() {
    let some = |text: &str| Some(text.to_owned());
    let mac = Authenticate {
        topic: TOPIC.to_owned(),
        device_name: some("micromdm-test"),
        model: some("iMac15,1"),
        model_name: some("iMac"),
        os_version: some("10.11.6"),
        build_version: some("15G1004"),
        product_name: some("iMac15,1"),
        serial_number: some("C00000000004"),
        ..Authenticate::default()
    };
    check_in("authenticate-10.11.x.xml", UDID, Message::Authenticate(mac));
    let phone = Authenticate {
        topic: "com.apple.mgmt.XServer.1c111c11-1c11-1c11-1c11-1c111c111c11".to_owned(),
        os_version: some("11.3.1"),
        build_version: some("15E302"),
        product_name: some("iPhone7,2"),
        serial_number: some("XXXXXXXXXXXX"),
        imei: some("11 111111 111111 1"),
        meid: some("1111111111111"),
        ..Authenticate::default()
    };
    let ones = "1".repeat(40);
    check_in(
        "authenticate-ios-11.3.1-cell.xml",
        &ones,
        Message::Authenticate(phone),
    );
    let pad = Authenticate {
        topic: format!("io.micromdm.topic.{UDID}"),
        os_version: some("9.3.2"),
        build_version: some("13F69"),
        product_name: some("iPad4,1"),
        serial_number: some("XXXXXXXXXXXX"),
        ..Authenticate::default()
    };
    check_in(
        "authenticate-ios-9.x.xml",
        &ones,
        Message::Authenticate(pad),
    );
}

#[test]
fn token_update_is_read() {
    let ios = "1c111c111c111c111c111c111c111c111c111c11";
    let update = TokenUpdate {
        topic: TOPIC.to_owned(),
        token: DeviceToken::new(b"apple".to_vec()),
        push_magic: PushMagic::new(UDID),
        unlock_token: None,
        awaiting_configuration: Some(false),
    };
    check_in(
        "tokenupdate-10.11.x.plist",
        UDID,
        Message::TokenUpdate(update.clone()),
    );
    let user = TokenUpdate {
        token: DeviceToken::new(vec![0, 0, 0]),
        awaiting_configuration: None,
        ..update
    };
    check_in(
        "tokenupdate-10.11.x-user.plist",
        &format!("{UDID}:{UDID}"),
        Message::TokenUpdate(user),
    );
    // The recorder replaced the tokens by the words Base64 and base64, and got the padding wrong.
    let phone = TokenUpdate {
        topic: "com.apple.mgmt.XServer.1c111c11-1c11-1c11-1c11-1c111c111c11".to_owned(),
        token: DeviceToken::new(vec![0x05, 0xab, 0x1e, 0xeb]),
        push_magic: PushMagic::new("AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA"),
        unlock_token: Some(UnlockToken::new(vec![0x6d, 0xab, 0x1e, 0xeb])),
        awaiting_configuration: Some(false),
    };
    check_in(
        "tokenupdate-ios-11.3.1.xml",
        ios,
        Message::TokenUpdate(phone),
    );
}

#[test]
fn check_out_is_read() {
    let topic = |topic: &str| Message::CheckOut {
        topic: Some(topic.to_owned()),
    };
    check_in("checkout-10.11.x.xml", UDID, topic(TOPIC));
    let ios = "1c111c111c111c111c111c111c111c111c111c11";
    check_in(
        "checkout-ios-11.3.1.xml",
        ios,
        topic("com.apple.mgmt.XServer.1c111c11-1c11-1c11-1c11-1c111c111c11"),
    );
}

/// The command, its status and the keys of its answer, in their order.
fn response(file: &str, uuid: &str, expected: Status, keys: &[&str]) {
    let Some(body) = shared(&format!("recorded/responses/{file}")) else {
        return;
    };
    let report = Report::parse(&body, Limits::default()).unwrap();
    let Outcome::Result {
        command_uuid,
        status,
        response,
        ..
    } = &report.outcome
    else {
        panic!("{file}: {report:?}");
    };
    assert_eq!((command_uuid.as_str(), *status), (uuid, expected), "{file}");
    assert_eq!(response.keys().collect::<Vec<_>>(), keys, "{file}");
    // Nothing was lost on the way.
    let entries = read(&body, Limits::default()).unwrap();
    for key in keys {
        assert_eq!(response.get(key), entries.get(key), "{file}: {key}");
    }
}

#[test]
fn responses_are_read() {
    use Status::{Acknowledged, CommandFormatError, Error, NotNow};
    let cases: &[(&str, &str, Status, &[&str])] = &[
        (
            "availableosupdates-ios-11.3.1.xml",
            "8fb53ef6-5fcd-46c2-bf05-ee502406f240",
            Acknowledged,
            &["AvailableOSUpdates"],
        ),
        (
            "certificatelist-ios-11.3.1.xml",
            "506315e2-386a-44eb-9f46-e402afce7e80",
            Acknowledged,
            &["CertificateList"],
        ),
        (
            "deviceinformation-10.11.x.xml",
            UDID,
            Acknowledged,
            &["QueryResponses", "RequestType"],
        ),
        (
            "deviceinformation-ios-11.3.1.xml",
            "3ab89975-490b-4f33-80c7-0982069272ba",
            Acknowledged,
            &["QueryResponses"],
        ),
        (
            "devicelock-ios-11.3.1.xml",
            "b6c8627f-bf4a-4ef4-8f40-d8673cd568c9",
            Acknowledged,
            &["MessageResult"],
        ),
        (
            "errors-10.12.5-invalid-command.xml",
            "93a81e2a-8fbe-4e4b-b6e5-ee9148893f33",
            Error,
            &["RequestType"],
        ),
        (
            "errors-ios-11.3.1-commandformaterror.xml",
            "52aab5d2-6a61-4fe8-b685-44f8b56972d0",
            CommandFormatError,
            &[],
        ),
        (
            "errors-ios-11.3.1-removeprofile-unmanaged.xml",
            "b2da2591-a2e5-45e5-8dd8-0ffb050d8407",
            Error,
            &[],
        ),
        (
            "installedapplicationlist-ios-11.3.1.xml",
            "368b6b82-f89c-4af7-8a02-ed72af86116c",
            Acknowledged,
            &["InstalledApplicationList"],
        ),
        (
            "managedapplicationlist-ios-11.3.1-failed.xml",
            "b3f87776-66a4-40f4-a194-8b451a2eacb1",
            Acknowledged,
            &["ManagedApplicationList"],
        ),
        (
            "notnow-ios-11.3.1.xml",
            "bb5d7813-e7c3-4279-b954-4b678925de5f",
            NotNow,
            &[],
        ),
        (
            "profilelist-ios-11.3.1.xml",
            "2d1d3845-3e06-4687-a357-b343ebb17888",
            Acknowledged,
            &["ProfileList"],
        ),
        (
            "securityinfo-10.11.x.xml",
            UDID,
            Acknowledged,
            &["RequestType", "SecurityInfo"],
        ),
        (
            "securityinfo-ios-11.3.1.xml",
            "f1048316-6628-4b32-b2f2-708d7f4d7105",
            Acknowledged,
            &["SecurityInfo"],
        ),
    ];
    for (file, uuid, status, keys) in cases {
        response(file, uuid, *status, keys);
    }
}

#[test]
fn error_chains_are_read() {
    let errors = |file: &str| {
        let body = shared(&format!("recorded/responses/{file}"))?;
        match Report::parse(&body, Limits::default()).unwrap().outcome {
            Outcome::Result { errors, .. } => Some(errors),
            Outcome::Idle => None,
        }
    };
    if let Some(errors) = errors("errors-10.12.5-invalid-command.xml") {
        let expected = ErrorItem {
            code: 97,
            domain: "MDMClientError".to_owned(),
            localized: r"No \'Identifier\' in \'RemoveProfile\' command <MDMClientError:97>"
                .to_owned(),
            us_english: None,
        };
        assert_eq!(errors, [expected]);
    }
    if let Some(errors) = errors("errors-ios-11.3.1-removeprofile-unmanaged.xml") {
        assert_eq!((errors.len(), errors[0].code), (1, 12013));
        assert_eq!(errors[0].us_english.as_ref(), Some(&errors[0].localized));
    }
}
