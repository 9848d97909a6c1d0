//! Persons of a vendor's login API, which the settings describe: what it is asked with a name and a password, how its answers are told
//! apart, and how it asks for a one-time code. The plugin reads no password and no code, and knows no credential.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod settings;
#[cfg(test)]
mod tests;

use lanyard_sdk::{
    Directory, Field, FieldKind, Form, Inquiry, Person, Plugin, Reason, Resumption, Secret, SignIn,
    Standing, Step, Unavailable, http::Request,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use api::Answer;
pub use settings::Settings;

/// Name of the code's field.
const CODE: &str = "code";

/// The directory.
pub struct HttpDirectory(Settings);

impl Plugin for HttpDirectory {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl Directory for HttpDirectory {
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        let user = ("{user}", request.user_name.as_str());
        let answer = self.0.sign_in.send(user, ("{password}", password))?;
        if answer.is_any(&self.0.unknown) {
            return Ok(Step::Abstain);
        }
        self.after(&answer, "wrong-password", "User name or password is wrong.")
    }

    fn resume(&self, request: Resumption) -> Result<Step, Unavailable> {
        let Some(step) = &self.0.code else {
            let none = "`code` was taken out of the settings while somebody looked for theirs";
            return Err(Unavailable(none.to_owned()));
        };
        let state = String::from_utf8(request.state)
            .map_err(|_| Unavailable("the state is not ours".to_owned()))?;
        let mut input = request.input.iter();
        let Some(code) = input.find(|input| input.name == CODE) else {
            return Ok(Reason::new("no-code", "The code is missing.").deny());
        };
        let answer = step
            .call
            .send(("{state}", &state), ("{code}", &code.value))?;
        self.after(&answer, "wrong-code", "The code is wrong.")
    }

    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable> {
        let Some(lookup) = &self.0.lookup else {
            return Ok(Standing::Active(Person {
                display_name: request.person_id.clone(),
                id: request.person_id,
                attributes: Vec::new(),
            }));
        };
        let id = utf8_percent_encode(&request.person_id, NON_ALPHANUMERIC).to_string();
        let mut call =
            Request::get(lookup.url.replace("{id}", &id)).header("accept", "application/json");
        if let Some(credential) = &lookup.credential {
            call = call.credential(credential);
        }
        let answer = Answer::of(call.send()?);
        if answer.is_any(&lookup.unknown) {
            return Ok(Standing::Unknown);
        }
        if answer.is_any(&lookup.disabled) {
            let reason = Reason::new("account-disabled", "This account is disabled.");
            return Ok(Standing::Disabled(reason));
        }
        let person = answer.person(lookup.person.as_ref().unwrap_or(&self.0.person))?;
        Ok(match self.barred(&person) {
            Some(reason) => Standing::Disabled(reason),
            None => Standing::Active(person),
        })
    }
}

impl HttpDirectory {
    /// What follows from an answer: a rejection by this name, a code that is asked for, or the person.
    fn after(&self, answer: &Answer, code: &str, message: &str) -> Result<Step, Unavailable> {
        if answer.is_any(&self.0.rejected) {
            return Ok(Reason::new(code, message).deny());
        }
        if let Some(step) = self.0.code.as_ref().filter(|step| answer.is(&step.when)) {
            let state = answer.text(&step.state).ok_or_else(|| {
                Unavailable(format!(
                    "the API asks for a code, and has nothing at {}",
                    step.state
                ))
            })?;
            return Ok(Step::Ask(Form {
                fields: vec![Field {
                    name: CODE.to_owned(),
                    label: step.label.clone(),
                    kind: FieldKind::OneTimeCode,
                }],
                state: state.into_bytes(),
            }));
        }
        let person = answer.person(&self.0.person)?;
        Ok(match self.barred(&person) {
            Some(reason) => reason.deny(),
            None => Step::Authenticated(person),
        })
    }

    /// Why a person may not enroll, by their groups.
    fn barred(&self, person: &Person) -> Option<Reason> {
        let allowed = &self.0.allowed_groups;
        let mut attributes = person.attributes.iter();
        let groups = attributes.find(|attribute| attribute.name == "groups");
        let groups = groups
            .map(|groups| groups.values.clone())
            .unwrap_or_default();
        if allowed.is_empty() || groups.iter().any(|group| allowed.contains(group)) {
            return None;
        }
        let message = "You may not enroll devices here. Ask your administrator.";
        Some(Reason::new("not-in-group", message).relying_on("groups", groups))
    }
}

lanyard_sdk::export! {
    HttpDirectory: directory;
    grants: {
        http: "asks the login API about passwords, codes and persons",
        secrets: "the password and the code go to the login API, and are never read",
    };
    settings_schema: include_str!("../settings.schema.json");
}
