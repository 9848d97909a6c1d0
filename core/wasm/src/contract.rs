//! Between the contract's types and those of `lanyard-policy`. What a plugin returned is checked here, before anybody shows
//! it to a person, stores it or compares it.

use std::collections::BTreeMap;

use lanyard_policy::{
    CommandRequest, CommandResult, Decision, DeviceFacts, Facts, HookFailure, Person, PersonRef,
    Reason, ResultStatus, Value,
};

use crate::bindings::types;

/// The version of the contract that this host speaks.
pub(crate) const CONTRACT: &str = "0.1.0-dev";

/// Longest id, name or label, in bytes.
pub(crate) const NAME_BYTES: usize = 255;
/// Longest sentence or value, in bytes.
pub(crate) const TEXT_BYTES: usize = 1024;
/// Longest code or key, in bytes.
pub(crate) const CODE_BYTES: usize = 64;
/// Most attributes of a person, facts of a verdict, or values of either.
const ENTRIES: usize = 512;
/// Longest command, in bytes: a profile with a few certificates has some dozen kilobytes.
const PLIST_BYTES: usize = 1 << 20;

pub(crate) fn decision(decision: &Decision) -> types::Decision {
    types::Decision {
        id: decision.id.clone(),
        at_ms: decision.at_ms,
    }
}

/// Named values that a plugin hands over.
pub(crate) fn facts(what: &str, handed: Vec<types::Fact>) -> Result<Facts, HookFailure> {
    counted(what, &handed, 0..=ENTRIES)?;
    let mut facts = Facts::new();
    for types::Fact { name, value } in handed {
        let value = match value {
            types::Value::Boolean(boolean) => Value::Boolean(boolean),
            types::Value::Integer(integer) => Value::Integer(integer),
            types::Value::Text(text) => Value::Text(line("fact's value", text, 0, TEXT_BYTES)?),
            types::Value::Texts(list) => Value::List(texts("fact's value", list)?),
        };
        facts.insert(line("fact's name", name, 1, CODE_BYTES)?, value);
    }
    Ok(facts)
}

/// One named text.
pub(crate) fn fact(name: &str, text: impl Into<String>) -> types::Fact {
    types::Fact {
        name: name.to_owned(),
        value: types::Value::Text(text.into()),
    }
}

/// Several of those that are there.
pub(crate) fn known_facts<const N: usize>(facts: [(&str, Option<String>); N]) -> Vec<types::Fact> {
    let known = facts.into_iter();
    known
        .filter_map(|(name, text)| text.map(|text| fact(name, text)))
        .collect()
}

pub(crate) fn known_person(person: Person) -> types::KnownPerson {
    types::KnownPerson {
        directory: person.directory,
        id: person.id,
        display_name: person.display_name,
        attributes: person
            .attributes
            .into_iter()
            .map(|(name, values)| types::Attribute { name, values })
            .collect(),
    }
}

pub(crate) fn person_ref(person: PersonRef) -> types::PersonRef {
    types::PersonRef {
        directory: person.directory,
        id: person.id,
    }
}

pub(crate) fn device(device: DeviceFacts) -> types::Device {
    let mut facts = known_facts([
        ("serial", device.serial),
        ("product", device.product),
        ("os-version", device.os_version),
        ("build", device.build),
        ("imei", device.imei),
        ("meid", device.meid),
    ]);
    facts.extend(device.further.into_iter().map(|(name, value)| types::Fact {
        name,
        value: match value {
            Value::Boolean(boolean) => types::Value::Boolean(boolean),
            Value::Integer(integer) => types::Value::Integer(integer),
            Value::Text(text) => types::Value::Text(text),
            Value::List(list) => types::Value::Texts(list),
        },
    }));
    types::Device {
        udid: device.udid,
        facts,
    }
}

pub(crate) fn command_result(result: CommandResult) -> types::CommandResult {
    types::CommandResult {
        uuid: result.uuid,
        request_type: result.request_type,
        status: match result.status {
            ResultStatus::Acknowledged => types::ResultStatus::Acknowledged,
            ResultStatus::Error => types::ResultStatus::Error,
            ResultStatus::CommandFormatError => types::ResultStatus::CommandFormatError,
            ResultStatus::NotNow => types::ResultStatus::NotNow,
        },
        at_ms: result.at_ms,
        error: result.error,
    }
}

pub(crate) fn command_request(
    request: types::CommandRequest,
) -> Result<CommandRequest, HookFailure> {
    if request.command_plist.len() > PLIST_BYTES {
        return Err(invalid(format!(
            "the command has {} bytes; at most {PLIST_BYTES} are taken",
            request.command_plist.len()
        )));
    }
    Ok(CommandRequest {
        dedupe_key: line("command's dedupe key", request.dedupe_key, 1, 128)?,
        request_type: line("command's request type", request.request_type, 1, 127)?,
        command_plist: request.command_plist,
        reason: reason(request.reason)?,
    })
}

/// Where a request came from, as facts.
pub(crate) fn peer_facts(remote_address: String, user_agent: Option<String>) -> Vec<types::Fact> {
    known_facts([
        ("remote-address", Some(remote_address)),
        ("user-agent", user_agent),
    ])
}

pub(crate) fn person(directory: &str, person: types::Person) -> Result<Person, HookFailure> {
    counted("person's attributes", &person.attributes, 0..=ENTRIES)?;
    let mut attributes = BTreeMap::new();
    for types::Attribute { name, values } in person.attributes {
        let name = line("attribute's name", name, 1, CODE_BYTES)?;
        attributes.insert(name, texts("attribute's value", values)?);
    }
    Ok(Person {
        directory: directory.to_owned(),
        id: line("person's id", person.id, 1, NAME_BYTES)?,
        display_name: line("person's display name", person.display_name, 0, NAME_BYTES)?,
        attributes,
    })
}

pub(crate) fn reason(reason: types::Reason) -> Result<Reason, HookFailure> {
    let code = line("reason's code", reason.code, 1, CODE_BYTES)?;
    if !code
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        return Err(invalid(
            "the reason's code has other characters than lower-case letters, digits and hyphens"
                .to_owned(),
        ));
    }
    let relied_on = facts("reason's facts", reason.relied_on)?;
    Ok(Reason {
        code,
        message: line("reason's message", reason.message, 0, TEXT_BYTES)?,
        relied_on,
    })
}

pub(crate) fn texts(what: &str, list: Vec<String>) -> Result<Vec<String>, HookFailure> {
    counted(what, &list, 0..=ENTRIES)?;
    list.into_iter()
        .map(|text| line(what, text, 0, TEXT_BYTES))
        .collect()
}

/// Text on one line: a control character could forge a line of a log, or hide what a person is asked.
pub(crate) fn line(
    what: &str,
    text: String,
    least: usize,
    most: usize,
) -> Result<String, HookFailure> {
    if !(least..=most).contains(&text.len()) {
        return Err(invalid(format!(
            "the {what} has {} bytes; {least} to {most} are right",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(format!("the {what} has control characters")));
    }
    Ok(text)
}

pub(crate) fn counted<T>(
    what: &str,
    list: &[T],
    right: std::ops::RangeInclusive<usize>,
) -> Result<(), HookFailure> {
    if right.contains(&list.len()) {
        return Ok(());
    }
    Err(invalid(format!(
        "the {what} are {}; {} to {} are right",
        list.len(),
        right.start(),
        right.end()
    )))
}

pub(crate) fn invalid(detail: String) -> HookFailure {
    HookFailure::InvalidAnswer { detail }
}
