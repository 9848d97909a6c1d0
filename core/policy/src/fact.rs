//! What every question and verdict is made of: named values, the decision's own time and seed, and reasons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Meter;

/// A value whose name is open-ended: an attribute, a claim, a setting. In JSON it is the plain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Boolean(bool),
    /// A whole number. There are no floating-point values: a record must replay to the same bits.
    Integer(i64),
    /// Text.
    Text(String),
    /// Several texts, in order.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

/// Values by name, in the order of their names.
pub type Facts = BTreeMap<String, Value>;

/// The occasion on which a question is asked: a hook's only source of time and randomness, so that a recorded
/// decision replays to the same verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Unique id of the decision; also the idempotency key of whatever a hook does outside.
    pub id: String,
    /// When it was asked, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Seed of everything random that a hook sees. Drawn by the asker for each decision.
    pub seed: [u8; 32],
    /// What answering cost, for whoever asks.
    #[serde(skip)]
    pub meter: Meter,
}

/// Why a verdict refuses or defers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code for machines, in kebab case: `not-in-group`.
    pub code: String,
    /// One sentence that may be shown to the person.
    pub message: String,
    /// What the verdict relied upon, for the operator's eyes only.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub relied_on: Facts,
}

impl Reason {
    /// A reason that names no facts.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            relied_on: Facts::new(),
        }
    }

    /// The same reason with one more fact that it relies upon.
    #[must_use]
    pub fn relying_on(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.relied_on.insert(name.into(), value.into());
        self
    }
}

/// Two hooks of one chain allow, but on terms that cannot both hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two approvals disagree about `{subject}`")]
pub struct Conflict {
    /// The setting or amendment they disagree about.
    pub subject: String,
}
