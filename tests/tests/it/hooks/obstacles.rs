//! What `lanyard device show` says of why a device is stuck: each reason, from what is on record.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use lanyard_engine::{Clock, Hooks, Obstacle, Situation};
use lanyard_mdm::connect::Status;
use lanyard_policy::{
    Binding, EnrollmentApproval, EnrollmentChain, EnrollmentQuestion, EnrollmentVerdict, Reason,
};
use lanyard_store::{CheckOutOutcome, NextPush, PushOutcome};
use plist::{Dictionary, Value};

use super::{
    script::Script,
    workshop::{Managed, Workshop},
};

const MINUTE: Duration = Duration::from_secs(60);

async fn open() -> Workshop {
    Workshop::open(Hooks::default(), Vec::new()).await
}

async fn situation(workshop: &Workshop, udid: &str) -> Situation {
    let device = workshop.engine.device(udid).await.unwrap().unwrap();
    workshop.engine.situation(&device).await.unwrap()
}

/// The codes of what keeps a device.
async fn why(workshop: &Workshop, udid: &str) -> Vec<&'static str> {
    let situation = situation(workshop, udid).await;
    situation.obstacles.iter().map(Obstacle::code).collect()
}

async fn queue(workshop: &Workshop, device: &Managed<'_>) -> String {
    let request = Dictionary::from_iter([("RequestType".to_owned(), Value::from("ProfileList"))]);
    let sent = workshop.engine.send_command(device.udid(), &request, false);
    sent.await.unwrap().uuid.to_string()
}

/// Writes down what became of the push that is due.
async fn pushed(workshop: &Workshop, result: &str, next: NextPush, at: SystemTime) {
    let due = workshop.store.take_pushes(at, at, at, 10).await.unwrap();
    let outcomes: Vec<PushOutcome> = due
        .into_iter()
        .map(|push| PushOutcome {
            enrollment_id: push.enrollment_id,
            generation: push.generation,
            result: Some(result.to_owned()),
            next,
        })
        .collect();
    assert_eq!(outcomes.len(), 1, "one is due");
    workshop.store.record_pushes(&outcomes, at).await.unwrap();
}

async fn seen(workshop: &Workshop, device: &Managed<'_>, at: SystemTime) {
    let seen = [(device.udid().to_owned(), at)];
    workshop.store.touch_last_seen(&seen).await.unwrap();
}

#[tokio::test]
async fn nothing_keeps_a_device_that_came_when_it_was_woken() {
    let workshop = open().await;
    let device = workshop.enroll().await;
    assert_eq!(why(&workshop, device.udid()).await, [""; 0]);
    let now = SystemTime::now();
    pushed(&workshop, "accepted", NextPush::Nothing, now).await;
    // What became of the push is noted after the device has come.
    seen(&workshop, &device, now - Duration::from_secs(1)).await;
    let situation = situation(&workshop, device.udid()).await;
    assert_eq!(situation.obstacles, []);
    assert_eq!(situation.next_push, None);
    assert!(situation.last_answer.is_none());
}

#[tokio::test]
async fn a_device_that_never_sent_tokens() {
    let workshop = open().await;
    let device = workshop.authenticated().await;
    assert_eq!(why(&workshop, device.udid()).await, ["no-tokens"]);
}

#[tokio::test]
async fn a_device_that_checked_out_is_kept_by_nothing_else() {
    let workshop = open().await;
    let device = workshop.enroll().await;
    let now = SystemTime::now();
    pushed(&workshop, "410 Unregistered", NextPush::TokenDead, now).await;
    assert_eq!(why(&workshop, device.udid()).await, ["token-dead"]);
    let left = workshop.store.check_out(device.udid(), None, now).await;
    assert_eq!(left.unwrap(), CheckOutOutcome::CheckedOut);
    assert_eq!(why(&workshop, device.udid()).await, ["checked-out"]);
}

