//! What devices and background work ask of the store all day.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::{
    AuthenticateRow, BatchCommand, CertificatePurpose, Challenge, CommandAnswer, CommandFilter,
    CommandPlace, CommandStatus, DecisionFilter, DuePush, EnrollmentFacts, MAX_PAGE, NewBatch,
    NewCommand, NewIssuance, NextPush, Occasion, PushOutcome, SentNote, Store, TokenUpdate,
    TransactionKey,
};

const UDID: &str = "00008110-000A1B2C3D4E5F60";
const FINGERPRINT: &str = "the certificate of a device that speaks";

/// After everything that stands in the tables.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Has each of these methods run its statements.
pub(super) async fn run(store: &Store) {
    enroll(store).await;
    speak(store).await;
    queue(store).await;
    wake(store).await;
    work(store).await;
    tidy(store).await;
    leave(store).await;
}

async fn enroll(store: &Store) {
    let key = TransactionKey {
        endpoint: "device".to_owned(),
        transaction_id: "transaction".to_owned(),
        signer_spki: "signer".to_owned(),
    };
    let issuance = NewIssuance {
        key: key.clone(),
        csr_sha256: "request".to_owned(),
        challenge: Challenge {
            id: "challenge".to_owned(),
            expires_at: now(),
        },
        certificate: crate::Certificate {
            fingerprint: FINGERPRINT.to_owned(),
            serial: "serial".to_owned(),
            authority: "device".to_owned(),
            subject: "CN=Device".to_owned(),
            purpose: CertificatePurpose::Identity,
            session_id: None,
            device_id: None,
            issued_at: now(),
            not_after: now(),
            revoked_at: None,
            der: Vec::new(),
        },
        session: None,
    };
    let request = Some(("request", "challenge"));
    store.standing_answer(&key, request, now()).await.unwrap();
    store.issue(&issuance, now()).await.unwrap();
    store.issue(&issuance, now()).await.unwrap();
    store.standing_answer(&key, request, now()).await.unwrap();
    let (csr, challenge) = ("another", "another");
    let denied = store.deny_transaction(&key, csr, challenge, "no", now());
    denied.await.unwrap();
    store.find_session(Uuid::nil()).await.unwrap();
    let challenge = store.find_session_by_challenge_hash(b"challenge 10000001");
    challenge.await.unwrap();
    let refused = store.refuse_session(Uuid::nil(), 1);
    refused.await.unwrap();
    store
        .sessions_of_person("school", "person-10000001", 10)
        .await
        .unwrap();
    store.find_certificate(FINGERPRINT).await.unwrap();

    for occasion in [Occasion::FreshEnrollment, Occasion::FreshEnrollment] {
        let row = AuthenticateRow {
            device_id: UDID.to_owned(),
            session_id: None,
            directory: "school".to_owned(),
            person_id: "person".to_owned(),
            person_name: "A person".to_owned(),
            topic: "com.apple.mgmt.External.1".to_owned(),
            certificate: FINGERPRINT.to_owned(),
            facts: EnrollmentFacts::default(),
        };
        store.authenticate(row, occasion, now()).await.unwrap();
    }
    for user_id in [None, Some("user")] {
        let tokens = TokenUpdate {
            device_id: UDID,
            user_id,
            certificate: FINGERPRINT,
            topic: "com.apple.mgmt.External.1",
            token: b"token",
            push_magic: "magic",
            unlock_token: None,
            awaiting_configuration: None,
        };
        store.token_update(tokens, now()).await.unwrap();
    }
}

async fn speak(store: &Store) {
    store.caller(FINGERPRINT).await.unwrap();
    store.identity(FINGERPRINT).await.unwrap();
    store.find_enrollment(UDID).await.unwrap();
    store.push_target(UDID).await.unwrap();
    store.unlock_token(UDID).await.unwrap();
    store.has_devices("nowhere", "nobody").await.unwrap();
    let seen: Vec<_> = (0..100)
        .map(|n| (format!("device-{}", 10_000_000 + n), now()))
        .collect();
    store.touch_last_seen(&seen).await.unwrap();
}

