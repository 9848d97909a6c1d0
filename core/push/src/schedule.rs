//! When to push again, and how fast. Pure functions: the engine keeps the counts, the clock and the dice.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Apple's advice for repeated failures of APNs is to wait about 15 minutes; so long a topic rests.
pub const REST: Duration = Duration::from_secs(15 * 60);

/// How long APNs is asked to keep a notification for a device that it cannot reach. It keeps the last one a topic and
/// device; beyond the last [`reminder`], so that there is always one.
pub const KEEP: Duration = Duration::from_secs(8 * 24 * 3600);

/// How long to wait before a push that failed is tried again.
///
/// `failures` counts the attempts that failed so far (1 after the first). The wait doubles from 2 seconds up to 15 minutes;
/// `jitter`, of which every value is equally likely, takes off up to half of it, so that a fleet that failed together
/// does not come back together.
pub fn retry(failures: u32, jitter: u32) -> Duration {
    doubling(Duration::from_secs(2), REST, failures, jitter)
}

/// The same for a device that APNs says is pushed to too often: from a minute up to an hour.
pub fn back_off(failures: u32, jitter: u32) -> Duration {
    doubling(MINUTE, HOUR, failures, jitter)
}

/// How long a device's token is a new one: longer than all reminders take that are only due while it is.
const NEW: Duration = Duration::from_secs(2 * 24 * 3600);

/// How often a device with a new token is reminded, before it is as any other is: after 5, 10, 20 and 40 minutes.
const EARLY: u32 = 4;

/// How long after a push that APNs accepted the device is woken once more, if by then it has not done what waits for it. `reminders`
/// counts those that there were: an hour, six hours and a day, and then a week each time. A device whose token came `token_age` ago and is new
/// has just enrolled, most likely: it is awake, somebody waits in front of it, and a push may have come before the device was ready for it.
/// It is reminded sooner at first.
pub fn reminder(reminders: u32, token_age: Duration) -> Duration {
    let early = if token_age < NEW { EARLY } else { 0 };
    if reminders < early {
        return 5 * MINUTE * (1 << reminders);
    }
    match reminders - early {
        0 => HOUR,
        1 => 6 * HOUR,
        2 => DAY,
        _ => 7 * DAY,
    }
}

fn doubling(first: Duration, longest: Duration, failures: u32, jitter: u32) -> Duration {
    let exponent = failures.clamp(1, 16) - 1;
    let full = first.saturating_mul(1 << exponent).min(longest);
    let off = f64::from(jitter) / f64::from(u32::MAX) / 2.0;
    full.mul_f64(1.0 - off)
}

/// Spreads pushes: woken devices all come at once, and a large batch of pushes must not become a larger one of requests. Time is
/// an argument: the time since any moment that stays the same.
#[derive(Debug)]
pub struct Pace {
    /// From one push to the next.
    gap: Duration,
    free_at: Duration,
}

impl Pace {
    /// So many pushes a second.
    pub fn new(per_second: u32) -> Pace {
        Pace {
            gap: Duration::from_secs(1) / per_second.max(1),
            free_at: Duration::ZERO,
        }
    }

    /// How many pushes go together: a tenth of a second's.
    pub fn batch(&self) -> u64 {
        let batch = Duration::from_millis(100).as_nanos() / self.gap.as_nanos().max(1);
        u64::try_from(batch).unwrap_or(u64::MAX).max(1)
    }

    /// How long to wait before the next.
    pub fn wait(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }

    /// Takes note that so many went.
    pub fn went(&mut self, pushes: u64, now: Duration) {
        let pushes = u32::try_from(pushes).unwrap_or(u32::MAX);
        self.free_at = self.free_at.max(now) + self.gap.saturating_mul(pushes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_waits_longer_each_time_and_never_too_long() {
        type Wait = fn(u32, u32) -> Duration;
        for (wait, first, longest) in [(retry as Wait, 2, REST), (back_off as Wait, 60, HOUR)] {
            let mut last = Duration::ZERO;
            for failures in 0..64 {
                let full = wait(failures, 0);
                let shortest = wait(failures, u32::MAX);
                assert!(full >= last && full <= longest);
                assert!(shortest >= full.mul_f64(0.49) && shortest <= full);
                last = full;
            }
            assert_eq!(wait(1, 0), Duration::from_secs(first));
            assert_eq!(wait(u32::MAX, 0), longest);
        }
    }

    #[test]
    fn a_device_that_is_off_always_has_a_notification_that_waits() {
        for age in [Duration::ZERO, NEW] {
            for reminders in 0..10 {
                assert!(reminder(reminders, age) < KEEP);
                assert!(reminder(reminders + 1, age) >= reminder(reminders, age));
            }
        }
    }

    #[test]
    fn a_device_that_just_enrolled_is_reminded_within_minutes_and_then_as_any_other() {
        let (mut age, mut waits) = (Duration::ZERO, Vec::new());
        for reminders in 0..9 {
            let wait = reminder(reminders, age);
            waits.push(wait.as_secs() / 60);
            age += wait;
        }
        let (hour, day) = (60, 24 * 60);
        assert_eq!(
            waits,
            [5, 10, 20, 40, hour, 6 * hour, day, 7 * day, 7 * day]
        );
        assert_eq!(reminder(0, NEW), HOUR);
    }

    #[test]
    fn a_large_batch_takes_the_time_that_its_size_says() {
        let mut pace = Pace::new(1000);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while sent < 10_000 {
            let wait = pace.wait(now);
            if wait.is_zero() {
                pace.went(pace.batch(), now);
                sent += pace.batch();
            } else {
                now += wait;
            }
        }
        assert_eq!((sent, now.as_millis()), (10_000, 9_900));
        // What was not used is not saved up.
        now += HOUR;
        pace.went(100, now);
        assert_eq!(pace.wait(now), Duration::from_millis(100));
    }

    #[test]
    fn the_slowest_pace_still_goes_on() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.batch(), 1);
        pace.went(1, Duration::ZERO);
        assert_eq!(pace.wait(Duration::ZERO), Duration::from_secs(1));
    }
}
