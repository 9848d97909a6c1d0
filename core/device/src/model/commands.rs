//! The commands that the simulated device understands (Apple, "Commands and queries").

use lanyard_mdm::connect::Status;
use plist::{Dictionary, Value};

use super::{Answer, Consequence, Lock, Model, Profile};

/// Does what a command says. Keys of a wrong type and missing ones are answered CommandFormatError, as devices do.
pub(super) fn carry_out(model: &mut Model, request_type: &str, command: &Dictionary) -> Answer {
    let answer = match request_type {
        "DeviceInformation" => device_information(model, command),
        "SecurityInfo" => Some(security_info(model)),
        "DeviceLock" => device_lock(model, command),
        "ClearPasscode" => clear_passcode(model, command),
        "EraseDevice" => Some(erase_device(model)),
        "ProfileList" => profile_list(model, command),
        "InstallProfile" => install_profile(model, command),
        "RemoveProfile" => remove_profile(model, command),
        _ => Some(Answer::error(
            "MCMDMErrorDomain",
            12021,
            &format!("“{request_type}” is not a valid request type."),
        )),
    };
    answer.unwrap_or_else(|| Answer::status(Status::CommandFormatError))
}

fn device_information(model: &Model, command: &Dictionary) -> Option<Answer> {
    let queries: Option<Vec<&str>> = command
        .get("Queries")?
        .as_array()?
        .iter()
        .map(Value::as_string)
        .collect();
    let answers = model.facts.answers(queries?.into_iter());
    Some(Answer::response(Dictionary::from_iter([(
        "QueryResponses",
        answers,
    )])))
}

fn security_info(model: &Model) -> Answer {
    let info = Dictionary::from_iter([
        // 1: block level, 2: file level.
        ("HardwareEncryptionCaps", Value::from(3)),
        ("PasscodePresent", model.passcode_present.into()),
        ("PasscodeCompliant", true.into()),
        ("PasscodeCompliantWithProfiles", true.into()),
        ("PasscodeLockGracePeriod", 0.into()),
        ("PasscodeLockGracePeriodEnforced", 0.into()),
    ]);
    Answer::response(Dictionary::from_iter([("SecurityInfo", info)]))
}

fn device_lock(model: &mut Model, command: &Dictionary) -> Option<Answer> {
    let lock = Lock {
        message: optional_text(command, "Message")?,
        phone_number: optional_text(command, "PhoneNumber")?,
    };
    let says_something = lock.message.is_some() || lock.phone_number.is_some();
    let result = match (model.passcode_present, says_something) {
        // Without a passcode the screen goes off and shows no message.
        (false, _) => Some("NoPasscodeSet"),
        (true, true) => Some("Success"),
        (true, false) => None,
    };
    model.lock = Some(if model.passcode_present {
        lock
    } else {
        Lock::default()
    });
    Some(Answer::response(
        result
            .map(|result| ("MessageResult", result))
            .into_iter()
            .collect(),
    ))
}

fn clear_passcode(model: &mut Model, command: &Dictionary) -> Option<Answer> {
    let token = command.get("UnlockToken")?.as_data()?;
    if token != model.unlock_token.expose() {
        return Some(Answer::error(
            "MCPasscodeErrorDomain",
            5013,
            "The passcode cannot be cleared: the unlock token is not this device's.",
        ));
    }
    model.passcode_present = false;
    // Nothing holds the screen any more: whoever has the device in hand gets in.
    model.lock = None;
    Some(Answer::default())
}

fn erase_device(model: &mut Model) -> Answer {
    model.erased = true;
    model.passcode_present = false;
    model.lock = None;
    model.profiles.clear();
    Answer {
        then: Consequence::Erased,
        ..Answer::default()
    }
}

fn profile_list(model: &Model, command: &Dictionary) -> Option<Answer> {
    let managed_only = match command.get("ManagedOnly") {
        Some(value) => value.as_boolean()?,
        None => false,
    };
    let profiles: Vec<Value> = model
        .profiles
        .iter()
        .filter(|profile| profile.managed || !managed_only)
        .map(|profile| profile.listed().into())
        .collect();
    Some(Answer::response(Dictionary::from_iter([(
        "ProfileList",
        Value::from(profiles),
    )])))
}

fn install_profile(model: &mut Model, command: &Dictionary) -> Option<Answer> {
    let payload = command.get("Payload")?.as_data()?;
    let mut profile = match Profile::read(payload) {
        Ok(profile) => profile,
        Err(error) => {
            return Some(Answer::error(
                error.domain(),
                error.code(),
                &error.to_string(),
            ));
        }
    };
    let reenroll = profile.enrolls();
    // The enrollment profile is nobody's to manage but the device owner's.
    profile.managed = !reenroll;
    model.install(profile);
    Some(Answer {
        then: if reenroll {
            Consequence::Reenroll(payload.to_vec())
        } else {
            Consequence::None
        },
        ..Answer::default()
    })
}

fn remove_profile(model: &mut Model, command: &Dictionary) -> Option<Answer> {
    let identifier = command.get("Identifier")?.as_string()?;
    let place = model
        .profiles
        .iter()
        .position(|profile| profile.identifier == identifier);
    let removable = place.filter(|place| {
        let profile = &model.profiles[*place];
        profile.managed || profile.enrolls()
    });
    let Some(place) = removable else {
        return Some(Answer::error(
            "MCMDMErrorDomain",
            12013,
            &format!("The profile “{identifier}” is not managed by MDM."),
        ));
    };
    let removed = model.profiles.remove(place);
    if !removed.enrolls() {
        return Some(Answer::default());
    }
    // What MDM brought leaves with it.
    model.profiles.retain(|profile| !profile.managed);
    Some(Answer {
        then: Consequence::Unenrolled,
        ..Answer::default()
    })
}

/// `None` if the key holds something else than text.
fn optional_text(command: &Dictionary, key: &str) -> Option<Option<String>> {
    match command.get(key) {
        None => Some(None),
        Some(value) => value.as_string().map(|text| Some(text.to_owned())),
    }
}
