//! Each command of the catalogue has its effect on the device, and its answer on the server.

use std::fs;

use lanyard_device::journal::{State, Status};
use lanyard_tests::site::Site;
use plist::{Dictionary, Value};

use super::running;
use crate::puppet::Puppet;

const UDID: &str = "00008120-000000000000C0DE";
const PROFILE: &str = "org.example.lanyard.test";

/// A command, how it ends, and what is true of the device and of its answer then.
type Step<'a> = (
    &'a str,
    &'a [&'a str],
    &'a str,
    fn(&State, &Dictionary) -> bool,
);

#[test]
fn each_command_does_what_it_says() {
    let site = running();
    let password = site.add_user("correct horse battery").unwrap();
    let mut device = site.start_device(&password, &["--udid", UDID]).unwrap();
    device.wait_for("check-in (TokenUpdate)").unwrap();
    let payload = format!("Payload@={}", profile(&site));
    let steps: [Step<'_>; 12] = [
        ("DeviceInformation", &[], "acknowledged", |state, answer| {
            let responses = answer["QueryResponses"].as_dictionary().unwrap();
            responses["UDID"].as_string() == Some(UDID)
                && responses["SerialNumber"].as_string() == Some(&state.serial)
        }),
        ("SecurityInfo", &[], "acknowledged", |_, answer| {
            let info = answer["SecurityInfo"].as_dictionary().unwrap();
            info["PasscodePresent"].as_boolean() == Some(true)
        }),
        (
            "DeviceLock",
            &["Message=Front desk", "PhoneNumber=+1 555 0100"],
            "acknowledged",
            |state, answer| {
                let lock = state.model.lock.as_ref();
                state.locked
                    && lock.and_then(|lock| lock.message.as_deref()) == Some("Front desk")
                    && answer["MessageResult"].as_string() == Some("Success")
            },
        ),
        ("ClearPasscode", &[], "acknowledged", |state, _| {
            !state.passcode_present && !state.locked
        }),
        ("SecurityInfo", &[], "acknowledged", |_, answer| {
            let info = answer["SecurityInfo"].as_dictionary().unwrap();
            info["PasscodePresent"].as_boolean() == Some(false)
        }),
        ("ProfileList", &[], "acknowledged", |state, answer| {
            listed(answer) == [state.enrollment_profile.clone().unwrap()]
        }),
        ("InstallProfile", &[&payload], "acknowledged", |state, _| {
            state
                .model
                .profiles
                .iter()
                .any(|profile| profile.identifier == PROFILE)
        }),
        ("ProfileList", &[], "acknowledged", |_, answer| {
            listed(answer).contains(&PROFILE.to_owned())
        }),
        (
            "RemoveProfile",
            &["Identifier=org.example.lanyard.test"],
            "acknowledged",
            |state, _| state.model.profiles.len() == 1,
        ),
        ("ProfileList", &[], "acknowledged", |_, answer| {
            listed(answer).len() == 1
        }),
        // It is not there any more.
        (
            "RemoveProfile",
            &["Identifier=org.example.lanyard.test"],
            "error",
            |_, answer| answer["ErrorChain"].as_array().map(Vec::len) == Some(1),
        ),
        ("EraseDevice", &[], "acknowledged", |state, _| {
            state.model.erased && state.model.profiles.is_empty()
        }),
    ];
    for step in steps {
        check(&site, step);
    }
    assert!(device.wait().unwrap().success(), "{}", device.said());
    assert_eq!(site.device_state(UDID).unwrap().status, Status::Erased);
}

fn check(site: &Site, (request_type, keys, state, holds): Step<'_>) {
    let uuid = site.send(UDID, request_type, keys).unwrap();
    let command = site.completed(&uuid).unwrap();
    assert_eq!(command["state"], state, "{request_type}: {command}");
    let result = command["result"].as_str().unwrap();
    let answer = Value::from_reader_xml(result.as_bytes()).unwrap();
    let answer = answer.into_dictionary().unwrap();
    let device = site.device_state(UDID).unwrap();
    assert!(holds(&device, &answer), "{request_type}: {result}");
    let said = device.model.answered.back().unwrap();
    assert_eq!(said.command_uuid, uuid);
}

