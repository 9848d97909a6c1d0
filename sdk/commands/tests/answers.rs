//! Answers: as real devices recorded them, and with every kind of damage.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::PathBuf;

use lanyard_commands::{
    Answer, DeviceInformationAnswer, DeviceLockAnswer, MessageResult, ProfileListAnswer,
    SecurityInfoAnswer,
};
use plist::{Dictionary, Value};
use proptest::prelude::*;

/// A recorded response by its file name; `None`, said aloud, where the recordings are not at hand.
fn recorded(name: &str) -> Option<Dictionary> {
    let shared = std::env::var_os("LANYARD_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let responses = shared.join("recorded/responses");
    if !responses.is_dir() {
        // Straight to the stream: what `eprintln!` writes is not seen of a passing test.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {name} (no {})",
            responses.display()
        );
        return None;
    }
    let value = Value::from_file(responses.join(name)).unwrap();
    Some(value.into_dictionary().unwrap())
}

fn dictionary(keys: &str) -> Dictionary {
    let document = format!("<plist version='1.0'><dict>{keys}</dict></plist>");
    let value = Value::from_reader_xml(document.as_bytes()).unwrap();
    value.into_dictionary().unwrap()
}

#[test]
fn recorded_device_information_of_an_ipad() {
    let Some(response) = recorded("deviceinformation-ios-11.3.1.xml") else {
        return;
    };
    let answer = DeviceInformationAnswer::from_dictionary(&response).unwrap();
    assert_eq!(answer.product_name.as_deref(), Some("iPad4,1"));
    assert_eq!(answer.os_version.as_deref(), Some("11.3.1"));
    assert_eq!(answer.serial_number.as_deref(), Some("C00000000004"));
    assert_eq!(answer.wifi_mac.as_deref(), Some("00:00:00:00:00:00"));
    assert_eq!(answer.device_capacity, Some(26.914_535_522_460_938));
    assert_eq!(answer.is_roaming, Some(false));
    assert_eq!(answer.subscriber_mcc.as_deref(), Some(""));
    assert_eq!(answer.imei, None);
    assert!(answer.mistyped.is_empty());
}

#[test]
fn recorded_device_information_of_a_mac() {
    let Some(response) = recorded("deviceinformation-10.11.x.xml") else {
        return;
    };
    let answer = DeviceInformationAnswer::from_dictionary(&response).unwrap();
    assert_eq!(answer.model_name.as_deref(), Some("iMac"));
    assert_eq!(answer.host_name.as_deref(), Some("micromdm-testing.dev"));
    assert_eq!(answer.active_managed_users.len(), 1);
    assert_eq!(answer.awaiting_configuration, Some(false));
    assert_eq!(answer.itunes_store_account_is_active, Some(true));
    assert!(answer.mistyped.is_empty());
}

#[test]
fn recorded_security_info() {
    let Some(response) = recorded("securityinfo-ios-11.3.1.xml") else {
        return;
    };
    let answer = SecurityInfoAnswer::from_dictionary(&response).unwrap();
    assert_eq!(answer.hardware_encryption_caps, Some(3));
    assert_eq!(answer.passcode_present, Some(false));
    assert_eq!(answer.passcode_compliant, Some(true));
    assert_eq!(answer.passcode_lock_grace_period, Some(0));
    assert_eq!(answer.fde_enabled, None);

    let response = recorded("securityinfo-10.11.x.xml").unwrap();
    let answer = SecurityInfoAnswer::from_dictionary(&response).unwrap();
    assert_eq!(answer.fde_enabled, Some(false));
}

#[test]
fn recorded_device_lock() {
    let Some(response) = recorded("devicelock-ios-11.3.1.xml") else {
        return;
    };
    let answer = DeviceLockAnswer::from_dictionary(&response);
    assert_eq!(answer.message_result, Some(MessageResult::NoPasscodeSet));
}

