//! How many lines strangers may write into the log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lines in one [`WINDOW`].
const LINES: u32 = 300;
const WINDOW: Duration = Duration::from_secs(10);

/// Counts lines, and those that are left out.
pub(super) struct LogBudget(Mutex<Window>);

struct Window {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl LogBudget {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Window {
            began: None,
            written: 0,
            left_out: 0,
        }))
    }

    /// Whether a line may be written now, and how many were left out before it.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = window.began.is_none_or(|began| now >= began + WINDOW);
        if is_over {
            window.began = Some(now);
            window.written = 0;
        }
        if window.written == LINES {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let budget = LogBudget::new();
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(budget.admit_at(start), Some(0));
        }
        assert_eq!(budget.admit_at(start), None);
        assert_eq!(budget.admit_at(start), None);
        assert_eq!(budget.admit_at(start + WINDOW), Some(2));
        assert_eq!(budget.admit_at(start + WINDOW), Some(0));
    }
}
