//! Between the contract's types and those of `lanyard-policy`. What a plugin returned is checked here, before anybody shows
//! it to a person, stores it or compares it.

use std::collections::BTreeMap;

use lanyard_policy::{
    Decision, Facts, Field, FieldKind, HookFailure, MAX_STATE_BYTES, Person, Reason, Standing,
    Step, Value,
};

use crate::bindings::exports::lanyard::policy::directory as wit;
use crate::bindings::lanyard::policy::types;

/// Longest id, name or label, in bytes.
const NAME_BYTES: usize = 255;
/// Longest sentence or value, in bytes.
const TEXT_BYTES: usize = 1024;
/// Longest code or key, in bytes.
const CODE_BYTES: usize = 64;
/// Longest URL, in bytes: what browsers and proxies agree to carry.
const URL_BYTES: usize = 2048;
/// Most fields of a form.
const FIELDS: usize = 16;
/// Most attributes of a person, facts of a verdict, or values of either.
const ENTRIES: usize = 512;

pub(crate) fn decision(decision: &Decision) -> types::Decision {
    types::Decision {
        id: decision.id.clone(),
        at_ms: decision.at_ms,
    }
}

/// Where a request came from, as facts.
pub(crate) fn peer_facts(remote_address: String, user_agent: Option<String>) -> Vec<types::Fact> {
    let fact = |name: &str, text| types::Fact {
        name: name.to_owned(),
        value: types::Value::Text(text),
    };
    let mut facts = vec![fact("remote-address", remote_address)];
    facts.extend(user_agent.map(|agent| fact("user-agent", agent)));
    facts
}

pub(crate) fn step(directory: &str, step: wit::Step) -> Result<Step, HookFailure> {
    Ok(match step {
        wit::Step::Authenticated(who) => Step::Authenticated(person(directory, who)?),
        wit::Step::Rejected(why) => Step::Rejected(reason(why)?),
        wit::Step::Abstain => Step::Abstain,
        wit::Step::Ask(form) => {
            counted("form's fields", &form.fields, 1..=FIELDS)?;
            Step::Ask {
                fields: form
                    .fields
                    .into_iter()
                    .map(field)
                    .collect::<Result<_, _>>()?,
                state: state(form.state)?,
            }
        }
        wit::Step::Redirect(to) => Step::Redirect {
            url: line("redirection's url", to.url, 1, URL_BYTES)?,
            state: state(to.state)?,
        },
    })
}

pub(crate) fn standing(directory: &str, standing: wit::Standing) -> Result<Standing, HookFailure> {
    Ok(match standing {
        wit::Standing::Active(who) => Standing::Active(person(directory, who)?),
        wit::Standing::Disabled(why) => Standing::Disabled(reason(why)?),
        wit::Standing::Unknown => Standing::Unknown,
        wit::Standing::Unavailable => Standing::Unavailable,
    })
}

fn person(directory: &str, person: types::Person) -> Result<Person, HookFailure> {
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

fn reason(reason: types::Reason) -> Result<Reason, HookFailure> {
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
    counted("reason's facts", &reason.relied_on, 0..=ENTRIES)?;
    let mut relied_on = Facts::new();
    for types::Fact { name, value } in reason.relied_on {
        let value = match value {
            types::Value::Boolean(boolean) => Value::Boolean(boolean),
            types::Value::Integer(integer) => Value::Integer(integer),
            types::Value::Text(text) => Value::Text(line("fact's value", text, 0, TEXT_BYTES)?),
            types::Value::Texts(list) => Value::List(texts("fact's value", list)?),
        };
        relied_on.insert(line("fact's name", name, 1, CODE_BYTES)?, value);
    }
    Ok(Reason {
        code,
        message: line("reason's message", reason.message, 0, TEXT_BYTES)?,
        relied_on,
    })
}

fn field(field: wit::Field) -> Result<Field, HookFailure> {
    Ok(Field {
        name: line("field's name", field.name, 1, CODE_BYTES)?,
        label: line("field's label", field.label, 0, NAME_BYTES)?,
        kind: match field.kind {
            wit::FieldKind::Text => FieldKind::Text,
            wit::FieldKind::Password => FieldKind::Password,
            wit::FieldKind::OneTimeCode => FieldKind::OneTimeCode,
        },
    })
}

fn texts(what: &str, list: Vec<String>) -> Result<Vec<String>, HookFailure> {
    counted(what, &list, 0..=ENTRIES)?;
    list.into_iter()
        .map(|text| line(what, text, 0, TEXT_BYTES))
        .collect()
}

fn state(state: Vec<u8>) -> Result<Vec<u8>, HookFailure> {
    if state.len() > MAX_STATE_BYTES {
        return Err(invalid(format!(
            "the state has {} bytes; at most {MAX_STATE_BYTES} are kept",
            state.len()
        )));
    }
    Ok(state)
}

/// Text on one line: a control character could forge a line of a log, or hide what a person is asked.
fn line(what: &str, text: String, least: usize, most: usize) -> Result<String, HookFailure> {
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

fn counted<T>(
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

fn invalid(detail: String) -> HookFailure {
    HookFailure::InvalidAnswer { detail }
}
