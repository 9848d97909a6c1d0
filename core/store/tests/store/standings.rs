use std::time::SystemTime;

use lanyard_store::{NewEvent, PersonKey, Scheduled, StandingNoted, Store};
use serde_json::json;
use uuid::Uuid;

use crate::database::{UDID, at, enroll, new_database};

fn amina() -> PersonKey {
    PersonKey {
        directory: "local-users".into(),
        person_id: "amina".into(),
    }
}

fn noting(store: &Store, n: u128) -> Store {
    store.noting(NewEvent {
        id: Uuid::from_u128(n),
        bindings: vec!["audit".into()],
        payload: json!({}),
    })
}

async fn due(store: &Store, now: SystemTime) -> Vec<PersonKey> {
    let elsewhere = store.persons_due("elsewhere", now, 10).await;
    assert_eq!(elsewhere.unwrap(), []);
    let due = store.persons_due("local-users", now, 10).await;
    due.unwrap()
}

#[tokio::test]
async fn persons_with_devices_are_due_until_they_were_asked_about() {
    let store = new_database().await;
    assert!(due(&store, at(0)).await.is_empty());
    let directories = store.directories_with_devices().await;
    assert!(directories.unwrap().is_empty());
    enroll(&store, UDID, 1).await;
    enroll(&store, "00008110-0000000000000002", 2).await;
    let directories = store.directories_with_devices().await;
    assert_eq!(directories.unwrap(), ["local-users"]);
    assert_eq!(due(&store, at(3)).await, [amina()]);
    let noted = store.note_standing(&amina(), true, at(100), at(3)).await;
    assert_eq!(noted.unwrap(), StandingNoted::Same);
    assert!(due(&store, at(99)).await.is_empty());
    assert_eq!(due(&store, at(100)).await, [amina()]);
    store.defer_standing(&amina(), at(200)).await.unwrap();
    assert!(due(&store, at(199)).await.is_empty());
    let ids = store.enrollments_of_person(&amina()).await.unwrap();
    assert_eq!(ids.len(), 2);
    for id in ids {
        store.check_out(&id, None, at(4)).await.unwrap();
    }
    assert!(due(&store, at(300)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_who_find_a_person_disabled_one_tells() {
    let database = new_database().await;
    enroll(&database, UDID, 1).await;
    let attempts: Vec<_> = (0..16)
        .map(|n| {
            let store = noting(&database, n);
            tokio::spawn(async move { store.note_standing(&amina(), false, at(100), at(3)).await })
        })
        .collect();
    let mut told = 0;
    for attempt in attempts {
        let noted = attempt.await.unwrap().unwrap();
        told += usize::from(noted == StandingNoted::Disabled);
    }
    assert_eq!(told, 1);
    assert_eq!(
        database
            .due_events("audit", at(3), 100)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(database.last_standing(&amina()).await.unwrap(), Some(false));
    // That the directory cannot tell now does not make the person active.
    database.defer_standing(&amina(), at(200)).await.unwrap();
    let noted = database.note_standing(&amina(), true, at(300), at(4)).await;
    assert_eq!(noted.unwrap(), StandingNoted::Enabled);
}

#[tokio::test]
async fn what_takes_several_events_to_tell_is_told_in_one_transaction() {
    let database = new_database().await;
    enroll(&database, UDID, 1).await;
    let store = noting(&noting(&database, 1), 2);
    for _ in 0..2 {
        let noted = store.note_standing(&amina(), false, at(100), at(3)).await;
        noted.unwrap();
        let due = database.due_events("audit", at(3), 100).await.unwrap();
        let mut ids: Vec<_> = due.iter().map(|due| due.id.as_u128()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_who_see_a_schedule_due_one_ticks() {
    let database = new_database().await;
    let due = Scheduled {
        binding: "audit".into(),
        schedule: "0 * * * *".into(),
        due: at(10),
    };
    database.put_schedule(&due).await.unwrap();
    let attempts: Vec<_> = (0..16)
        .map(|n| {
            let (store, due) = (noting(&database, n), due.clone());
            tokio::spawn(async move { store.take_tick(&due, at(3_600), at(10)).await })
        })
        .collect();
    let mut ticks = 0;
    for attempt in attempts {
        ticks += usize::from(attempt.await.unwrap().unwrap());
    }
    assert_eq!(ticks, 1);
    assert_eq!(
        database
            .due_events("audit", at(10), 100)
            .await
            .unwrap()
            .len(),
        1
    );
    let next = Scheduled {
        due: at(3_600),
        ..due
    };
    assert_eq!(database.schedules().await.unwrap(), [next]);
    database.forget_schedule("audit").await.unwrap();
    assert!(database.schedules().await.unwrap().is_empty());
}
