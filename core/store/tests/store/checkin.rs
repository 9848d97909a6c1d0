use lanyard_store::{
    AuthenticateOutcome, AuthenticateRow, CheckOutOutcome, CommandState, EnqueueOutcome,
    EnrollmentFacts, EnrollmentState, MAX_USER_CHANNELS, NewIssuance, Occasion, SessionState,
    SessionStep, TokenUpdate, TokenUpdateOutcome,
};
use uuid::Uuid;

use crate::database::{
    UDID, at, authenticate, authenticate_row, certificate, command, enqueue, enroll, issuance,
    new_database, new_session, next, sent, tokens,
};

fn tokens_under(certificate: &str) -> TokenUpdate<'_> {
    TokenUpdate {
        certificate,
        ..tokens(UDID)
    }
}

fn user_tokens<'a>(user_id: &'a str) -> TokenUpdate<'a> {
    TokenUpdate {
        user_id: Some(user_id),
        token: b"token of the user channel",
        push_magic: "user-magic",
        unlock_token: None,
        ..tokens(UDID)
    }
}

#[tokio::test]
async fn the_first_tokens_enroll_a_device() {
    let store = new_database().await;
    let early = store.token_update(tokens(UDID), at(0)).await.unwrap();
    assert_eq!(early, TokenUpdateOutcome::UnknownDevice);

    let created = authenticate(&store, UDID, 1, Occasion::FreshEnrollment).await;
    assert_eq!(created, AuthenticateOutcome::Created);
    let pending = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(pending.state, EnrollmentState::Pending);
    assert!(store.push_target(UDID).await.unwrap().is_none());

    let first = store.token_update(tokens(UDID), at(2)).await.unwrap();
    assert_eq!(first, TokenUpdateOutcome::First);
    let second = store.token_update(tokens(UDID), at(9)).await.unwrap();
    assert_eq!(second, TokenUpdateOutcome::Refreshed);

    let enrolled = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrolled.state, EnrollmentState::Enrolled);
    assert_eq!(enrolled.enrolled_at, Some(at(2)));
    assert_eq!(enrolled.token_updates, 2);
    assert_eq!(enrolled.certificate, Some(certificate(1).fingerprint));
    assert!(enrolled.has_push_tokens && enrolled.has_unlock_token);
    let target = store.push_target(UDID).await.unwrap().unwrap();
    assert_eq!(target.token.expose().as_slice(), tokens(UDID).token);
    assert_eq!(target.push_magic.expose().as_str(), tokens(UDID).push_magic);
    assert_eq!(target.topic, "com.apple.mgmt.External.1");
    assert!(!format!("{target:?}").contains("A1B2"));
}

#[tokio::test]
async fn the_first_tokens_complete_the_session() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let id = Uuid::from_u128(1);
    let step = SessionStep {
        id,
        from: SessionState::Authenticated,
        to: SessionState::Delivered,
    };
    let issuance = NewIssuance {
        session: Some(step),
        ..issuance(1)
    };
    store.issue(&issuance, at(0)).await.unwrap();
    let mut message = authenticate_row(UDID, 1);
    message.session_id = Some(id);
    let fresh = Occasion::FreshEnrollment;
    store.authenticate(message, fresh, at(1)).await.unwrap();
    store.token_update(tokens(UDID), at(2)).await.unwrap();
    store.token_update(tokens(UDID), at(3)).await.unwrap();

    let session = store.find_session(id).await.unwrap().unwrap();
    assert_eq!(session.state, SessionState::Completed);
    assert_eq!(session.version, 2);
    let enrollment = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrollment.session_id, Some(id));
}