#[test]
fn recorded_profile_list() {
    let Some(response) = recorded("profilelist-ios-11.3.1.xml") else {
        return;
    };
    let answer = ProfileListAnswer::from_dictionary(&response).unwrap();
    assert_eq!((answer.profiles.len(), answer.unreadable), (1, 0));
    let profile = &answer.profiles[0];
    assert_eq!(profile.payload_identifier, "dev.commandment.enroll");
    assert_eq!(profile.is_encrypted, Some(false));
    let types: Vec<_> = profile
        .payload_content
        .iter()
        .filter_map(|payload| payload.payload_type.as_deref())
        .collect();
    assert_eq!(
        types,
        [
            "com.apple.security.root",
            "com.apple.security.pkcs1",
            "com.apple.security.pkcs12",
            "com.apple.mdm"
        ]
    );
}

#[test]
fn a_mistyped_key_costs_itself_alone() {
    let response = dictionary(
        "<key>QueryResponses</key><dict>
            <key>DeviceName</key><string>Ada's iPad</string>
            <key>BatteryLevel</key><integer>-1</integer>
            <key>IsSupervised</key><string>yes</string>
            <key>FutureFact</key><dict><key>Deep</key><array/></dict>
        </dict>",
    );
    let answer = DeviceInformationAnswer::from_dictionary(&response).unwrap();
    assert_eq!(answer.device_name.as_deref(), Some("Ada's iPad"));
    assert_eq!(answer.battery_level, Some(-1.0));
    assert_eq!(answer.is_supervised, None);
    assert_eq!(answer.mistyped, ["IsSupervised"]);
}

#[test]
fn unreadable_profiles_are_counted_and_the_others_listed() {
    let response = dictionary(
        "<key>ProfileList</key><array>
            <string>no dictionary</string>
            <dict><key>PayloadUUID</key><string>no identifier</string></dict>
            <dict>
                <key>PayloadIdentifier</key><string>org.example.wifi</string>
                <key>PayloadVersion</key><string>one</string>
                <key>SignerCertificates</key><array><data>MAA=</data></array>
            </dict>
        </array>",
    );
    let answer = ProfileListAnswer::from_dictionary(&response).unwrap();
    assert_eq!((answer.profiles.len(), answer.unreadable), (1, 2));
    assert_eq!(answer.profiles[0].payload_version, None);
    let signer: &[u8] = answer.profiles[0].signer_certificates[0].as_ref();
    assert_eq!(signer, [0x30, 0x00]);
}

#[test]
fn an_answer_that_is_not_there_is_an_error() {
    let empty = dictionary("<key>Status</key><string>Acknowledged</string>");
    for request_type in ["DeviceInformation", "SecurityInfo", "ProfileList"] {
        let error = Answer::read(request_type, &empty).unwrap_err();
        assert!(error.to_string().starts_with("the answer to "), "{error}");
        assert_eq!(error.request_type, request_type);
    }
    for request_type in [
        "ClearPasscode",
        "EraseDevice",
        "InstallProfile",
        "RemoveProfile",
    ] {
        assert_eq!(Answer::read(request_type, &empty), Ok(Answer::StatusOnly));
    }
    assert_eq!(Answer::read("CertificateList", &empty), Ok(Answer::Unknown));
}

/// Values of every type, a few levels deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<u64>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_map(Value::Real),
        ".{0,12}".prop_map(Value::String),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Data),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            Just("PayloadIdentifier".to_owned()),
            Just("PayloadContent".to_owned()),
            Just("OSVersion".to_owned()),
            Just("ServiceSubscriptions".to_owned()),
            Just("FirewallSettings".to_owned()),
            Just("Applications".to_owned()),
            "[A-Za-z]{1,8}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|keys| Value::Dictionary(keys.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_panics(value in any_value()) {
        for (request_type, key) in [
            ("DeviceInformation", "QueryResponses"),
            ("SecurityInfo", "SecurityInfo"),
            ("DeviceLock", "MessageResult"),
            ("ProfileList", "ProfileList"),
        ] {
            let mut response = Dictionary::new();
            response.insert(key.to_owned(), value.clone());
            let _ = Answer::read(request_type, &response);
        }
    }
}
