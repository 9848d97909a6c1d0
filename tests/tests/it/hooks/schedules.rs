//! tick: a binding's schedule, told once however many of its times were missed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use lanyard_engine::{Clock, Hooks, Schedule};
use lanyard_policy::{Binding, Event, EventSink, IssuedCommand, Occurrence};

use super::{script::Script, workshop::Workshop};

const HOUR: u64 = 3600;

fn hooks(schedule: Option<&str>) -> Hooks {
    let sink = || -> Arc<dyn EventSink> {
        Arc::new(Script::<Event, Vec<IssuedCommand>>::new(Ok(Vec::new())))
    };
    let schedules = schedule.map(|text| ("hourly".to_owned(), Schedule::parse(text).unwrap()));
    Hooks {
        events: ["hourly", "other"]
            .map(|name| Binding::new(name, sink()))
            .into(),
        schedules: schedules.into_iter().collect(),
        ..Hooks::default()
    }
}

/// The ticks in the outbox: binding and schedule.
async fn told(workshop: &Workshop, now: u64) -> Vec<(String, String)> {
    let now = UNIX_EPOCH + Duration::from_secs(now);
    let mut due = Vec::new();
    for binding in workshop.store.bindings_due(now).await.unwrap() {
        due.extend(workshop.store.due_events(&binding, now, 100).await.unwrap());
    }
    due.into_iter()
        .map(|due| {
            let event: Event = serde_json::from_value(due.payload).unwrap();
            match event.occurrence {
                Occurrence::Tick { schedule } => (due.binding, schedule),
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

#[tokio::test]
async fn a_schedule_ticks_once_when_it_is_due_and_for_its_binding_alone() {
    let seconds = Arc::new(AtomicU64::new(1_000 * HOUR + 60));
    let clock = {
        let seconds = Arc::clone(&seconds);
        Clock::new(move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed)))
    };
    let workshop = Workshop::open_at(hooks(Some("0 * * * *")), Vec::new(), clock).await;
    let at = async |time: u64, expected: usize| {
        seconds.store(time, Ordering::Relaxed);
        for _ in 0..2 {
            workshop.engine.tell_ticks().await.unwrap();
            let told = told(&workshop, time).await;
            assert_eq!(told.len(), expected, "{time}: {told:?}");
        }
    };
    at(1_000 * HOUR + 60, 0).await;
    at(1_001 * HOUR - 1, 0).await;
    at(1_001 * HOUR, 1).await;
    at(1_001 * HOUR + 1, 1).await;
    // Nobody was there for three of its times.
    at(1_004 * HOUR + 5, 2).await;
    // The same hooks again, as after a restart or the next revision.
    workshop.engine.replace_hooks(hooks(Some("0 * * * *")));
    at(1_004 * HOUR + 6, 2).await;
    at(1_005 * HOUR, 3).await;
    // Another schedule waits for its time, and a binding that lost its schedule has none to catch up on.
    workshop.engine.replace_hooks(hooks(Some("30 * * * *")));
    at(1_006 * HOUR, 3).await;
    workshop.engine.replace_hooks(hooks(None));
    at(1_007 * HOUR, 3).await;
    workshop.engine.replace_hooks(hooks(Some("30 * * * *")));
    at(1_008 * HOUR, 3).await;
    at(1_008 * HOUR + HOUR / 2, 4).await;
    let told = told(&workshop, 2_000 * HOUR).await;
    let told: Vec<_> = told
        .iter()
        .map(|(binding, text)| (binding.as_str(), text.as_str()))
        .collect();
    let hourly = ("hourly", "0 * * * *");
    assert_eq!(told, [hourly, hourly, hourly, ("hourly", "30 * * * *")]);
}
