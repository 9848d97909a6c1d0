use super::*;
use lanyard_mdm::connect::Outcome;
use proptest::prelude::*;

fn device() -> Model {
    Model::new(Facts::iphone([7; 16]), b"unlock-token")
}

fn command(
    request_type: &str,
    keys: impl IntoIterator<Item = (&'static str, Value)>,
) -> Dictionary {
    let mut command: Dictionary = keys.into_iter().collect();
    command.insert("RequestType".to_owned(), request_type.into());
    command
}

/// What a device reported, as one line: status, error codes, keys of the response.
fn report(reaction: &Reaction) -> String {
    let Reaction::Report { outcome, .. } = reaction else {
        return "silence".to_owned();
    };
    let Outcome::Result {
        status,
        errors,
        response,
        ..
    } = outcome
    else {
        return "idle".to_owned();
    };
    let codes: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.domain, error.code))
        .collect();
    let keys: Vec<&str> = response.keys().map(String::as_str).collect();
    [status.as_str(), &codes.join(","), &keys.join(",")]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" | ")
}

fn profile(identifier: &str, payload_type: &str) -> Vec<u8> {
    let payload = Dictionary::from_iter([
        ("PayloadType", Value::from(payload_type)),
        ("PayloadVersion", 1.into()),
        ("PayloadIdentifier", format!("{identifier}.1").into()),
        ("PayloadUUID", "7B1C6C60-0001-4D67-8C55-6A1F0B0F0001".into()),
    ]);
    let profile = Dictionary::from_iter([
        ("PayloadType", Value::from("Configuration")),
        ("PayloadVersion", 1.into()),
        ("PayloadIdentifier", identifier.into()),
        ("PayloadUUID", "7B1C6C60-0001-4D67-8C55-6A1F0B0F0002".into()),
        ("PayloadDisplayName", "Wi-Fi".into()),
        ("PayloadContent", Value::from(vec![payload.into()])),
    ]);
    lanyard_mdm::document::write(&profile).unwrap()
}

#[test]
fn answers_have_the_shape_of_apples() {
    for (command, expected) in [
        (command("SecurityInfo", []), "Acknowledged | SecurityInfo"),
        (command("ProfileList", []), "Acknowledged | ProfileList"),
        (command("DeviceLock", []), "Acknowledged"),
        (
            command("DeviceLock", [("Message", "Lost".into())]),
            "Acknowledged | MessageResult",
        ),
        (
            command("DeviceLock", [("Message", 7.into())]),
            "CommandFormatError",
        ),
        (command("DeviceInformation", []), "CommandFormatError"),
        (command("ClearPasscode", []), "CommandFormatError"),
        (
            command("ClearPasscode", [("UnlockToken", Value::Data(vec![1]))]),
            "Error | MCPasscodeErrorDomain 5013",
        ),
        (
            command("RemoveProfile", [("Identifier", "absent".into())]),
            "Error | MCMDMErrorDomain 12013",
        ),
        (
            command("InstallProfile", [("Payload", Value::Data(vec![0x30, 0]))]),
            "Error | MCProfileErrorDomain 1004",
        ),
        (
            command(
                "InstallProfile",
                [("Payload", Value::Data(b"<a/>".to_vec()))],
            ),
            "Error | MCProfileErrorDomain 1000",
        ),
        (command("Nonsense", []), "Error | MCMDMErrorDomain 12021"),
    ] {
        assert_eq!(
            report(&device().answer("uuid", &command)),
            expected,
            "{command:?}"
        );
    }
}

#[test]
fn device_information_answers_what_is_asked_and_known() {
    let mut device = device();
    let queries = ["UDID", "OSVersion", "DeviceCapacity", "EthernetMAC"].map(Value::from);
    let command = command(
        "DeviceInformation",
        [("Queries", Value::from(queries.to_vec()))],
    );
    let Reaction::Report {
        outcome: Outcome::Result { response, .. },
        ..
    } = device.answer("uuid", &command)
    else {
        panic!("no report");
    };
    let answers = response["QueryResponses"].as_dictionary().unwrap();
    assert_eq!(
        answers.keys().collect::<Vec<_>>(),
        ["UDID", "OSVersion", "DeviceCapacity"]
    );
    assert_eq!(
        answers["UDID"].as_string(),
        Some(device.facts.udid.as_str())
    );
    assert!(answers["DeviceCapacity"].as_real().is_some());
}

#[test]
fn a_lock_shows_its_message_until_the_passcode_is_cleared() {
    let mut device = device();
    device.answer(
        "1",
        &command("DeviceLock", [("PhoneNumber", "+49 30 1".into())]),
    );
    let lock = device.lock.clone().unwrap();
    assert_eq!(lock.phone_number.as_deref(), Some("+49 30 1"));

    let token = Value::Data(device.unlock_token.expose());
    let cleared = device.answer("2", &command("ClearPasscode", [("UnlockToken", token)]));
    assert_eq!(report(&cleared), "Acknowledged");
    assert!(!device.passcode_present && device.lock.is_none());

    // As the recorded iPad without a passcode answered.
    let again = device.answer("3", &command("DeviceLock", []));
    assert_eq!(report(&again), "Acknowledged | MessageResult");
    assert_eq!(device.answered.len(), 3);
}

