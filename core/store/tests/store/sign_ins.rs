use crate::database::{at, new_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_with_one_ticket_one_goes_on() {
    let database = new_database().await;
    let kept = database.store.keep_sign_in("aa", b"step", at(600)).await;
    kept.unwrap();
    let attempts: Vec<_> = (0..16)
        .map(|_| {
            let store = database.store.clone();
            tokio::spawn(async move { store.take_sign_in("aa", at(1)).await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for attempt in attempts {
        taken.extend(attempt.await.unwrap());
    }
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].expose().as_slice(), b"step");
}

#[tokio::test]
async fn a_step_is_over_after_its_time_and_then_forgotten() {
    let store = new_database().await;
    store.keep_sign_in("aa", b"one", at(600)).await.unwrap();
    store.keep_sign_in("bb", b"two", at(600)).await.unwrap();
    let found = store.find_sign_in("aa", at(599)).await.unwrap().unwrap();
    assert_eq!(found.expose().as_slice(), b"one");
    assert!(store.find_sign_in("aa", at(600)).await.unwrap().is_none());
    assert!(store.find_sign_in("cc", at(1)).await.unwrap().is_none());
    assert!(store.take_sign_in("aa", at(600)).await.unwrap().is_none());
    assert!(store.find_sign_in("aa", at(1)).await.unwrap().is_none());
    assert!(store.take_sign_in("cc", at(1)).await.unwrap().is_none());
    assert_eq!(store.forget_expired_sign_ins(at(600), 10).await.unwrap(), 0);
    assert_eq!(store.forget_expired_sign_ins(at(601), 10).await.unwrap(), 1);
}
