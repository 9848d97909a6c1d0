//! Settings held against the schema that a plugin carries, so that a mistake is named by its place in the policy. This runs in the command's
//! own process and never in the server: a schema is its author's, may be written so that holding anything against it takes for ever, and nothing
//! would interrupt that. What counts in the server is the plugin's own check, which has the limits of any call.

use std::fmt;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value};

/// As many are named at once; who made more made the same one often.
const MOST: usize = 10;

/// Settings that a plugin will not take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsRefused {
    /// They do not fit the schema.
    #[error("{}", lines(.0))]
    Misfits(Vec<Misfit>),
    /// The plugin's author has to mend it.
    #[error("the plugin's schema of settings is none: {0}")]
    NoSchema(String),
}

/// A place in the settings that does not fit the schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// As in `settings.rules[0].when`.
    place: String,
    /// What is wrong with what stands there.
    problem: String,
    /// What the schema says of the place.
    right: Option<String>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)?;
        match &self.right {
            Some(right) => write!(f, "; right is: {right}"),
            None => Ok(()),
        }
    }
}

/// Holds a binding's settings against a plugin's schema.
///
/// # Errors
/// [`SettingsRefused`]
pub(crate) fn hold_against(
    schema: &Map<String, Value>,
    settings: &Map<String, Value>,
) -> Result<(), SettingsRefused> {
    let (schema, settings) = (
        Value::Object(schema.clone()),
        Value::Object(settings.clone()),
    );
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| SettingsRefused::NoSchema(error.to_string()))?;
    let errors = validator.iter_errors(&settings).take(MOST);
    let misfits: Vec<Misfit> = errors
        .map(|error| misfit(&error, &schema, &settings))
        .collect();
    if misfits.is_empty() {
        Ok(())
    } else {
        Err(SettingsRefused::Misfits(misfits))
    }
}

fn misfit(error: &ValidationError<'_>, schema: &Value, settings: &Value) -> Misfit {
    if let Some(forms) = forms(error) {
        let (tagged_otherwise, meant): (Vec<_>, Vec<_>) =
            forms.iter().partition(|errors| tag(errors).is_some());
        // Of the form that is meant, as its tag or the depth to which it fits says, what is wrong within counts.
        let within = meant.iter().copied().flatten();
        let deepest = within.max_by_key(|within| depth(within));
        if let Some(deepest) = deepest.filter(|it| meant.len() == 1 || depth(it) > depth(error)) {
            return misfit(deepest, schema, settings);
        }
        if meant.is_empty()
            && let Some((found, tags)) = unknown_tag(&tagged_otherwise)
        {
            return Misfit {
                place: place(found.instance_path().as_str(), settings),
                problem: format!("{} is unknown", found.instance()),
                right: Some(tags),
            };
        }
    }
    // The keyword is the last part; beside it stands what describes the place.
    let keyword = error.schema_path().as_str();
    let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
    let around = schema.pointer(around);
    let right = match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } => around
            .and_then(|around| around["properties"].as_object())
            .map(|known| known.keys().cloned().collect::<Vec<_>>().join(", ")),
        _ => around
            .and_then(|around| around["description"].as_str())
            .map(str::to_owned),
    };
    let problem = match error.instance().as_ref() {
        _ if forms(error).is_some() => "it has none of the forms that the schema allows".to_owned(),
        // A whole table would hide the sentence.
        Value::Object(_) | Value::Array(_) => error.masked_with("it").to_string(),
        _ => error.to_string(),
    };
    Misfit {
        place: place(error.instance_path().as_str(), settings),
        problem,
        right,
    }
}

type Forms = Vec<Vec<ValidationError<'static>>>;

/// What is wrong by each form that a value may have, where it has none of them.
fn forms<'e>(error: &'e ValidationError<'_>) -> Option<&'e Forms> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            Some(context)
        }
        _ => None,
    }
}

/// The constant by which a form is told from others, if that is not the one that was written.
fn tag<'e>(
    errors: &'e [ValidationError<'static>],
) -> Option<(&'e ValidationError<'static>, &'e Value)> {
    errors.iter().find_map(|error| match error.kind() {
        ValidationErrorKind::Constant { expected_value } => Some((error, &**expected_value)),
        _ => None,
    })
}

/// A value that is the tag of no form, and the tags that there are.
fn unknown_tag<'e>(
    forms: &[&'e Vec<ValidationError<'static>>],
) -> Option<(&'e ValidationError<'static>, String)> {
    let tags: Vec<_> = forms.iter().filter_map(|errors| tag(errors)).collect();
    let names: Vec<String> = tags.iter().map(|(_, tag)| tag.to_string()).collect();
    Some((tags.first()?.0, names.join(", ")))
}

