//! When to push again. Pure functions: the engine keeps the counts, the clock and the dice.

use std::time::Duration;

/// Apple's advice for repeated failures of APNs is to wait about 15 minutes.
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

/// How long to wait before a push that failed is tried again.
///
/// `failures` counts the attempts that failed so far (1 after the first). The wait doubles from 2 seconds up to 15 minutes;
/// `jitter`, of which every value is equally likely, takes off up to half of it, so that a fleet that failed together
/// does not come back together.
pub fn retry(failures: u32, jitter: u32) -> Duration {
    let exponent = failures.clamp(1, 16);
    let full = Duration::from_secs(1 << exponent).min(LONGEST_RETRY);
    let off = f64::from(jitter) / f64::from(u32::MAX) / 2.0;
    full.mul_f64(1.0 - off)
}

/// How long APNs is asked to keep a notification for a device that it cannot reach. It keeps the last one a topic and
/// device: enough for one that is off over night.
pub const KEEP: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_waits_longer_each_time_and_never_over_15_minutes() {
        let mut last = Duration::ZERO;
        for failures in 0..64 {
            let longest = retry(failures, 0);
            let shortest = retry(failures, u32::MAX);
            assert!(longest >= last && longest <= LONGEST_RETRY);
            assert!(shortest >= longest.mul_f64(0.49) && shortest <= longest);
            last = longest;
        }
        assert_eq!(retry(1, 0), Duration::from_secs(2));
        assert_eq!(retry(u32::MAX, 0), LONGEST_RETRY);
    }
}
