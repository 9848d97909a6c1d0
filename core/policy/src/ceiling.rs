//! What a hook may issue, whatever it says.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The commands that a binding may issue, and how many. Ceilings beat verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceiling {
    /// `RequestType`s that it may issue. Default: none.
    pub allow: BTreeSet<String>,
    /// `RequestType`s that erase, lock somebody out or take a protection away, and that it may issue all the same. Default: none.
    pub destructive: BTreeSet<String>,
    /// Commands for one device in one exchange, from its Idle to the empty answer. Default 8.
    pub per_connection: u32,
    /// New commands an hour, for all devices together. Default 1,000.
    pub per_hour: u32,
    /// Commands for one event. Default 100.
    pub per_event: u32,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            allow: BTreeSet::new(),
            destructive: BTreeSet::new(),
            per_connection: 8,
            per_hour: 1_000,
            per_event: 100,
        }
    }
}

impl Ceiling {
    /// Whether a command may be issued. One that nothing is known about counts as destructive.
    #[must_use]
    pub fn permits(&self, request_type: &str, is_destructive: bool) -> bool {
        let granted = if is_destructive {
            &self.destructive
        } else {
            &self.allow
        };
        granted.contains(request_type)
    }
}