#[tokio::test]
async fn what_a_token_update_leaves_out_stays() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let awaiting = TokenUpdate {
        awaiting_configuration: Some(true),
        ..tokens(UDID)
    };
    store.token_update(awaiting, at(3)).await.unwrap();
    let bare = TokenUpdate {
        token: b"another token",
        unlock_token: None,
        ..tokens(UDID)
    };
    store.token_update(bare, at(4)).await.unwrap();

    let unlock = store.unlock_token(UDID).await.unwrap().unwrap();
    assert_eq!(Some(unlock.expose().as_slice()), tokens(UDID).unlock_token);
    let enrollment = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrollment.awaiting_configuration, Some(true));
    let target = store.push_target(UDID).await.unwrap().unwrap();
    assert_eq!(target.token.expose().as_slice(), b"another token");
}

#[tokio::test]
async fn a_user_channel_never_touches_its_device() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let before = store.find_enrollment(UDID).await.unwrap().unwrap();
    let message = user_tokens("U1");
    let id = message.enrollment_id();
    let first = store.token_update(message, at(5)).await.unwrap();
    assert_eq!(first, TokenUpdateOutcome::First);

    assert_eq!(store.find_enrollment(UDID).await.unwrap().unwrap(), before);
    let device = store.push_target(UDID).await.unwrap().unwrap();
    assert_eq!(device.token.expose().as_slice(), tokens(UDID).token);
    let user = store.push_target(&id).await.unwrap().unwrap();
    assert_eq!(user.token.expose().as_slice(), b"token of the user channel");
    assert!(store.unlock_token(&id).await.unwrap().is_none());
    let user = store.find_enrollment(&id).await.unwrap().unwrap();
    assert_eq!(user.device_id, UDID);
    assert_eq!(user.user_id.as_deref(), Some("U1"));
    assert_eq!(user.person_id, "amina");

    enqueue(&store, &id, "for-the-user").await;
    assert_eq!(next(&store, UDID, false).await, None);
    let found = next(&store, &id, false).await;
    assert_eq!(found.as_deref(), Some("for-the-user"));
}

#[tokio::test]
async fn a_fresh_enrollment_clears_queues_and_tokens() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let message = user_tokens("U1");
    let user_channel = message.enrollment_id();
    store.token_update(message, at(3)).await.unwrap();
    enqueue(&store, UDID, "erase").await;
    enqueue(&store, UDID, "lock").await;
    enqueue(&store, &user_channel, "user-command").await;
    store.note_sent(&[sent("erase", 4)]).await.unwrap();

    let outcome = authenticate(&store, UDID, 2, Occasion::FreshEnrollment).await;
    assert_eq!(outcome, AuthenticateOutcome::Restarted { cleared: 3 });
    for id in [UDID, user_channel.as_str()] {
        assert_eq!(next(&store, id, false).await, None);
        assert!(store.push_target(id).await.unwrap().is_none());
        let enrollment = store.find_enrollment(id).await.unwrap().unwrap();
        assert_eq!(enrollment.state, EnrollmentState::Pending);
        assert!(!enrollment.has_push_tokens && !enrollment.has_unlock_token);
    }
    assert!(store.unlock_token(UDID).await.unwrap().is_none());
    assert_eq!(store.push_due(UDID).await.unwrap(), None);
    let erase = store.find_command(UDID, "erase").await.unwrap().unwrap();
    assert_eq!(erase.summary.state, CommandState::Cleared);
    // The certificate of before does not bring tokens into the enrollment of now.
    let stale = store.token_update(tokens(UDID), at(6)).await.unwrap();
    assert_eq!(stale, TokenUpdateOutcome::OtherCertificate);
    let second = certificate(2).fingerprint;
    let first = store.token_update(tokens_under(&second), at(6)).await;
    assert_eq!(first.unwrap(), TokenUpdateOutcome::First);
    let old = certificate(1).fingerprint;
    let stale = store.check_out(UDID, Some(&old), at(7)).await.unwrap();
    assert_eq!(stale, CheckOutOutcome::OtherCertificate);
}

