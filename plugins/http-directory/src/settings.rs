//! What an operator sets: where the API is, what it is asked, and how its answers are told apart.

use std::collections::BTreeMap;

use lanyard_sdk::http::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is asked with a name and a password.
    pub(crate) sign_in: Call,
    /// Answers that mean: wrong password.
    #[serde(default = "unauthorized")]
    pub(crate) rejected: Vec<When>,
    /// Answers that mean: nobody of that name.
    #[serde(default)]
    pub(crate) unknown: Vec<When>,
    /// A further step with a one-time code.
    pub(crate) code: Option<CodeStep>,
    /// Where an answer of success has the person.
    pub(crate) person: PersonPlaces,
    /// Who is in none of these may not enroll. Default: everybody may.
    #[serde(default)]
    pub(crate) allowed_groups: Vec<String>,
    /// How a person is looked up later. Without it, whoever signed in stays active.
    pub(crate) lookup: Option<LookupCall>,
}

/// A POST.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) format: Format,
    /// The body, with places: `{user}`, `{password}`, `{state}`, `{code}`.
    pub(crate) body: Map<String, Value>,
    /// Name of `[credentials.NAME]` in the configuration; the binding grants it.
    pub(crate) credential: Option<String>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`: a flat body of texts.
    Form,
}

/// What an answer is known by. All that is set must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    status: Option<u16>,
    /// A JSON Pointer (RFC 6901) into the answer.
    at: Option<String>,
    /// What stands there. Without it: anything but null.
    is: Option<Value>,
}

/// What a person is asked after the password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeStep {
    /// Answers that ask for it.
    pub(crate) when: When,
    /// Where such an answer has what the API knows the sign-in by: `{state}` of the call.
    pub(crate) state: String,
    /// What stands beside the field.
    #[serde(default = "code_label")]
    pub(crate) label: String,
    pub(crate) call: Call,
}

/// JSON Pointers into an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonPlaces {
    /// What names the person for ever: a text or a number.
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    /// Texts, which become the attribute `groups`.
    pub(crate) groups: Option<String>,
    /// Attributes, each a text or texts.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A GET.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupCall {
    /// With `{id}`, which is escaped.
    pub(crate) url: String,
    pub(crate) credential: Option<String>,
    /// Answers that mean: nobody of that id any more.
    #[serde(default = "not_found")]
    pub(crate) unknown: Vec<When>,
    /// Answers that mean: known, and may not act any more.
    #[serde(default)]
    pub(crate) disabled: Vec<When>,
    /// Where the answer has the person, if elsewhere than that of a sign-in.
    pub(crate) person: Option<PersonPlaces>,
}

fn unauthorized() -> Vec<When> {
    vec![When::status(401)]
}

fn not_found() -> Vec<When> {
    vec![When::status(404)]
}

fn code_label() -> String {
    "One-time code".to_owned()
}

impl When {
    fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            at: None,
            is: None,
        }
    }

    pub(crate) fn holds(&self, response: &Response, answer: &Value) -> bool {
        let status = self.status.is_none_or(|status| status == response.status);
        let found = self.at.as_ref().map(|at| answer.pointer(at));
        let place = match (found, &self.is) {
            (None, _) => true,
            (Some(found), Some(expected)) => found == Some(expected),
            (Some(found), None) => found.is_some_and(|found| !found.is_null()),
        };
        status && place
    }

    fn check(&self, key: &str) -> Result<(), String> {
        if self.status.is_none() && self.at.is_none() {
            return Err(format!(
                "`{key}` has neither `status` nor `at`, and would always hold"
            ));
        }
        if self.is.is_some() && self.at.is_none() {
            return Err(format!("`{key}` has `is` without `at`: say where"));
        }
        // Who is asked and fails has told nothing of a password.
        if self.status.is_some_and(|status| status >= 500) {
            return Err(format!(
                "`{key}` has a status of 500 or more, which means that the API is in trouble"
            ));
        }
        match &self.at {
            Some(at) => pointer(key, at),
            None => Ok(()),
        }
    }
}

impl Call {
    fn check(&self, key: &str, secret: &str) -> Result<(), String> {
        let secrets = self.places_of(secret);
        if secrets.len() != 1 {
            return Err(format!(
                "`{key}.body` has {} values {secret:?}; expected one, and nothing else in it",
                secrets.len()
            ));
        }
        let flat = self.body.values().all(Value::is_string);
        if self.format == Format::Form && !flat {
            return Err(format!("`{key}.body` is a form, whose values are texts"));
        }
        Ok(())
    }

    /// JSON Pointers to the values that are this very place.
    pub(crate) fn places_of(&self, place: &str) -> Vec<String> {
        fn search(value: &Value, at: &str, place: &str, found: &mut Vec<String>) {
            match value {
                Value::String(text) if text == place => found.push(at.to_owned()),
                Value::Array(values) => {
                    for (index, value) in values.iter().enumerate() {
                        search(value, &format!("{at}/{index}"), place, found);
                    }
                }
                Value::Object(values) => {
                    for (name, value) in values {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        search(value, &format!("{at}/{name}"), place, found);
                    }
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        search(&Value::Object(self.body.clone()), "", place, &mut found);
        found
    }
}

impl PersonPlaces {
    fn check(&self, key: &str) -> Result<(), String> {
        let named = [Some(&self.id), self.name.as_ref(), self.groups.as_ref()];
        let places = named.into_iter().flatten().chain(self.attributes.values());
        places.into_iter().try_for_each(|at| pointer(key, at))
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        self.sign_in.check("sign_in", "{password}")?;
        let names = self.sign_in.body.values().map(Value::to_string);
        if !names.into_iter().any(|value| value.contains("{user}")) {
            return Err("`sign_in.body` has no {user} in it".to_owned());
        }
        self.rejected
            .iter()
            .try_for_each(|when| when.check("rejected"))?;
        self.unknown
            .iter()
            .try_for_each(|when| when.check("unknown"))?;
        self.person.check("person")?;
        if let Some(code) = &self.code {
            code.call.check("code.call", "{code}")?;
            code.when.check("code.when")?;
            pointer("code.state", &code.state)?;
        }
        if let Some(lookup) = &self.lookup {
            if !lookup.url.contains("{id}") {
                return Err("`lookup.url` has no {id} in it".to_owned());
            }
            lookup
                .unknown
                .iter()
                .try_for_each(|when| when.check("lookup.unknown"))?;
            lookup
                .disabled
                .iter()
                .try_for_each(|when| when.check("lookup.disabled"))?;
            if let Some(person) = &lookup.person {
                person.check("lookup.person")?;
            }
        }
        if !self.allowed_groups.is_empty() && self.person.groups.is_none() {
            return Err(
                "`allowed_groups` needs `person.groups`, or nobody would be in any".to_owned(),
            );
        }
        Ok(())
    }
}

fn pointer(key: &str, at: &str) -> Result<(), String> {
    if at.starts_with('/') {
        return Ok(());
    }
    Err(format!(
        "`{key}` has {at:?}; expected a JSON Pointer, such as \"/user/id\""
    ))
}
