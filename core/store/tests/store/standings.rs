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

#[tokio::test]
async fn persons_with_devices_are_due_until_they_were_asked_about() {
    let store = new_database().await;
    assert!(store.persons_due(at(0), 10).await.unwrap().is_empty());
    enroll(&store, UDID, 1).await;
    enroll(&store, "00008110-0000000000000002", 2).await;
    assert_eq!(store.persons_due(at(3), 10).await.unwrap(), [amina()]);
    let noted = store.note_standing(&amina(), true, at(100), at(3)).await;
    assert_eq!(noted.unwrap(), StandingNoted::Same);
    assert!(store.persons_due(at(99), 10).await.unwrap().is_empty());
    assert_eq!(store.persons_due(at(100), 10).await.unwrap(), [amina()]);
    store.defer_standing(&amina(), at(200)).await.unwrap();
    assert!(store.persons_due(at(199), 10).await.unwrap().is_empty());
    let ids = store.enrollments_of_person(&amina()).await.unwrap();
    assert_eq!(ids.len(), 2);
    for id in ids {
        store.check_out(&id, None, at(4)).await.unwrap();
    }
    assert!(store.persons_due(at(300), 10).await.unwrap().is_empty());
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