#[tokio::test]
async fn a_renewal_keeps_queue_and_tokens() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "lock").await;

    store.issue(&issuance(2), at(4)).await.unwrap();
    let mut message = authenticate_row(UDID, 2);
    message.facts = EnrollmentFacts {
        os_version: Some("27.0".into()),
        ..EnrollmentFacts::default()
    };
    let outcome = store.authenticate(message, Occasion::Renewal, at(5)).await;
    assert_eq!(outcome.unwrap(), AuthenticateOutcome::Renewed);

    let renewed = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(renewed.state, EnrollmentState::Enrolled);
    assert_eq!(renewed.certificate, Some(certificate(2).fingerprint));
    assert_eq!(renewed.facts.os_version.as_deref(), Some("27.0"));
    assert_eq!(renewed.facts.serial.as_deref(), Some("C39XXXXXXX"));
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("lock"));
    assert!(store.push_target(UDID).await.unwrap().is_some());
    assert!(store.unlock_token(UDID).await.unwrap().is_some());
    let second = certificate(2).fingerprint;
    let later = store.token_update(tokens_under(&second), at(6)).await;
    assert_eq!(later.unwrap(), TokenUpdateOutcome::Refreshed);
}

#[tokio::test]
async fn a_certificate_of_before_cannot_start_over() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let mut later = issuance(2);
    later.certificate.issued_at = at(4);
    store.issue(&later, at(4)).await.unwrap();
    let fresh = Occasion::FreshEnrollment;
    let message = authenticate_row(UDID, 2);
    store.authenticate(message, fresh, at(5)).await.unwrap();
    let second = certificate(2).fingerprint;
    let update = store.token_update(tokens_under(&second), at(6)).await;
    assert_eq!(update.unwrap(), TokenUpdateOutcome::First);
    enqueue(&store, UDID, "lock").await;
    let before = store.find_enrollment(UDID).await.unwrap().unwrap();

    for occasion in [Occasion::FreshEnrollment, Occasion::Renewal] {
        let message = authenticate_row(UDID, 1);
        let outcome = store.authenticate(message, occasion, at(7)).await.unwrap();
        assert_eq!(outcome, AuthenticateOutcome::Superseded);
        assert_eq!(store.find_enrollment(UDID).await.unwrap().unwrap(), before);
        assert_eq!(next(&store, UDID, false).await.as_deref(), Some("lock"));
    }
    // The current one may say it again.
    let message = authenticate_row(UDID, 2);
    let outcome = store.authenticate(message, Occasion::Renewal, at(8)).await;
    assert_eq!(outcome.unwrap(), AuthenticateOutcome::Renewed);
}

