use std::time::Duration;

use lanyard_store::{
    CertificatePurpose, DeferOutcome, DenyOutcome, IssueOutcome, NewIssuance, Occasion,
    RevokeOutcome, SessionState, SessionStep, Standing, StoreError, TransactionState,
};
use uuid::Uuid;

use crate::approvals::defer;
use crate::database::{
    at, authenticate, certificate, challenge, issuance, key, new_database, new_session,
};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_get_one_certificate() {
    let database = new_database().await;
    let attempts: Vec<_> = (0..16)
        .map(|n| {
            let store = database.store.clone();
            tokio::spawn(async move {
                let attempt = NewIssuance {
                    certificate: certificate(100 + n),
                    ..issuance(1)
                };
                let outcome = store.issue(&attempt, at(n.into())).await.unwrap();
                (attempt.certificate.fingerprint, outcome)
            })
        })
        .collect();

    let (mut issued, mut handed_out) = (Vec::new(), Vec::new());
    for attempt in attempts {
        match attempt.await.unwrap() {
            (fingerprint, IssueOutcome::Issued) => issued.push(fingerprint),
            (_, IssueOutcome::AlreadyIssued(known)) => handed_out.push(known.fingerprint),
            (_, other) => panic!("{other:?}"),
        }
    }
    assert_eq!(issued.len(), 1);
    assert_eq!(handed_out, vec![issued[0].clone(); 15]);
    for n in 0..16 {
        let fingerprint = certificate(100 + n).fingerprint;
        let found = database.find_certificate(&fingerprint).await.unwrap();
        assert_eq!(found.is_some(), fingerprint == issued[0]);
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_certificate_for_a_day() {
    let store = new_database().await;
    let first = store.issue(&issuance(1), at(0)).await.unwrap();
    assert_eq!(first, IssueOutcome::Issued);

    let retry = NewIssuance {
        certificate: certificate(2),
        ..issuance(1)
    };
    let known = store.find_certificate(&certificate(1).fingerprint).await;
    let known = Box::new(known.unwrap().unwrap());
    let soon = store.issue(&retry, at(DAY - 1)).await.unwrap();
    assert_eq!(soon, IssueOutcome::AlreadyIssued(known));
    let clock_set_back = store.issue(&retry, at(0) - Duration::from_secs(60)).await;
    assert!(matches!(
        clock_set_back.unwrap(),
        IssueOutcome::AlreadyIssued(_)
    ));

    for (csr, challenge, seconds, stands) in [
        ("csr-1", "challenge-1", DAY - 1, true),
        ("csr-1", "challenge-1", DAY, false),
        ("csr-1", "challenge-2", 1, false),
        ("another", "challenge-1", 1, false),
    ] {
        let key = key(1);
        let standing = store.standing_answer(&key, Some((csr, challenge)), at(seconds));
        let standing = matches!(standing.await.unwrap(), Standing::Issued(_));
        assert_eq!(standing, stands, "{csr}, {challenge} at {seconds}");
    }

    let later = store.issue(&retry, at(DAY)).await.unwrap();
    assert_eq!(later, IssueOutcome::ChallengeUsed);
    let renewed = NewIssuance {
        challenge: challenge(2),
        ..retry
    };
    let renewed = store.issue(&renewed, at(DAY)).await.unwrap();
    assert_eq!(renewed, IssueOutcome::Issued);
}

#[tokio::test]
async fn a_new_challenge_is_no_repetition_and_gets_its_own_certificate() {
    let store = new_database().await;
    store.issue(&issuance(1), at(0)).await.unwrap();
    let again = NewIssuance {
        challenge: challenge(2),
        certificate: certificate(2),
        ..issuance(1)
    };
    let outcome = store.issue(&again, at(1)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::Issued);
    let first = store.find_certificate(&certificate(1).fingerprint).await;
    assert!(first.unwrap().is_some(), "the first one stays on record");
}

#[tokio::test]
async fn a_challenge_is_good_for_one_request() {
    let store = new_database().await;
    store.issue(&issuance(1), at(0)).await.unwrap();

    let other_transaction = NewIssuance {
        challenge: challenge(1),
        ..issuance(2)
    };
    let outcome = store.issue(&other_transaction, at(1)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::ChallengeUsed);
    let other_request = NewIssuance {
        csr_sha256: "another".into(),
        certificate: certificate(2),
        ..issuance(1)
    };
    let outcome = store.issue(&other_request, at(1)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::ChallengeUsed);

    let absent = store.find_certificate(&certificate(2).fingerprint).await;
    assert_eq!(absent.unwrap(), None);
    assert_eq!(store.find_transaction(&key(2)).await.unwrap(), None);
    let transaction = store.find_transaction(&key(1)).await.unwrap().unwrap();
    assert_eq!(transaction.csr_sha256, "csr-1");
}

#[tokio::test]
async fn an_issuance_moves_its_session_or_does_not_happen() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let id = Uuid::from_u128(1);
    let step = |from| SessionStep {
        id,
        from,
        to: SessionState::Certified,
    };
    let too_early = NewIssuance {
        session: Some(step(SessionState::Identified)),
        ..issuance(1)
    };
    let outcome = store.issue(&too_early, at(0)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::SessionMoved);
    assert_eq!(store.find_transaction(&key(1)).await.unwrap(), None);

    // Nothing was spent on the attempt.
    let in_time = NewIssuance {
        session: Some(step(SessionState::Authenticated)),
        ..issuance(1)
    };
    let outcome = store.issue(&in_time, at(0)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::Issued);
    let session = store.find_session(id).await.unwrap().unwrap();
    assert_eq!(session.state, SessionState::Certified);
    assert_eq!(session.version, 1);
}

#[tokio::test]
async fn a_serial_number_is_never_used_twice() {
    let store = new_database().await;
    store.issue(&issuance(1), at(0)).await.unwrap();
    let mut same_serial = issuance(2);
    same_serial.certificate.serial = certificate(1).serial;
    let error = store.issue(&same_serial, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");

    // The challenge was not spent on it.
    let outcome = store.issue(&issuance(2), at(1)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::Issued);
}

#[tokio::test]
async fn a_pending_request_is_issued_with_the_challenge_that_it_brought() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let defer = |n, csr, seconds| defer(&store, n, csr, &[], seconds);
    assert_eq!(defer(1, "csr-1", 0).await, DeferOutcome::Pending);
    assert_eq!(defer(1, "csr-1", 5).await, DeferOutcome::Pending);
    assert_eq!(defer(2, "csr-2", 6).await, DeferOutcome::ChallengeUsed);
    assert_eq!(defer(1, "csr-2", 7).await, DeferOutcome::ChallengeUsed);
    let request = store.waiting_request(&key(1)).await.unwrap().unwrap();
    assert_eq!(request.expose(), b"the request");
    assert!(store.waiting_request(&key(2)).await.unwrap().is_none());

    let outcome = store.issue(&issuance(1), at(900)).await.unwrap();
    assert_eq!(outcome, IssueOutcome::Issued);
    assert_eq!(defer(1, "csr-1", 901).await, DeferOutcome::AlreadyIssued);
    let transaction = store.find_transaction(&key(1)).await.unwrap().unwrap();
    assert_eq!(transaction.state, TransactionState::Issued);
    assert_eq!(transaction.created_at, at(0));
    assert_eq!(transaction.updated_at, at(900));
    assert_eq!(transaction.reason, None);
    let fingerprint = certificate(1).fingerprint;
    assert_eq!(transaction.fingerprint, Some(fingerprint));
    assert!(store.waiting_request(&key(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_denial_stands_for_an_hour() {
    let store = new_database().await;
    let deny = |seconds| store_deny(&store, seconds);
    assert_eq!(deny(0).await, DenyOutcome::Denied);
    let reason = "wrong person".to_owned();
    let soon = store.issue(&issuance(1), at(3_599)).await.unwrap();
    assert_eq!(soon, IssueOutcome::Denied { reason });
    let later = store.issue(&issuance(1), at(3_600)).await.unwrap();
    assert_eq!(later, IssueOutcome::Issued);
    assert_eq!(deny(3_601).await, DenyOutcome::AlreadyIssued);
}

async fn store_deny(store: &lanyard_store::Store, seconds: u64) -> DenyOutcome {
    let (key, reason) = (key(1), "wrong person");
    let denied = store.deny_transaction(&key, "csr-1", "challenge-1", reason, at(seconds));
    denied.await.unwrap()
}

#[tokio::test]
async fn the_use_of_a_challenge_is_remembered_until_it_expires() {
    let store = new_database().await;
    store.issue(&issuance(1), at(0)).await.unwrap();
    store.issue(&issuance(2), at(0)).await.unwrap();
    let early = store.forget_expired_challenges(at(3_600), 10).await;
    assert_eq!(early.unwrap(), 0);
    let one = store.forget_expired_challenges(at(3_601), 1).await;
    assert_eq!(one.unwrap(), 1);
    let other = store.forget_expired_challenges(at(3_601), 10).await;
    assert_eq!(other.unwrap(), 1);
}

#[tokio::test]
async fn a_certificate_speaks_for_the_device_that_presents_it() {
    let store = new_database().await;
    authenticate(&store, "A", 1, Occasion::FreshEnrollment).await;
    let fingerprint = certificate(1).fingerprint;
    let identity = store.identity(&fingerprint).await.unwrap().unwrap();
    assert_eq!(identity.device_id.as_deref(), Some("A"));
    assert_eq!(identity.purpose, CertificatePurpose::Identity);
    assert_eq!(identity.not_after, at(31_536_000));
    assert_eq!(identity.revoked_at, None);
    assert_eq!(store.identity("00").await.unwrap(), None);
}

#[tokio::test]
async fn a_revocation_keeps_its_time() {
    let store = new_database().await;
    store.issue(&issuance(1), at(0)).await.unwrap();
    let fingerprint = certificate(1).fingerprint;
    let revoke = |fingerprint, seconds| store.revoke_certificate(fingerprint, at(seconds));

    let first = revoke(&fingerprint, 10).await.unwrap();
    assert_eq!(first, RevokeOutcome::Revoked);
    let again = revoke(&fingerprint, 20).await.unwrap();
    assert_eq!(again, RevokeOutcome::AlreadyRevoked);
    assert_eq!(revoke("00", 30).await.unwrap(), RevokeOutcome::Unknown);
    let identity = store.identity(&fingerprint).await.unwrap().unwrap();
    assert_eq!(identity.revoked_at, Some(at(10)));
}
