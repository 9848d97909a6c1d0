//! When devices were last heard of: gathered in memory, written now and then, so that a request costs no write.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Enrollments heard of since the last write. A crash loses at most one interval of it, which nothing depends on.
#[derive(Default)]
pub(crate) struct LastSeen(Mutex<HashMap<String, SystemTime>>);

impl LastSeen {
    pub(crate) fn note(&self, enrollment: &str, now: SystemTime) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(enrollment) {
            Some(at) => *at = now,
            None => {
                seen.insert(enrollment.to_owned(), now);
            }
        }
    }

    pub(crate) fn take(&self) -> Vec<(String, SystemTime)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *seen).into_iter().collect()
    }
}
