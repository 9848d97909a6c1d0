//! What every plugin is: a type that is made of its settings.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A plugin. It is made anew for each question: nothing is kept from one to the next.
pub trait Plugin: Sized {
    /// What an operator may set, read from the binding's settings. `#[serde(deny_unknown_fields)]` finds typing errors when the
    /// policy is applied.
    type Settings: DeserializeOwned;

    /// Makes the plugin, and refuses settings that it could not work with. Called when a policy is applied, and before each question.
    ///
    /// # Errors
    /// What is wrong, and what would be right, in a sentence for the operator.
    fn new(settings: Self::Settings) -> Result<Self, String>;
}

/// The settings of a plugin that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// The plugin cannot tell now: something that it depends on is away. What happens then is the hook point's rule; nobody is told that
/// a password is wrong. The text is one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);