fn depth(error: &ValidationError<'_>) -> usize {
    error.instance_path().as_str().matches('/').count()
}

/// A JSON Pointer as policies are written: `settings.rules[0].when`.
fn place(pointer: &str, settings: &Value) -> String {
    let (mut place, mut at) = ("settings".to_owned(), Some(settings));
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match at {
            Some(Value::Array(items)) => {
                place.push_str(&format!("[{step}]"));
                at = step.parse().ok().and_then(|index: usize| items.get(index));
            }
            _ => {
                place.push_str(&format!(".{step}"));
                at = at.and_then(|at| at.get(&step));
            }
        }
    }
    place
}

fn lines(misfits: &[Misfit]) -> String {
    let lines: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Map<String, Value> {
        let schema = json!({
            "type": "object",
            "properties": {
                "quiet": { "$ref": "#/$defs/time" },
                "when": { "oneOf": [
                    { "properties": { "event": { "const": "enrolled" } } },
                    { "properties": { "event": { "const": "idle" }, "hours": { "minimum": 1 } } },
                ] },
                "rules": {
                    "type": "array",
                    "items": {
                        "description": "A rule is one of these.",
                        "oneOf": [
                            {
                                "type": "object",
                                "properties": { "lock": {
                                    "type": "object",
                                    "properties": { "pin": {
                                        "description": "Six digits.",
                                        "type": "string",
                                        "pattern": "^[0-9]{6}$",
                                    } },
                                } },
                                "required": ["lock"],
                                "additionalProperties": false,
                            },
                            { "type": "object", "required": ["ask"], "properties": { "ask": { "type": "boolean" } } },
                        ],
                    },
                },
            },
            "required": ["quiet"],
            "additionalProperties": false,
            "$defs": { "time": { "description": "Such as 22:00.", "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$" } },
        });
        schema.as_object().unwrap().clone()
    }

    fn said(settings: Value) -> String {
        let held = hold_against(&schema(), settings.as_object().unwrap());
        held.err()
            .map(|refused| refused.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_misfit_names_its_place_the_problem_and_what_is_right() {
        for (settings, sentences) in [
            (
                json!({ "quiet": "22:00", "rules": [{ "ask": true }] }),
                &[][..],
            ),
            (
                json!({ "quiet": "ten", "rulez": [] }),
                &[
                    "settings.quiet: \"ten\" does not match \"^[0-9]{2}:[0-9]{2}$\"; right is: Such as 22:00.",
                    "settings: Additional properties are not allowed ('rulez' was unexpected); right is: quiet, rules, when",
                ],
            ),
            (json!({}), &["settings: \"quiet\" is a required property"]),
            (
                json!({ "quiet": "22:00", "rules": [{ "ask": true }, { "lock": { "pin": "1234" } }] }),
                &[
                    "settings.rules[1].lock.pin: \"1234\" does not match \"^[0-9]{6}$\"; right is: Six digits.",
                ],
            ),
            (
                json!({ "quiet": "22:00", "rules": [{ "erase": {} }] }),
                &[
                    "settings.rules[0]: it has none of the forms that the schema allows; right is: A rule is one of these.",
                ],
            ),
            (
                json!({ "quiet": "22:00", "when": { "event": "enroled" } }),
                &["settings.when.event: \"enroled\" is unknown; right is: \"enrolled\", \"idle\""],
            ),
            (
                json!({ "quiet": "22:00", "when": { "event": "idle", "hours": 0 } }),
                &["settings.when.hours: 0 is less than the minimum of 1"],
            ),
            (
                json!({ "quiet": "22:00", "rules": { "a/b": 1 } }),
                &["settings.rules: it is not of type \"array\""],
            ),
        ] {
            let said = said(settings.clone());
            for sentence in sentences {
                assert!(
                    said.lines().any(|line| line.trim() == *sentence),
                    "{sentence:?} is not in {said}"
                );
            }
            assert_eq!(said.lines().count(), sentences.len(), "{settings}: {said}");
        }
    }

    #[test]
    fn a_schema_that_is_none_is_its_authors_to_mend() {
        for schema in [
            json!({ "type": "objekt" }),
            // Nothing is fetched from anywhere.
            json!({ "$ref": "https://example.com/schema.json" }),
            json!({ "$ref": "file:///etc/hostname" }),
        ] {
            let refused = hold_against(schema.as_object().unwrap(), &Map::new());
            assert!(
                matches!(refused, Err(SettingsRefused::NoSchema(_))),
                "{schema}: {refused:?}"
            );
        }
    }
}
