//! Times, in order.

use std::time::Duration;

/// How long each of many calls took.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a hundred calls did not exceed, in microseconds.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() * percent / 100).min(last);
        let time = self.0.get(at).copied().unwrap_or_default();
        time.as_secs_f64() * 1e6
    }
}
