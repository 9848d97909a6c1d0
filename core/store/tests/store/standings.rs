use std::time::SystemTime;

use lanyard_store::{
    AuthenticateOutcome, AuthenticateRow, NewEvent, Occasion, PersonKey, Scheduled, StandingNoted,
    Store, TokenUpdate,
};
use serde_json::json;
use uuid::Uuid;

use crate::database::{
    TestDatabase, UDID, at, authenticate_row, enroll, issuance, new_database, tokens,
};

fn amina() -> PersonKey {
    person("local-users", "amina")
}

fn person(directory: &str, id: &str) -> PersonKey {
    PersonKey {
        directory: directory.into(),
        person_id: id.into(),
    }
}

/// Somebody enrolls a device, with certificate `n`, which is issued at that second.
async fn enroll_of(
    store: &Store,
    person: &PersonKey,
    device: &str,
    n: u32,
    seconds: u64,
) -> AuthenticateOutcome {
    let mut issuance = issuance(n);
    issuance.certificate.issued_at = at(seconds);
    store.issue(&issuance, at(seconds)).await.unwrap();
    let message = AuthenticateRow {
        directory: person.directory.clone(),
        person_id: person.person_id.clone(),
        ..authenticate_row(device, n)
    };
    let occasion = Occasion::FreshEnrollment;
    let enrolled = store.authenticate(message, occasion, at(seconds));
    enrolled.await.unwrap()
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
    let directories = store.directories_with_devices().await;
    assert!(directories.unwrap().is_empty());
    // What the directory says after that is of nobody with a device.
    let noted = store.note_standing(&amina(), false, at(9), at(5)).await;
    assert_eq!(noted.unwrap(), StandingNoted::Same);
    store.defer_standing(&amina(), at(9)).await.unwrap();
    assert!(due(&store, at(300)).await.is_empty());
    assert_eq!(store.last_standing(&amina()).await.unwrap(), None);
    enroll_of(&store, &amina(), UDID, 3, 301).await;
    assert_eq!(due(&store, at(301)).await, [amina()]);
}

#[tokio::test]
async fn whoever_was_never_asked_about_comes_first_and_each_directory_has_its_own() {
    let store = new_database().await;
    let persons = [
        person("b", "1"),
        person("a", "2"),
        person("c", "3"),
        person("b", "4"),
        person("b", "5"),
    ];
    for (n, person) in (1..).zip(&persons) {
        enroll_of(&store, person, &format!("device-{n}"), n, 1).await;
    }
    let directories = store.directories_with_devices().await;
    assert_eq!(directories.unwrap(), ["a", "b", "c"]);
    let [first, _, _, second, never] = persons;
    for (person, again) in [(&first, 20), (&second, 10)] {
        let noted = store.note_standing(person, true, at(again), at(2)).await;
        noted.unwrap();
    }
    let due = store.persons_due("b", at(20), 10).await.unwrap();
    assert_eq!(due, [never, second, first]);
    let due = store.persons_due("b", at(20), 1).await.unwrap();
    assert_eq!(due.len(), 1);
}

#[tokio::test]
async fn a_device_and_its_users_are_of_the_next_person_who_enrolls_it() {
    let store = new_database().await;
    let next = person("elsewhere", "ben");
    enroll(&store, UDID, 1).await;
    let user = TokenUpdate {
        user_id: Some("501"),
        ..tokens(UDID)
    };
    store.token_update(user, at(3)).await.unwrap();
    store.check_out(UDID, None, at(4)).await.unwrap();
    let enrolled = enroll_of(&store, &next, UDID, 2, 5).await;
    assert!(matches!(enrolled, AuthenticateOutcome::Restarted { .. }));
    let ids = store.enrollments_of_person(&next).await.unwrap();
    assert_eq!(ids, [UDID.to_owned(), format!("{UDID}:501")]);
    let before = store.persons_due("local-users", at(6), 10).await.unwrap();
    assert_eq!(before, []);
    let now = store.persons_due("elsewhere", at(6), 10).await.unwrap();
    assert_eq!(now, [next]);
}

/// Whichever of them is first: who has a device is asked about.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_that_comes_while_another_one_goes_is_not_overlooked() {
    let database: TestDatabase = new_database().await;
    for n in 0..20 {
        let (here, there) = (database.store.clone(), database.store.clone());
        let (going, coming) = (format!("device-{n}"), format!("device-{}", n + 1));
        if n == 0 {
            enroll_of(&here, &amina(), &going, n + 1, 1).await;
        }
        let gone = tokio::spawn(async move { here.check_out(&going, None, at(2)).await });
        let come =
            tokio::spawn(async move { enroll_of(&there, &amina(), &coming, n + 2, 1).await });
        gone.await.unwrap().unwrap();
        come.await.unwrap();
        assert_eq!(due(&database, at(3)).await, [amina()], "{n}");
    }
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
