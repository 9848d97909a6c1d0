//! Ticks: an event binding may have a schedule, and hears of it when it is due.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use lanyard_policy::Occurrence;
use lanyard_store::{Scheduled, StoreError};

use crate::{Engine, Refusal};

/// A schedule as cron writes it, in UTC: minute, hour, day of the month, month, day of the week.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// Text that is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no schedule that ever comes ({problem}): write minute, hour, day of the month, month and day of the week, as in \"30 2 * * 1\" (Mondays at 02:30 UTC)"
)]
pub struct NoSchedule {
    text: String,
    problem: String,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`NoSchedule`] for what is none, and for one that never comes: the 30th of February.
    pub fn parse(text: &str) -> Result<Self, NoSchedule> {
        let refused = |problem: &dyn fmt::Display| NoSchedule {
            text: text.to_owned(),
            problem: problem.to_string(),
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text).map_err(|error| refused(&error))?;
        cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false)
            .map_err(|error| refused(&error))?;
        Ok(Self {
            text: text.to_owned(),
            cron,
        })
    }

    /// The first time after this one.
    fn next_after(&self, time: SystemTime) -> SystemTime {
        self.cron
            .find_next_occurrence(&DateTime::<Utc>::from(time), false)
            // Beyond the years that cron counts: nobody waits for that.
            .map_or(time + Duration::from_hours(24 * 366), SystemTime::from)
    }
}

/// As it was written.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Engine {
    /// Tells each binding whose schedule is due that it is: once, however many of its times were missed. A binding that is new, or has
    /// another schedule than before, waits for its next time. [`work_until`](Self::work_until) does this by itself.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails.
    pub async fn tell_ticks(&self) -> Result<(), Refusal> {
        let hooks = self.hooks();
        if hooks.revision != self.store().latest_policy_number().await? {
            // Another node has a later policy, and its schedules.
            return Ok(());
        }
        let now = self.now();
        let known = self.store().schedules().await?;
        for gone in &known {
            if !hooks
                .schedules
                .iter()
                .any(|(name, _)| *name == gone.binding)
            {
                self.store().forget_schedule(&gone.binding).await?;
            }
        }
        for (binding, schedule) in &hooks.schedules {
            let before = known
                .iter()
                .find(|known| known.binding == *binding && known.schedule == schedule.text);
            match before {
                None => self.put_schedule(binding, schedule, now).await?,
                Some(due) if due.due <= now => {
                    let tick = Occurrence::Tick {
                        schedule: schedule.text.clone(),
                    };
                    let bindings = vec![binding.clone()];
                    let store = self.noting_for(self.store(), bindings, tick, now)?;
                    store.take_tick(due, schedule.next_after(now), now).await?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn put_schedule(
        &self,
        binding: &str,
        schedule: &Schedule,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let scheduled = Scheduled {
            binding: binding.to_owned(),
            schedule: schedule.text.clone(),
            due: schedule.next_after(now),
        };
        self.store().put_schedule(&scheduled).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_in_utc_and_come_after() {
        let at = |text: &str| SystemTime::from(text.parse::<DateTime<Utc>>().unwrap());
        for (text, now, next) in [
            ("30 2 * * 1", "2026-03-02T02:29:59Z", "2026-03-02T02:30:00Z"),
            ("30 2 * * 1", "2026-03-02T02:30:00Z", "2026-03-09T02:30:00Z"),
            (
                "*/15 * * * *",
                "2026-03-02T23:50:00Z",
                "2026-03-03T00:00:00Z",
            ),
            ("0 0 29 2 *", "2026-03-02T00:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(
                Schedule::parse(text).unwrap().next_after(at(now)),
                at(next),
                "{text}"
            );
        }
    }

    #[test]
    fn what_never_comes_or_is_no_schedule_is_refused() {
        for text in [
            "",
            "daily",
            "* * * *",
            "60 * * * *",
            "0 0 30 2 *",
            "* * * * * *",
        ] {
            let refused = Schedule::parse(text).unwrap_err().to_string();
            assert!(refused.contains("minute, hour"), "{refused}");
        }
    }
}
