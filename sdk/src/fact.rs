//! Named values and reasons, made and read with less ado.

use crate::{Decision, Device, EnrollmentVerdict, Fact, RaVerdict, Reason, Step, Value};

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
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl Fact {
    /// A named value.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// The text of this name.
pub(crate) fn text<'a>(facts: &'a [Fact], name: &str) -> Option<&'a str> {
    facts.iter().find_map(|fact| match &fact.value {
        Value::Text(text) if fact.name == name => Some(text.as_str()),
        _ => None,
    })
}

impl Device {
    /// What the device says of itself under this name: `serial`, `product`, `os-version`, `build`, `imei`, `meid`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        text(&self.facts, name)
    }
}

impl Reason {
    /// A reason with its code for machines (lower-case letters, digits and hyphens) and a sentence for the person.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            relied_on: Vec::new(),
        }
    }

    /// The same with one more fact that it relies upon, for the operator.
    #[must_use]
    pub fn relying_on(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.relied_on.push(Fact::new(name, value));
        self
    }

    /// The verdict that refuses for this reason.
    #[must_use]
    pub fn deny<V: Denial>(self) -> V {
        V::deny(self)
    }

    /// The verdict that waits for somebody, for this reason.
    #[must_use]
    pub fn pending<V: Deferral>(self) -> V {
        V::pending(self)
    }
}

/// A verdict that can refuse.
pub trait Denial {
    /// Refuses for this reason.
    fn deny(reason: Reason) -> Self;
}

/// A verdict that can wait.
pub trait Deferral {
    /// Waits, for this reason.
    fn pending(reason: Reason) -> Self;
}

impl Denial for Step {
    fn deny(reason: Reason) -> Self {
        Self::Rejected(reason)
    }
}

macro_rules! approval {
    ($($verdict:ty),*) => {
        $(
            impl Denial for $verdict {
                fn deny(reason: Reason) -> Self {
                    Self::Deny(reason)
                }
            }

            impl Deferral for $verdict {
                fn pending(reason: Reason) -> Self {
                    Self::Pending(reason)
                }
            }
        )*
    };
}

approval!(EnrollmentVerdict, RaVerdict);

impl Decision {
    /// An occasion for a test, always the same.
    #[must_use]
    pub fn example() -> Self {
        Self {
            id: "00000000-0000-4000-8000-000000000000".to_owned(),
            at_ms: 1_750_000_000_000,
        }
    }
}