#[tokio::test]
async fn a_foreign_or_unknown_certificate_changes_nothing() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let before = store.find_enrollment(UDID).await.unwrap().unwrap();
    enroll(&store, "OTHER", 2).await;

    let fresh = Occasion::FreshEnrollment;
    let stolen = authenticate_row(UDID, 2);
    let outcome = store.authenticate(stolen, fresh, at(5)).await.unwrap();
    let device_id = "OTHER".to_owned();
    assert_eq!(outcome, AuthenticateOutcome::BoundToAnother { device_id });
    let forged = authenticate_row(UDID, 99);
    let outcome = store.authenticate(forged, fresh, at(5)).await.unwrap();
    assert_eq!(outcome, AuthenticateOutcome::UnknownCertificate);
    assert_eq!(store.find_enrollment(UDID).await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn check_out_stops_pushes_and_keeps_history() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let message = user_tokens("U1");
    let user_channel = message.enrollment_id();
    store.token_update(message, at(3)).await.unwrap();
    enqueue(&store, UDID, "lock").await;

    let check_out = |id, seconds| store.check_out(id, None, at(seconds));
    let first = check_out(UDID, 10).await.unwrap();
    assert_eq!(first, CheckOutOutcome::CheckedOut);
    let again = check_out(UDID, 20).await.unwrap();
    assert_eq!(again, CheckOutOutcome::AlreadyCheckedOut);
    let unknown = check_out("X", 30).await.unwrap();
    assert_eq!(unknown, CheckOutOutcome::Unknown);

    assert_eq!(store.push_due(UDID).await.unwrap(), None);
    for id in [UDID, user_channel.as_str()] {
        let enrollment = store.find_enrollment(id).await.unwrap().unwrap();
        assert_eq!(enrollment.state, EnrollmentState::CheckedOut);
        assert_eq!(enrollment.checked_out_at, Some(at(10)));
        assert!(store.push_target(id).await.unwrap().is_none());
    }
    assert!(store.find_command(UDID, "lock").await.unwrap().is_some());
    let late = store.token_update(tokens(UDID), at(35)).await.unwrap();
    assert_eq!(late, TokenUpdateOutcome::CheckedOut);
    let refused = store.enqueue(command(UDID, "late"), at(40)).await.unwrap();
    assert_eq!(refused, EnqueueOutcome::CheckedOut);
    assert!(store.topics_in_use().await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_go_on_after_an_id_and_last_seen_moves_forward() {
    let store = new_database().await;
    for (n, id) in ["B", "A", "C"].into_iter().enumerate() {
        enroll(&store, id, u32::try_from(n).unwrap() + 1).await;
    }
    let ids = |rows: Vec<lanyard_store::Enrollment>| -> Vec<String> {
        rows.into_iter().map(|row| row.id).collect()
    };
    let first = store.list_enrollments(None, 2).await.unwrap();
    assert_eq!(ids(first), ["A", "B"]);
    let rest = store.list_enrollments(Some("B"), 2).await.unwrap();
    assert_eq!(ids(rest), ["C"]);
    let topics = store.topics_in_use().await.unwrap();
    assert_eq!(topics, [("com.apple.mgmt.External.1".to_owned(), 3)]);

    for seen in [50, 40] {
        let seen = [("A".to_owned(), at(seen)), ("nobody".to_owned(), at(1))];
        store.touch_last_seen(&seen).await.unwrap();
    }
    let seen = store.find_enrollment("A").await.unwrap().unwrap();
    assert_eq!(seen.last_seen_at, Some(at(50)));
}

#[tokio::test]
async fn a_device_has_so_many_user_channels_and_no_more() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let users: Vec<String> = (0..=MAX_USER_CHANNELS).map(|n| format!("U{n}")).collect();
    let (last, others) = users.split_last().unwrap();
    for user in others {
        let outcome = store.token_update(user_tokens(user), at(3)).await.unwrap();
        assert_eq!(outcome, TokenUpdateOutcome::First);
    }
    let outcome = store.token_update(user_tokens(last), at(4)).await.unwrap();
    assert_eq!(outcome, TokenUpdateOutcome::TooManyUsers);
    let known = store.token_update(user_tokens(&others[0]), at(5)).await;
    assert_eq!(known.unwrap(), TokenUpdateOutcome::Refreshed);
}

#[tokio::test]
async fn nobody_takes_another_persons_device_before_it_is_released() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "erase").await;
    store.issue(&issuance(2), at(4)).await.unwrap();
    let somebody_else = || AuthenticateRow {
        person_id: "boris".into(),
        ..authenticate_row(UDID, 2)
    };
    let fresh = Occasion::FreshEnrollment;
    let before = store.find_enrollment(UDID).await.unwrap();
    let taken = store.authenticate(somebody_else(), fresh, at(5)).await;
    assert_eq!(taken.unwrap(), AuthenticateOutcome::OfAnotherPerson);
    assert_eq!(store.find_enrollment(UDID).await.unwrap(), before);
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("erase"));

    store.check_out(UDID, None, at(6)).await.unwrap();
    let stale = store.authenticate(somebody_else(), fresh, at(7)).await;
    assert_eq!(
        stale.unwrap(),
        AuthenticateOutcome::Superseded,
        "the certificate is from before the release"
    );
    let mut later = issuance(3);
    later.certificate.issued_at = at(7);
    store.issue(&later, at(7)).await.unwrap();
    let released = AuthenticateRow {
        person_id: "boris".into(),
        ..authenticate_row(UDID, 3)
    };
    let released = store.authenticate(released, fresh, at(8)).await;
    assert_eq!(
        released.unwrap(),
        AuthenticateOutcome::Restarted { cleared: 1 }
    );
}