#[tokio::test]
async fn a_push_that_was_refused_or_that_nothing_came_of() {
    let workshop = open().await;
    let device = workshop.enroll().await;
    let now = SystemTime::now();
    let again = now - MINUTE;
    pushed(
        &workshop,
        "503 ServiceUnavailable",
        NextPush::Again(again),
        now,
    )
    .await;
    let failed = situation(&workshop, device.udid()).await;
    let [
        Obstacle::PushFailed {
            result,
            again: Some(_),
            ..
        },
    ] = &failed.obstacles[..]
    else {
        panic!("{failed:?}");
    };
    assert_eq!(result, "503 ServiceUnavailable");
    assert!(failed.next_push.is_some());
    assert!(
        failed.obstacles[0]
            .to_string()
            .contains("it is tried again")
    );
    seen(&workshop, &device, now).await;
    pushed(&workshop, "accepted", NextPush::Nothing, now + 5 * MINUTE).await;
    assert_eq!(
        why(&workshop, device.udid()).await,
        ["no-contact-since-push"]
    );
    seen(&workshop, &device, now + 6 * MINUTE).await;
    assert_eq!(why(&workshop, device.udid()).await, [""; 0]);
}

#[tokio::test]
async fn a_command_that_was_sent_put_off_and_answered() {
    let workshop = open().await;
    let device = workshop.enroll().await;
    let uuid = queue(&workshop, &device).await;
    assert_eq!(
        why(&workshop, device.udid()).await,
        [""; 0],
        "it has yet to come"
    );
    let command = device.idle().await.unwrap();
    assert_eq!(why(&workshop, device.udid()).await, ["not-answered"]);
    device.answer(&command, Status::NotNow).await;
    let put_off = situation(&workshop, device.udid()).await;
    assert!(
        matches!(&put_off.obstacles[..], [Obstacle::PutOff { uuid: of, times: 1, .. }] if *of == uuid),
        "{put_off:?}"
    );
    assert_eq!(put_off.waiting.not_now, 1);
    let command = device.idle().await.unwrap();
    device.answer(&command, Status::Acknowledged).await;
    let done = situation(&workshop, device.udid()).await;
    assert_eq!(done.obstacles, []);
    assert_eq!(done.last_answer.unwrap().uuid, uuid);
}

#[tokio::test]
async fn a_command_that_is_held_back_although_the_device_comes() {
    let workshop = open().await;
    let device = workshop.enroll().await;
    queue(&workshop, &device).await;
    seen(&workshop, &device, SystemTime::now() + MINUTE).await;
    assert_eq!(why(&workshop, device.udid()).await, ["held-back"]);
}

#[tokio::test]
async fn a_certificate_that_is_over() {
    let ahead = Arc::new(AtomicU64::new(0));
    let seconds = Arc::clone(&ahead);
    let clock = Clock::new(move || {
        SystemTime::now() + Duration::from_secs(seconds.load(Ordering::Relaxed))
    });
    let workshop = Workshop::open_at(Hooks::default(), Vec::new(), clock).await;
    let device = workshop.enroll().await;
    assert_eq!(why(&workshop, device.udid()).await, [""; 0]);
    ahead.store(366 * 24 * 3600, Ordering::Relaxed);
    assert_eq!(why(&workshop, device.udid()).await, ["certificate-expired"]);
    let enrollment = workshop
        .engine
        .device(device.udid())
        .await
        .unwrap()
        .unwrap();
    let fingerprint = enrollment.certificate.unwrap();
    let revoked = workshop
        .store
        .revoke_certificate(&fingerprint, SystemTime::now());
    revoked.await.unwrap();
    assert_eq!(why(&workshop, device.udid()).await, ["certificate-revoked"]);
}

#[tokio::test]
async fn an_enrollment_that_a_person_has_to_approve() {
    let script = Arc::new(Script::<EnrollmentQuestion, _>::new(Ok(
        EnrollmentVerdict::Allow(Default::default()),
    )));
    let hook: Arc<dyn EnrollmentApproval> = Arc::clone(&script) as _;
    let hooks = Hooks {
        enrollment: EnrollmentChain::new(vec![Binding::new("devices", hook)]),
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    let device = workshop.enroll().await;
    let reason = Reason::new("wait", "Somebody looks at it.");
    script.say(Ok(EnrollmentVerdict::Pending(reason)));
    let message = workshop.message_of(device.as_device()).await;
    workshop.identify(&message).await.unwrap_err();
    let waiting = situation(&workshop, device.udid()).await;
    let [Obstacle::WaitsForApproval { id, binding, .. }] = &waiting.obstacles[..] else {
        panic!("{waiting:?}");
    };
    let approvals = workshop.approvals().await;
    assert_eq!((id, binding.as_str()), (&approvals[0].asked.id, "devices"));
    workshop.answer(&approvals[0], true).await;
    assert_eq!(why(&workshop, device.udid()).await, [""; 0]);
}
