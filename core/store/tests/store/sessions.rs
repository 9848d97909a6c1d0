use lanyard_store::{
    DeviceFacts, Identification, IdentifyOutcome, SessionState, StoreError, Transition,
};
use serde_json::json;
use uuid::Uuid;

use crate::database::{at, new_database, new_session};

fn identification(udid: &str) -> Identification {
    Identification {
        device: DeviceFacts {
            udid: udid.into(),
            serial: Some("C39XXXXXXX".into()),
            product: Some("iPhone14,5".into()),
            build: Some("22A100".into()),
            imei: None,
            meid: None,
        },
        attestation: json!({"attested": false, "why": "leaf only"}),
        device_certificate: vec![0x30, 0x03],
        settings: json!({}),
    }
}

#[tokio::test]
async fn a_session_is_found_by_its_challenge_and_by_its_id() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();

    let by_challenge = store
        .find_session_by_challenge_hash(&[1; 32])
        .await
        .unwrap();
    let by_id = store.find_session(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(by_challenge, by_id);
    let session = by_id.unwrap();
    assert_eq!(session.state, SessionState::Authenticated);
    assert_eq!(session.person_name, "Amina K.");
    assert_eq!(session.attributes, json!({"mail": "amina@example.com"}));
    assert_eq!((session.created_at, session.expires_at), (at(0), at(600)));
    assert_eq!(session.device, None);

    let nobody = store
        .find_session_by_challenge_hash(&[9; 32])
        .await
        .unwrap();
    assert_eq!(nobody, None);
}

#[tokio::test]
async fn a_challenge_belongs_to_one_session() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let mut same_challenge = new_session(2);
    same_challenge.challenge_hash = vec![1; 32];
    let error = store.create_session(same_challenge).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn a_session_takes_one_device() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let id = Uuid::from_u128(1);

    let first = store.identify_session(id, 0, identification("A")).await;
    assert_eq!(first.unwrap(), IdentifyOutcome::Identified { version: 1 });
    for (udid, same_device) in [("A", true), ("B", false)] {
        let again = store.identify_session(id, 1, identification(udid)).await;
        let expected = IdentifyOutcome::AlreadyIdentified { same_device };
        assert_eq!(again.unwrap(), expected);
    }
    let session = store.find_session(id).await.unwrap().unwrap();
    assert_eq!(session.device.unwrap(), identification("A").device);
    assert_eq!(session.device_certificate, Some(vec![0x30, 0x03]));
    assert_eq!(session.version, 1);
}

#[tokio::test]
async fn a_session_that_moved_is_not_identified() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let id = Uuid::from_u128(1);

    let stale = store.identify_session(id, 7, identification("A")).await;
    let state = SessionState::Authenticated;
    assert_eq!(stale.unwrap(), IdentifyOutcome::Moved { state, version: 0 });

    store.refuse_session(id, 0).await.unwrap();
    let refused = store.identify_session(id, 1, identification("A")).await;
    let state = SessionState::Refused;
    let expected = IdentifyOutcome::Moved { state, version: 1 };
    assert_eq!(refused.unwrap(), expected);

    let unknown = store
        .identify_session(Uuid::from_u128(9), 0, identification("A"))
        .await;
    assert_eq!(unknown.unwrap(), IdentifyOutcome::Unknown);
}

#[tokio::test]
async fn a_step_is_taken_from_its_state_and_version_only() {
    use SessionState::{Authenticated, Certified, Delivered, Identified, Refused};
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let id = Uuid::from_u128(1);
    let advance = |version, from, to| store.advance_session(id, version, from, to);

    let skipped = advance(0, Certified, Delivered).await.unwrap();
    let moved = |state, version| Transition::Moved { state, version };
    assert_eq!(skipped, moved(Authenticated, 0));
    let done = advance(0, Authenticated, Identified).await.unwrap();
    assert_eq!(done, Transition::Done { version: 1 });
    let stale = advance(0, Identified, Certified).await.unwrap();
    assert_eq!(stale, moved(Identified, 1));
    let refused = store.refuse_session(id, 1).await.unwrap();
    assert_eq!(refused, Transition::Done { version: 2 });
    let again = store.refuse_session(id, 2).await.unwrap();
    assert_eq!(again, moved(Refused, 2));
}

#[tokio::test]
async fn only_what_no_device_answered_is_forgotten() {
    let store = new_database().await;
    for n in 1..=2 {
        store.create_session(new_session(n)).await.unwrap();
    }
    let answered = Uuid::from_u128(2);
    store
        .identify_session(answered, 0, identification("UDID-2"))
        .await
        .unwrap();

    let before_expiry = store.forget_abandoned_sessions(at(600), 10).await.unwrap();
    assert_eq!(before_expiry, 0);
    let after_expiry = store.forget_abandoned_sessions(at(601), 10).await.unwrap();
    assert_eq!(after_expiry, 1);
    let sessions = store.sessions_of_person("local-users", "amina", 10).await;
    let left: Vec<Uuid> = sessions.unwrap().into_iter().map(|each| each.id).collect();
    assert_eq!(left, [answered]);
}
