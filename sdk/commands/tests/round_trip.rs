//! Every command that can be made survives the wire, every dictionary is either a command or a clear error, and the
//! facts answer for what is made.

#![allow(clippy::unwrap_used)]

use lanyard_commands::{
    ClearPasscode, Command, CommandError, DeviceInformation, DeviceLock, EraseDevice,
    InstallProfile, ObliterationBehavior, Pin, ProfileList, Query, RawCommand, RemoveProfile,
    ReturnToService, SecurityInfo, UnlockToken,
};
use plist::{Dictionary, Value};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Writes a dictionary as a server sends it and reads it as a device does.
fn over_the_wire(dictionary: Dictionary) -> Dictionary {
    let mut document = Vec::new();
    plist::to_writer_xml(&mut document, &Value::Dictionary(dictionary)).unwrap();
    Value::from_reader_xml(document.as_slice())
        .unwrap()
        .into_dictionary()
        .unwrap()
}

fn text() -> impl Strategy<Value = String> {
    "[A-Za-zäöü€ &<>\"'0-9]{0,40}"
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..80)
}

fn pin() -> impl Strategy<Value = Pin> {
    "[0-9]{6}".prop_map(|digits| Pin::new(digits).unwrap())
}

fn query() -> impl Strategy<Value = Query> {
    prop_oneof![
        proptest::sample::select(Query::ALL),
        "[A-Za-z0-9]{1,64}".prop_map(|name| Query::named(name).unwrap()),
    ]
}

fn device_information() -> impl Strategy<Value = Command> {
    (vec(query(), 1..=128), option::of(vec(any::<u8>(), 1..=32))).prop_map(|(queries, nonce)| {
        let command = DeviceInformation::new(queries).unwrap();
        match nonce {
            Some(nonce) => command.with_attestation_nonce(nonce).unwrap().into(),
            None => command.into(),
        }
    })
}

fn device_lock() -> impl Strategy<Value = Command> {
    (option::of(text()), option::of(text()), option::of(pin())).prop_map(
        |(message, phone_number, pin)| {
            let lock = DeviceLock {
                message,
                phone_number,
                pin,
            };
            lock.into()
        },
    )
}

fn erase_device() -> impl Strategy<Value = Command> {
    let behavior = proptest::sample::select(vec![
        ObliterationBehavior::Default,
        ObliterationBehavior::DoNotObliterate,
        ObliterationBehavior::ObliterateWithWarning,
        ObliterationBehavior::Always,
    ]);
    let return_to_service = (any::<bool>(), option::of(octets()), option::of(octets())).prop_map(
        |(enabled, wifi_profile, mdm_profile)| ReturnToService {
            enabled,
            wifi_profile,
            mdm_profile,
        },
    );
    (
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(pin()),
        option::of(behavior),
        option::of(return_to_service),
    )
        .prop_map(|(plan, proximity, pin, behavior, return_to_service)| {
            let erase = EraseDevice {
                preserve_data_plan: plan,
                disallow_proximity_setup: proximity,
                pin,
                obliteration_behavior: behavior,
                return_to_service,
            };
            erase.into()
        })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        device_information(),
        Just(SecurityInfo.into()),
        device_lock(),
        octets().prop_map(|token| {
            let unlock_token = UnlockToken::new(token).unwrap();
            ClearPasscode { unlock_token }.into()
        }),
        erase_device(),
        option::of(any::<bool>()).prop_map(|managed_only| ProfileList { managed_only }.into()),
        octets().prop_map(|profile| InstallProfile::new(profile).unwrap().into()),
        "[a-z.]{1,60}".prop_map(|name| RemoveProfile::new(name).unwrap().into()),
        ("X[A-Za-z]{0,40}", text()).prop_map(|(name, text)| {
            let keys = Dictionary::from_iter([("Key", text)]);
            RawCommand::new(&name, keys).unwrap().into()
        }),
    ]
}

