//! Ceilings beat verdicts: what a binding wants to issue is held against what it was granted.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lanyard_policy::{Ceiling, HookPoint};

/// The ceilings of a set of hooks, by hook point and binding. A binding without one is native: it may issue whatever destroys nothing.
#[derive(Default)]
pub struct Ceilings(HashMap<(HookPoint, String), Enforced>);

struct Enforced {
    ceiling: Ceiling,
    /// `None`: nothing at all.
    hourly: Option<DefaultDirectRateLimiter>,
}

/// Why a command is not issued. For the log, and for whoever wrote the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CeilingReached {
    /// A command that the binding was not granted.
    #[error("its binding does not grant {0}")]
    NotGranted(String),
    /// Too many in one exchange.
    #[error("its binding grants {0} commands in one exchange")]
    PerConnection(u32),
    /// Too many an hour.
    #[error("its binding grants {0} commands an hour")]
    PerHour(u32),
    /// Too many for one event.
    #[error("its binding grants {0} commands for one event")]
    PerEvent(u32),
}

impl Ceilings {
    /// These, each with its own count of the hour.
    pub fn new(all: impl IntoIterator<Item = ((HookPoint, String), Ceiling)>) -> Self {
        let enforced = |ceiling: Ceiling| Enforced {
            hourly: NonZeroU32::new(ceiling.per_hour)
                .map(|most| RateLimiter::direct(Quota::per_hour(most))),
            ceiling,
        };
        let all = all.into_iter();
        Self(
            all.map(|(binding, ceiling)| (binding, enforced(ceiling)))
                .collect(),
        )
    }

    /// Whether the command may be issued at all.
    pub(crate) fn check_kind(
        &self,
        by: (HookPoint, &str),
        request_type: &str,
        is_destructive: bool,
    ) -> Result<(), CeilingReached> {
        let permitted = match self.of(by) {
            Some(enforced) => enforced.ceiling.permits(request_type, is_destructive),
            None => !is_destructive,
        };
        if permitted {
            Ok(())
        } else {
            Err(CeilingReached::NotGranted(request_type.to_owned()))
        }
    }

    /// Counts a new command.
    pub(crate) fn count(
        &self,
        by: (HookPoint, &str),
        in_this_exchange: u32,
    ) -> Result<(), CeilingReached> {
        let Some(Enforced { ceiling, hourly }) = self.of(by) else {
            return Ok(());
        };
        if by.0 == HookPoint::CommandSelection && in_this_exchange >= ceiling.per_connection {
            return Err(CeilingReached::PerConnection(ceiling.per_connection));
        }
        match hourly {
            Some(hourly) if hourly.check().is_ok() => Ok(()),
            _ => Err(CeilingReached::PerHour(ceiling.per_hour)),
        }
    }

    /// Whether one event may lead to so many.
    pub(crate) fn check_fan_out(
        &self,
        by: (HookPoint, &str),
        commands: usize,
    ) -> Result<(), CeilingReached> {
        match self.of(by) {
            Some(Enforced { ceiling, .. }) if commands > ceiling.per_event as usize => {
                Err(CeilingReached::PerEvent(ceiling.per_event))
            }
            _ => Ok(()),
        }
    }

    fn of(&self, (point, binding): (HookPoint, &str)) -> Option<&Enforced> {
        self.0.get(&(point, binding.to_owned()))
    }
}

/// Commands that were issued in exchanges under way, counted in 65,536 places that enrollments are hashed to: two that share a place
/// share their count, until either says Idle.
pub(crate) struct Exchanges {
    counts: Vec<AtomicU32>,
    places: RandomState,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self {
            counts: std::iter::repeat_with(AtomicU32::default)
                .take(1 << 16)
                .collect(),
            places: RandomState::new(),
        }
    }
}

impl Exchanges {
    /// The device said Idle.
    pub(crate) fn begin(&self, enrollment: &str) {
        self.place(enrollment).store(0, Ordering::Relaxed);
    }

    pub(crate) fn issued(&self, enrollment: &str) -> u32 {
        self.place(enrollment).load(Ordering::Relaxed)
    }

    pub(crate) fn issue(&self, enrollment: &str) {
        self.place(enrollment).fetch_add(1, Ordering::Relaxed);
    }

    fn place(&self, enrollment: &str) -> &AtomicU32 {
        let place = self.places.hash_one(enrollment) & 0xffff;
        &self.counts[usize::try_from(place).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_counted_and_all_else_refused() {
        let by = (HookPoint::CommandSelection, "rules");
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let ceiling = Ceiling {
            allow: named(&["ProfileList"]),
            destructive: named(&["DeviceLock"]),
            per_connection: 2,
            per_hour: 3,
            per_event: 4,
        };
        let ceilings = Ceilings::new([((by.0, by.1.to_owned()), ceiling)]);
        let kind = |name, destructive| ceilings.check_kind(by, name, destructive).is_ok();
        assert!(kind("ProfileList", false) && kind("DeviceLock", true));
        assert!(!kind("SecurityInfo", false) && !kind("EraseDevice", true));
        // A grant for harmless commands is none for one of that name that is not.
        assert!(!kind("ProfileList", true));
        assert_eq!(ceilings.count(by, 2), Err(CeilingReached::PerConnection(2)));
        for issued in [0, 1, 0] {
            assert_eq!(ceilings.count(by, issued), Ok(()));
        }
        assert_eq!(ceilings.count(by, 0), Err(CeilingReached::PerHour(3)));
        assert_eq!(ceilings.check_fan_out(by, 4), Ok(()));
        assert_eq!(
            ceilings.check_fan_out(by, 5),
            Err(CeilingReached::PerEvent(4))
        );
        let native = (HookPoint::Event, "native");
        assert!(ceilings.check_kind(native, "ProfileList", false).is_ok());
        assert!(ceilings.check_kind(native, "EraseDevice", true).is_err());
    }
}
