//! The occasion on which a hook is asked: its only time and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use lanyard_policy::Decision;
use uuid::Uuid;

/// A new occasion to ask a hook.
pub(crate) fn new(now: SystemTime) -> Decision {
    Decision {
        id: Uuid::new_v4().to_string(),
        at_ms: millis(now),
        seed: rand::random(),
        meter: Default::default(),
    }
}

pub(crate) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