/// The identifiers in a ProfileList.
fn listed(answer: &Dictionary) -> Vec<String> {
    let profiles = answer["ProfileList"].as_array().unwrap();
    profiles
        .iter()
        .map(|profile| {
            profile.as_dictionary().unwrap()["PayloadIdentifier"]
                .as_string()
                .unwrap()
        })
        .map(str::to_owned)
        .collect()
}

/// A profile that configures nothing, in a file.
fn profile(site: &Site) -> String {
    let keys = [
        ("PayloadType", Value::from("Configuration")),
        ("PayloadVersion", 1.into()),
        ("PayloadIdentifier", PROFILE.into()),
        ("PayloadUUID", "5F6A1C1E-64E4-4D9E-8C13-0D3F1D4B7E11".into()),
        ("PayloadContent", Value::Array(Vec::new())),
    ];
    let file = site.data().with_file_name("test.mobileconfig");
    Value::Dictionary(Dictionary::from_iter(keys))
        .to_file_xml(&file)
        .unwrap();
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_another_type_goes_as_it_is() {
    let site = running();
    let password = site.add_user("correct horse battery").unwrap();
    let further = ["--udid", UDID, "--behaviour", "Dance=format-error"];
    let mut device = site.start_device(&password, &further).unwrap();
    device.wait_for("check-in (TokenUpdate)").unwrap();

    let request = Dictionary::from_iter([
        ("Beat", Value::from(128)),
        ("Partners", Value::Array(vec!["Ada".into(), true.into()])),
        ("Tune", Value::Data(vec![0, 1, 254, 255])),
    ]);
    let file = site.data().with_file_name("request.plist");
    Value::Dictionary(request.clone())
        .to_file_xml(&file)
        .unwrap();
    let file = file.display().to_string();
    for (request_type, state, error) in [
        ("Sing", "error", "MCMDMErrorDomain 12021: "),
        ("Dance", "format_error", ""),
    ] {
        let uuid = site.send(UDID, request_type, &["--plist", &file]).unwrap();
        let command = site.completed(&uuid).unwrap();
        assert_eq!(command["state"], state, "{command}");
        assert!(
            command["error"]
                .as_str()
                .unwrap_or_default()
                .starts_with(error),
            "{command}"
        );

        let stored = site
            .store()
            .await
            .unwrap()
            .find_command(UDID, &uuid)
            .await
            .unwrap()
            .unwrap();
        let sent = Value::from_reader_xml(stored.payload.expose().as_slice())
            .unwrap()
            .into_dictionary()
            .unwrap();
        let mut expected = request.clone();
        expected.insert("RequestType".to_owned(), request_type.into());
        assert_eq!(sent["CommandUUID"].as_string(), Some(uuid.as_str()));
        assert_eq!(sent["Command"], Value::Dictionary(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passcode_is_not_cleared_without_the_devices_own_token() {
    let site = running();
    let puppet = Puppet::without_tokens(&site, UDID);
    let tokens = vec![
        ("Topic", puppet.management.topic.as_str().into()),
        ("Token", Value::Data(vec![7; 32])),
        ("PushMagic", "magic".into()),
    ];
    assert_eq!(
        puppet.check_in("TokenUpdate", tokens.clone()).await.status,
        200
    );
    let error = site.send(UDID, "ClearPasscode", &[]).unwrap_err();
    assert!(error.contains("never sent an unlock token"), "{error}");
    assert!(puppet.idle().await.is_none());

    // One that comes later is good, and one that does not come with a later TokenUpdate is not forgotten.
    let with = [
        tokens.clone(),
        vec![("UnlockToken", Value::Data(vec![9; 100]))],
    ]
    .concat();
    for update in [with, tokens] {
        assert_eq!(puppet.check_in("TokenUpdate", update).await.status, 200);
        let uuid = site.send(UDID, "ClearPasscode", &[]).unwrap();
        let command = puppet.idle().await.unwrap();
        assert_eq!(command.uuid(), uuid);
        assert_eq!(command.request()["UnlockToken"], Value::Data(vec![9; 100]));
        assert!(puppet.answer(&uuid, "Acknowledged").await.is_none());
        // What the operator sees of it does not hold the token.
        let shown = site.lanyard(&["command", "show", &uuid, "--json"]).unwrap();
        assert!(!shown.contains("UnlockToken"), "{shown}");
    }
    let secret = fs::read_to_string(site.data().with_file_name("logs").join("server.log")).unwrap();
    assert!(
        !secret.contains("CQkJCQkJ"),
        "the unlock token is in the log"
    );
}