async fn queue(store: &Store) {
    for uuid in ["a", "b", "c"] {
        let new = NewCommand {
            enrollment_id: UDID,
            uuid,
            request_type: "ProfileList",
            payload: b"<plist/>",
            origin: "operator",
            decision: None,
            bypass: false,
        };
        store.enqueue(new, now()).await.unwrap();
    }
    let mut each = BTreeMap::new();
    for n in 0..MAX_PAGE {
        let command = BatchCommand {
            uuid: "batch".to_owned(),
            payload: b"<plist/>".to_vec().into(),
        };
        each.insert(format!("device-{}", 10_000_000 + 7 * n), command);
    }
    let batch = NewBatch {
        request_type: "ProfileList",
        origin: "operator",
        bypass: false,
        each: &each,
    };
    store.enqueue_batch(batch, now()).await.unwrap();
    store
        .managed_devices(Some("device-10500000"), MAX_PAGE)
        .await
        .unwrap();

    for skip_not_now in [false, true] {
        store.next_command(UDID, skip_not_now).await.unwrap();
    }
    store.queue_head(UDID, 10).await.unwrap();
    store.pending_work(UDID).await.unwrap();
    store.claim_command(UDID, "b", now()).await.unwrap();
    let sent = SentNote {
        enrollment_id: UDID.to_owned(),
        uuid: "a".to_owned(),
        at: now(),
    };
    store.note_sent(&[sent]).await.unwrap();
    for status in [
        CommandStatus::NotNow,
        CommandStatus::Acknowledged,
        CommandStatus::Error,
    ] {
        for sent_at in [None, Some(now())] {
            let answer = CommandAnswer {
                uuid: "a",
                status,
                result: b"<plist/>",
                error: None,
                sent_at,
            };
            store.settle(UDID, answer, now()).await.unwrap();
        }
    }
    store.cancel_command(UDID, "c", now()).await.unwrap();
    store.find_command(UDID, "a").await.unwrap();
    store.was_wished(UDID, "wish").await.unwrap();
    store
        .find_commands_by_uuid("command-10000001")
        .await
        .unwrap();
    for before in [None, Some(2)] {
        store.list_commands(UDID, before, 100).await.unwrap();
    }
    let newest = store.list_all_commands(CommandFilter::default(), 100).await;
    let last = newest.unwrap().last().map(CommandPlace::of).unwrap();
    for id in [None, Some(UDID)] {
        let filter = CommandFilter {
            enrollment_id: id,
            after: Some(&last),
            state: None,
        };
        store.list_all_commands(filter, 100).await.unwrap();
    }
}

async fn wake(store: &Store) {
    store.schedule_push(UDID, now()).await.unwrap();
    store.push_due(UDID).await.unwrap();
    store.next_push_due().await.unwrap();
    // Twice: those of the second time are reminders.
    for _ in 0..2 {
        let due = store.take_pushes(now(), now(), now(), 100).await.unwrap();
        assert_eq!(due.len(), 100);
        let outcomes: Vec<_> = due.iter().enumerate().map(outcome).collect();
        store.record_pushes(&outcomes, now()).await.unwrap();
    }
    store.try_token_again(UDID).await.unwrap();
}

/// Every kind of outcome, and most of them one that is due again at once.
fn outcome((index, due): (usize, &DuePush)) -> PushOutcome {
    PushOutcome {
        enrollment_id: due.enrollment_id.clone(),
        generation: due.generation,
        result: Some("200".to_owned()),
        next: match index {
            0 => NextPush::Nothing,
            1 => NextPush::Again(now()),
            2 => NextPush::PutOff(now()),
            3 => NextPush::TokenDead,
            _ => NextPush::Reminder(now() - Duration::from_secs(200_000_000)),
        },
    }
}

async fn work(store: &Store) {
    let node = Uuid::nil();
    for _ in 0..2 {
        store.hold_lease("work", node, now(), now()).await.unwrap();
    }
    store.bindings_due(now()).await.unwrap();
    let due = store.due_events("binding-1", now(), 100).await.unwrap();
    store
        .event_not_heard(&due[0], Some(now()), "no")
        .await
        .unwrap();
    store.event_heard(&due[0]).await.unwrap();
    store.directories_with_devices().await.unwrap();
    let due = store.persons_due("school", now(), 100).await.unwrap();
    assert_eq!(due.len(), 100);
    store.last_standing(&due[0]).await.unwrap();
    store.enrollments_of_person(&due[0]).await.unwrap();
    let noted = store.note_standing(&due[0], true, now(), now());
    noted.await.unwrap();
    store.defer_standing(&due[1], now()).await.unwrap();
    store
        .list_decisions(DecisionFilter::default(), 10)
        .await
        .unwrap();
}

async fn tidy(store: &Store) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_010_010);
    store.forget_commands(long_ago, 500).await.unwrap();
    store
        .forget_expired_challenges(long_ago, 500)
        .await
        .unwrap();
    store.forget_abandoned_sessions(now(), 500).await.unwrap();
    store.forget_transactions(now(), 500).await.unwrap();
}

async fn leave(store: &Store) {
    for certificate in [Some(FINGERPRINT), None] {
        let left = store.check_out(UDID, certificate, now());
        left.await.unwrap();
    }
}
