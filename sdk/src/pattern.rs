//! Texts with wildcards, as operators write them in settings.

use serde::{Deserialize, Deserializer, de::Error};

use crate::{Attribute, Fact, Value};

/// Alternatives, at least one, each a text in which `*` stands for any characters: `["iPhone*", "iPad13,1"]`. Case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Whether one of them is this text.
    #[must_use]
    pub fn match_text(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, text))
    }

    /// Whether one of them is this value, or one of its texts. Booleans and numbers are compared as they are written.
    #[must_use]
    pub fn match_value(&self, value: &Value) -> bool {
        match value {
            Value::Boolean(boolean) => self.match_text(&boolean.to_string()),
            Value::Integer(integer) => self.match_text(&integer.to_string()),
            Value::Text(text) => self.match_text(text),
            Value::Texts(texts) => texts.iter().any(|text| self.match_text(text)),
        }
    }

    /// Whether there is a fact of this name that they match.
    #[must_use]
    pub fn match_fact(&self, facts: &[Fact], name: &str) -> bool {
        facts
            .iter()
            .any(|fact| fact.name == name && self.match_value(&fact.value))
    }

    /// Whether there is an attribute of this name with a value that they match.
    #[must_use]
    pub fn match_attribute(&self, attributes: &[Attribute], name: &str) -> bool {
        let named = attributes.iter().filter(|each| each.name == name);
        named
            .flat_map(|attribute| &attribute.values)
            .any(|value| self.match_text(value))
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let alternatives = Vec::<String>::deserialize(deserializer)?;
        if alternatives.is_empty() {
            return Err(D::Error::custom(
                "an empty list matches nothing: write at least one text (`*` stands for any characters)",
            ));
        }
        Ok(Self(alternatives))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
    for part in between.split('*') {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_nothing_else_does() {
        for (pattern, text, expected) in [
            ("iPhone15,2", "iPhone15,2", true),
            ("iPhone15,2", "iPhone15,20", false),
            ("iPhone*", "iPhone", true),
            ("iPhone*", "xiPhone", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.example.com.evil", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("**", "x", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let one = Patterns(vec!["true".into(), "7".into()]);
        assert!(one.match_value(&true.into()) && one.match_value(&7.into()));
        assert!(!one.match_value(&false.into()));
    }
}