#[test]
fn profiles_are_installed_replaced_listed_and_removed() {
    let mut device = device();
    let install = |octets: Vec<u8>| command("InstallProfile", [("Payload", Value::Data(octets))]);
    let wifi = profile("org.example.wifi", "com.apple.wifi.managed");
    for _ in 0..2 {
        device.answer("1", &install(wifi.clone()));
    }
    assert_eq!(device.profiles.len(), 1);
    assert!(device.profiles[0].managed);

    let enrollment = profile("org.example.mdm", "com.apple.mdm");
    let Reaction::Report { then, .. } = device.answer("2", &install(enrollment.clone())) else {
        panic!("no report");
    };
    assert_eq!(then, Consequence::Reenroll(enrollment));

    let Reaction::Report {
        outcome: Outcome::Result { response, .. },
        ..
    } = device.answer("3", &command("ProfileList", [("ManagedOnly", true.into())]))
    else {
        panic!("no report");
    };
    assert_eq!(response["ProfileList"].as_array().unwrap().len(), 1);

    let remove = command("RemoveProfile", [("Identifier", "org.example.mdm".into())]);
    let Reaction::Report { then, .. } = device.answer("4", &remove) else {
        panic!("no report");
    };
    assert_eq!(then, Consequence::Unenrolled);
    assert!(
        device.profiles.is_empty(),
        "managed profiles leave with MDM"
    );
}

#[test]
fn a_signed_profile_shows_its_signer_and_a_changed_one_is_refused() {
    let identity = crate::factory::Factory::create(std::time::SystemTime::now())
        .and_then(|factory| factory.issue(std::time::SystemTime::now()))
        .unwrap();
    let xml = profile("org.example.signed", "com.apple.wifi.managed");
    let mut signed = lanyard_pki::cms::Signer::new(&identity.key, &identity.certificate)
        .sign(&xml)
        .unwrap();
    let read = Profile::read(&signed).unwrap();
    assert_eq!(
        read.signers[0],
        crate::hex::encode(&identity.certificate.fingerprint())
    );
    let last = signed.len() - 1;
    signed[last] ^= 1;
    assert_eq!(Profile::read(&signed).unwrap_err().code(), 1004);
}

#[test]
fn an_erased_device_forgets_and_falls_silent() {
    let mut device = device();
    let wifi = profile("org.example.wifi", "com.apple.wifi.managed");
    device.install(Profile::read(&wifi).unwrap());
    let Reaction::Report { then, .. } = device.answer("1", &command("EraseDevice", [])) else {
        panic!("no report");
    };
    assert_eq!(then, Consequence::Erased);
    assert!(device.erased && device.profiles.is_empty() && !device.passcode_present);
    let after = device.answer("2", &command("ProfileList", []));
    assert_eq!(after, Reaction::Silence);
}

#[test]
fn it_misbehaves_as_told() {
    let mut device = device();
    device.behaviours = ["DeviceLock=not-now*2", "error:12067*1", "delay:250"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let lock = command("DeviceLock", []);
    let mut reports = Vec::new();
    for _ in 0..4 {
        let reaction = device.answer("uuid", &lock);
        let Reaction::Report { after, .. } = &reaction else {
            panic!("no report");
        };
        assert_eq!(*after, Duration::from_millis(250));
        reports.push((report(&reaction), device.lock.is_some()));
    }
    assert_eq!(
        reports,
        [
            ("NotNow".to_owned(), false),
            ("NotNow".to_owned(), false),
            ("Error | MCMDMErrorDomain 12067".to_owned(), false),
            ("Acknowledged".to_owned(), true),
        ]
    );
    device.behaviours = vec!["refuse*1".parse().unwrap(), "lose".parse().unwrap()];
    assert_eq!(
        device.answer("5", &command("EraseDevice", [])),
        Reaction::Silence
    );
    assert!(!device.erased, "refusing does nothing");
    assert_eq!(
        device.answer("6", &command("EraseDevice", [])),
        Reaction::Silence
    );
    assert!(device.erased, "losing the report comes after obeying");
}

#[test]
fn behaviours_are_read_as_they_are_written() {
    for text in [
        "not-now",
        "not-now*2",
        "DeviceLock=error:12021",
        "format-error*1",
        "refuse",
        "EraseDevice=lose",
        "delay:250",
    ] {
        assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "=refuse",
        "error",
        "error:x",
        "delay",
        "not-now*-1",
        "refuse:3",
    ] {
        assert!(text.parse::<Behaviour>().is_err(), "{text}");
    }
}

#[test]
fn state_survives_its_file_and_never_prints_the_unlock_token() {
    let mut device = device();
    device.answer("1", &command("DeviceLock", []));
    let json = serde_json::to_string(&device).unwrap();
    assert_eq!(serde_json::from_str::<Model>(&json).unwrap(), device);
    assert!(!format!("{device:?}").contains(&device.unlock_token.0));
}

#[test]
fn identifiers_are_made_from_the_seed() {
    let facts = Facts::iphone([0xFF; 16]);
    assert_eq!(facts, Facts::iphone([0xFF; 16]));
    assert_ne!(facts.udid, Facts::iphone([0xFE; 16]).udid);
    assert_eq!(facts.udid.len(), 25);
    assert_eq!(facts.serial_number.len(), 10);
    assert_eq!(facts.imei.map(|imei| imei.len()), Some(15));
}

proptest! {
    #[test]
    fn no_profile_panics(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Profile::read(&octets);
    }

    #[test]
    fn no_damaged_profile_panics(at in 0usize..1000, octet in any::<u8>()) {
        let mut octets = profile("org.example.wifi", "com.apple.wifi.managed");
        let at = at % octets.len();
        octets[at] = octet;
        let _ = Profile::read(&octets);
    }

    #[test]
    fn no_behaviour_panics(text in ".{0,40}") {
        let _ = text.parse::<Behaviour>();
    }
}
