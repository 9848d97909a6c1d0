//! Requests as the settings describe them, and what stands in their answers.

use lanyard_sdk::{
    Attribute, Person, Secret, Unavailable,
    http::{Request, Response},
};
use serde_json::{Map, Value};

use crate::settings::{Call, Format, PersonPlaces, When};

/// An answer, and what it says: null if it is no JSON.
pub(crate) struct Answer {
    response: Response,
    content: Value,
}

impl Call {
    /// Sends the body with `value` wherever `place` is, and the secret where its own place is.
    pub(crate) fn send(
        &self,
        (place, value): (&str, &str),
        (secret_place, secret): (&str, &Secret),
    ) -> Result<Answer, Unavailable> {
        let secret_at = self.places_of(secret_place);
        let body = filled(&self.body, place, value);
        let mut request = Request::post(&self.url).header("accept", "application/json");
        if let Some(credential) = &self.credential {
            request = request.credential(credential);
        }
        match self.format {
            Format::Json => {
                request = request.json(&body);
                for pointer in secret_at {
                    request = request.secret_at(pointer, secret);
                }
            }
            Format::Form => {
                // The host adds the secret's field, so the one that says where must not be sent as well.
                let is_secret = |name: &str| self.body[name] == secret_place;
                let fields = body
                    .iter()
                    .filter(|(name, _)| !is_secret(name))
                    .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
                request = request.form(fields);
                for name in self.body.keys().filter(|name| is_secret(name)) {
                    request = request.secret_field(name, secret);
                }
            }
        }
        Ok(Answer::of(request.send()?))
    }
}

fn filled(body: &Map<String, Value>, place: &str, with: &str) -> Map<String, Value> {
    fn fill(value: &mut Value, place: &str, with: &str) {
        match value {
            Value::String(text) => *text = text.replace(place, with),
            Value::Array(values) => values.iter_mut().for_each(|value| fill(value, place, with)),
            Value::Object(values) => values
                .values_mut()
                .for_each(|value| fill(value, place, with)),
            _ => {}
        }
    }
    let mut body = body.clone();
    body.values_mut().for_each(|value| fill(value, place, with));
    body
}

impl Answer {
    pub(crate) fn of(response: Response) -> Self {
        let content = serde_json::from_slice(&response.body).unwrap_or_default();
        Self { response, content }
    }

    pub(crate) fn is_any(&self, of: &[When]) -> bool {
        of.iter().any(|when| self.is(when))
    }

    pub(crate) fn is(&self, when: &When) -> bool {
        when.holds(&self.response, &self.content)
    }

    /// The text at a place, or a number as one.
    pub(crate) fn text(&self, at: &str) -> Option<String> {
        match self.content.pointer(at)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn texts(&self, at: &str) -> Vec<String> {
        match self.content.pointer(at) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(values)) => {
                let texts = values.iter().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The person of an answer of success.
    pub(crate) fn person(&self, places: &PersonPlaces) -> Result<Person, Unavailable> {
        if !self.response.is_success() {
            return Err(Unavailable(format!(
                "the API answers {}, which the settings say nothing of",
                self.response.status
            )));
        }
        let id = self.text(&places.id).ok_or_else(|| {
            Unavailable(format!(
                "the API's answer has no person's id at {}",
                places.id
            ))
        })?;
        let name = places.name.as_ref().and_then(|at| self.text(at));
        let groups = places.groups.iter().map(|at| ("groups", at));
        let further = places.attributes.iter();
        let attributes = groups
            .chain(further.map(|(name, at)| (name.as_str(), at)))
            .map(|(name, at)| Attribute {
                name: name.to_owned(),
                values: self.texts(at),
            })
            .filter(|attribute| !attribute.values.is_empty());
        Ok(Person {
            display_name: name.unwrap_or_else(|| id.clone()),
            attributes: attributes.collect(),
            id,
        })
    }
}
