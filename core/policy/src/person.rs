//! Who somebody is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A person as a directory knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Name of the directory binding that vouches for this person.
    pub directory: String,
    /// Stable and unique within that directory. Not the sign-in name where that may change.
    pub id: String,
    /// The name to show.
    pub display_name: String,
    /// Whatever else the directory says: `mail`, `groups`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Vec<String>>,
}

impl Person {
    /// The part that stays the same when the person's name or groups change.
    pub fn reference(&self) -> PersonRef {
        PersonRef {
            directory: self.directory.clone(),
            id: self.id.clone(),
        }
    }
}

/// Names one person for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonRef {
    /// Name of the directory binding.
    pub directory: String,
    /// The person's id within it.
    pub id: String,
}