/// A dictionary that has a catalogued command's keys with values of any type.
fn confused_dictionary() -> impl Strategy<Value = Dictionary> {
    let names = proptest::sample::select(vec![
        "DeviceInformation",
        "SecurityInfo",
        "DeviceLock",
        "ClearPasscode",
        "EraseDevice",
        "ProfileList",
        "InstallProfile",
        "RemoveProfile",
        "Settings",
    ]);
    let keys = proptest::sample::select(vec![
        "Queries",
        "DeviceAttestationNonce",
        "Message",
        "PhoneNumber",
        "PIN",
        "UnlockToken",
        "PreserveDataPlan",
        "ObliterationBehavior",
        "ReturnToService",
        "ManagedOnly",
        "Payload",
        "Identifier",
    ]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        text().prop_map(Value::String),
        vec(any::<u8>(), 0..40).prop_map(Value::Data),
        Just(Value::Array(Vec::new())),
        vec(text(), 0..4)
            .prop_map(|texts| Value::Array(texts.into_iter().map(Value::String).collect())),
        Just(Value::Dictionary(Dictionary::new())),
    ];
    let keys = btree_map(keys.prop_map(str::to_owned), leaf, 0..6);
    (names, keys).prop_map(|(name, keys)| {
        let mut dictionary: Dictionary = keys.into_iter().collect();
        dictionary.insert("RequestType".to_owned(), name.into());
        dictionary
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(command in command()) {
        let sent = command.to_dictionary();
        let received = Command::from_dictionary(&over_the_wire(sent.clone())).unwrap();
        prop_assert_eq!(received.request_type(), command.request_type());
        prop_assert_eq!(received.to_dictionary(), sent);
    }

    #[test]
    fn a_confused_dictionary_is_a_command_or_an_error(dictionary in confused_dictionary()) {
        match Command::from_dictionary(&dictionary) {
            // Keys of other commands are dropped, those of its own are kept.
            Ok(command) => for (key, value) in command.to_dictionary() {
                prop_assert_eq!(dictionary.get(&key), Some(&value));
            },
            Err(error) => {
                let name = dictionary["RequestType"].as_string().unwrap();
                prop_assert!(error.to_string().starts_with(name), "{}", error);
            }
        }
    }

    #[test]
    fn debug_output_keeps_secrets(digits in "[0-9]{6}", token in "[g-z]{20,40}") {
        let lock = DeviceLock { pin: Some(Pin::new(digits.clone()).unwrap()), ..DeviceLock::default() };
        let clear = ClearPasscode { unlock_token: UnlockToken::new(token.clone()).unwrap() };
        let keys = Dictionary::from_iter([("NewPassword", token.clone())]);
        let raw = RawCommand::new("SetFirmwarePassword", keys).unwrap();
        let install = InstallProfile::new(token.clone()).unwrap();
        let back = ReturnToService { wifi_profile: Some(token.clone().into()), ..ReturnToService::default() };
        let erase = EraseDevice { return_to_service: Some(back), ..EraseDevice::default() };
        for command in [lock.into(), clear.into(), raw.into(), install.into(), erase.into()] {
            let command: Command = command;
            let shown = format!("{command:?}");
            prop_assert!(!shown.contains(&digits) && !shown.contains(&token), "{}", shown);
            let octets = token.as_bytes()[..3].iter().map(u8::to_string).collect::<Vec<_>>();
            prop_assert!(!shown.contains(&octets.join(", ")), "{}", shown);
        }
    }
}

/// Reads a command whose keys are given as the inside of a `<dict>`.
fn read(request_type: &str, keys: &str) -> Result<Command, CommandError> {
    let document = format!(
        "<plist version='1.0'><dict><key>RequestType</key><string>{request_type}</string>{keys}</dict></plist>"
    );
    let value = Value::from_reader_xml(document.as_bytes()).unwrap();
    Command::from_dictionary(value.as_dictionary().unwrap())
}

#[test]
fn errors_say_what_would_be_right() {
    for (request_type, keys, message) in [
        (
            "",
            "",
            "a command needs `RequestType`: a string of 1 to 127 printable ASCII characters that names it",
        ),
        (
            "DeviceInformation",
            "",
            "DeviceInformation needs `Queries`: an array of 1 to 128 strings",
        ),
        (
            "DeviceInformation",
            "<key>Queries</key><array/>",
            "DeviceInformation: `Queries` must be an array of 1 to 128 strings",
        ),
        (
            "DeviceInformation",
            "<key>Queries</key><array><string>Not a name</string></array>",
            "DeviceInformation: `Queries` must be query names of 1 to 64 ASCII letters and digits",
        ),
        (
            "DeviceLock",
            "<key>PIN</key><integer>123456</integer>",
            "DeviceLock: `PIN` must be a string of exactly six digits",
        ),
        (
            "DeviceLock",
            "<key>PIN</key><string>12345</string>",
            "DeviceLock: `PIN` must be a string of exactly six digits",
        ),
        (
            "EraseDevice",
            "<key>PIN</key><string>12345a</string>",
            "EraseDevice: `PIN` must be a string of exactly six digits",
        ),
        (
            "EraseDevice",
            "<key>ObliterationBehavior</key><string>always</string>",
            "EraseDevice: `ObliterationBehavior` must be Default, DoNotObliterate, ObliterateWithWarning or Always",
        ),
        (
            "EraseDevice",
            "<key>ReturnToService</key><dict/>",
            "EraseDevice needs `Enabled`: a boolean in ReturnToService",
        ),
        (
            "ClearPasscode",
            "<key>UnlockToken</key><data></data>",
            "ClearPasscode: `UnlockToken` must be non-empty data, the UnlockToken of the device's last TokenUpdate",
        ),
        (
            "InstallProfile",
            "<key>Payload</key><string>PHBsaXN0Lz4=</string>",
            "InstallProfile: `Payload` must be non-empty data: a configuration profile, plain or signed",
        ),
        (
            "RemoveProfile",
            "",
            "RemoveProfile needs `Identifier`: a non-empty string: the profile's PayloadIdentifier",
        ),
    ] {
        let error = read(request_type, keys).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let mistyped = read("DeviceLock", "<key>Massage</key><string>x</string>").unwrap_err();
    assert_eq!(mistyped.to_string(), "DeviceLock has no key `Massage`");
}

#[test]
fn a_raw_command_is_kept_whole_and_unknown_ones_count_as_destructive() {
    let command = read("Settings", "<key>Settings</key><array/>").unwrap();
    assert!(matches!(&command, Command::Raw(raw) if raw.dictionary().contains_key("Settings")));
    assert!(!command.is_destructive());
    assert_eq!(command.rights().unwrap().bits(), 2048);

    let unknown = read("EraseEverythingEverywhere", "").unwrap();
    assert!(unknown.facts().is_none() && unknown.rights().is_none());
    assert!(unknown.is_destructive());
}

#[test]
fn no_more_queries_than_the_limit() {
    let names = |count: usize| (0..count).map(|n| Query::named(format!("Q{n}")).unwrap());
    assert_eq!(
        DeviceInformation::new(names(128)).unwrap().queries().len(),
        128
    );
    assert!(DeviceInformation::new(names(129)).is_err());
    let twice = [Query::UDID, Query::named("UDID").unwrap()];
    assert_eq!(
        DeviceInformation::new(twice).unwrap().queries(),
        [Query::UDID]
    );
}
