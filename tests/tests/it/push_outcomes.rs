//! What each answer of APNs means for the device and for its topic: an engine in this process, and the simulated APNs over loopback.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lanyard_device::apns::{Event, Refusal, Subscription};
use lanyard_engine::{Clock, SetupError};
use lanyard_mdm::connect::Status;
use lanyard_push::Apns;
use lanyard_store::Enrollment;
use plist::Dictionary;

use crate::hooks::workshop::{self, Managed, Workshop};
use crate::push::World;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// As long as a topic rests, and a bit.
const REST: u64 = 16 * MINUTE;

/// An engine, the APNs that it pushes to, and the time.
struct Ward {
    world: World,
    workshop: Workshop,
    /// Seconds that the engine's clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl Ward {
    async fn open() -> Ward {
        let world = World::start().await;
        let push = vec![world.client()];
        Ward::with(world, push).await
    }

    async fn with(world: World, push: Vec<Apns>) -> Ward {
        let ahead = Arc::new(AtomicU64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Clock::new(move || {
                SystemTime::now() + Duration::from_secs(ahead.load(Ordering::Relaxed))
            })
        };
        let workshop = Workshop::open_pushing(push, clock).await;
        Ward {
            world,
            workshop,
            ahead,
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    /// An enrolled device, and where its pushes come out.
    async fn enroll(&self, name: &str) -> (Managed<'_>, Subscription) {
        let topic = self.workshop.engine.push_topics().remove(0).topic;
        let subscription = self.world.subscribe(name, &topic).await;
        let managed = self.workshop.enroll_with(subscription.token()).await;
        (managed, subscription)
    }

    /// Time passes, and what is due by then is pushed.
    async fn after(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
        self.push_all().await;
    }

    async fn push_all(&self) {
        let due = |next: Option<SystemTime>| next.is_some_and(|due| due <= self.now());
        loop {
            let wait = self.workshop.engine.push_due().await.unwrap();
            // Either it is paced, or rests, or has sent what was due.
            let rests =
                (self.workshop.engine.push_topics().iter()).all(|topic| topic.trouble.is_some());
            if rests || !due(self.workshop.store.next_push_due().await.unwrap()) {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn shown(&self, device: &Managed<'_>) -> Enrollment {
        let found = self.workshop.store.find_enrollment(device.udid()).await;
        found.unwrap().unwrap()
    }

    /// In how many seconds the device is woken next.
    async fn due_in(&self, device: &Managed<'_>) -> Option<u64> {
        let due = self.workshop.store.push_due(device.udid()).await.unwrap()?;
        let left = due.duration_since(self.now()).unwrap_or_default();
        Some(left.as_secs())
    }

    async fn command(&self, device: &Managed<'_>) {
        let mut request = Dictionary::new();
        request.insert("RequestType".to_owned(), "ProfileList".into());
        let sent = self
            .workshop
            .engine
            .send_command(device.udid(), &request, false);
        sent.await.unwrap();
    }

    async fn wake(&self, device: &Managed<'_>) {
        self.workshop.engine.push(device.udid()).await.unwrap();
    }

    fn count(&self, event: Event) -> usize {
        let record = self.world.record();
        record.iter().filter(|entry| entry.event == event).count()
    }

    /// Pushes that APNs saw, taken or not.
    fn seen(&self) -> usize {
        self.count(Event::Accepted) + self.count(Event::Stored) + self.count(Event::Refused)
    }

    fn trouble(&self) -> Option<String> {
        let topics = self.workshop.engine.push_topics();
        topics[0]
            .trouble
            .as_ref()
            .map(|trouble| trouble.what.clone())
    }
}

fn hex(subscription: &Subscription) -> String {
    subscription.token().to_hex().to_string()
}

fn refusal(status: u16, reason: &'static str) -> Refusal {
    Refusal::new(status, reason)
}

fn unregistered(since: SystemTime) -> Refusal {
    let since = since.duration_since(UNIX_EPOCH).unwrap().as_millis();
    Refusal {
        timestamp: Some(u64::try_from(since).unwrap()),
        ..refusal(410, "Unregistered")
    }
}

#[tokio::test]
async fn each_answer_about_a_device_does_with_its_pushes_what_it_asks_for() {
    let ward = Ward::open().await;
    let (device, subscription) = ward.enroll("device").await;
    ward.push_all().await;
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );
    // Seconds until the next attempt; `None`: there is none.
    for (status, reason, next) in [
        (429, "TooManyRequests", Some(30..=60)),
        (500, "InternalServerError", Some(1..=2)),
        (503, "ServiceUnavailable", Some(1..=2)),
        (503, "Shutdown", Some(1..=2)),
        (400, "IdleTimeout", Some(1..=2)),
        (400, "DeviceTokenNotForTopic", None),
        (400, "BadPriority", None),
        (413, "PayloadTooLarge", None),
        (404, "BadPath", None),
        (400, "NeverHeardOf", None),
    ] {
        ward.world
            .simulator
            .refuse_token(&hex(&subscription), refusal(status, reason));
        ward.wake(&device).await;
        ward.after(HOUR).await;
        let shown = ward.shown(&device).await;
        let result = format!("{status} {reason}");
        assert_eq!(shown.last_push_result.as_deref(), Some(result.as_str()));
        assert_eq!(shown.token_dead_at, None, "{result}");
        assert_eq!(ward.trouble(), None, "{result}");
        let due = ward.due_in(&device).await;
        match &next {
            // A clock that goes on takes a second off.
            Some(range) => assert!(
                due.is_some_and(|due| range.contains(&(due + 1)) || range.contains(&due)),
                "{result}: {due:?}"
            ),
            None => assert_eq!(due, None, "{result}"),
        }
        ward.after(HOUR).await;
    }
}

#[tokio::test]
async fn a_dead_token_gets_no_push_until_the_device_sends_another_or_an_operator_insists() {
    let ward = Ward::open().await;
    let (device, subscription) = ward.enroll("device").await;
    ward.push_all().await;
    for dead in [
        unregistered(SystemTime::now() + Duration::from_secs(HOUR)),
        refusal(410, "ExpiredToken"),
        refusal(400, "BadDeviceToken"),
    ] {
        ward.world.simulator.refuse_token(&hex(&subscription), dead);
        ward.command(&device).await;
        ward.after(MINUTE).await;
        assert!(
            ward.shown(&device).await.token_dead_at.is_some(),
            "{dead:?}"
        );
        let seen = ward.seen();
        ward.command(&device).await;
        ward.after(100 * HOUR).await;
        assert_eq!(ward.seen(), seen, "{dead:?}");
        let result = ward.shown(&device).await.last_push_result.unwrap();
        assert!(result.contains(dead.reason), "{result}");

        device.update_token(subscription.token()).await;
        ward.after(MINUTE).await;
        assert_eq!(ward.seen(), seen + 1, "{dead:?}");
        assert_eq!(ward.shown(&device).await.token_dead_at, None);
    }
    ward.world
        .simulator
        .refuse_token(&hex(&subscription), refusal(400, "BadDeviceToken"));
    ward.command(&device).await;
    ward.after(MINUTE).await;
    let seen = ward.seen();
    ward.wake(&device).await;
    ward.after(MINUTE).await;
    assert_eq!(ward.seen(), seen + 1);
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn the_death_of_an_earlier_token_is_not_that_of_the_present_one() {
    let ward = Ward::open().await;
    let before = SystemTime::now() - Duration::from_secs(HOUR);
    let (device, subscription) = ward.enroll("device").await;
    ward.world
        .simulator
        .refuse_token(&hex(&subscription), unregistered(before));
    ward.push_all().await;
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("410 Unregistered")
    );
    assert_eq!(ward.shown(&device).await.token_dead_at, None);
    ward.after(MINUTE).await;
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn patience_that_apns_asks_for_is_not_cut_short_by_commands() {
    let ward = Ward::open().await;
    let (device, subscription) = ward.enroll("device").await;
    ward.push_all().await;
    for _ in 0..2 {
        let too_many = refusal(429, "TooManyRequests");
        ward.world
            .simulator
            .refuse_token(&hex(&subscription), too_many);
    }
    ward.command(&device).await;
    ward.after(MINUTE).await;
    let seen = ward.seen();
    for _ in 0..3 {
        ward.command(&device).await;
        ward.after(5).await;
    }
    assert_eq!(ward.seen(), seen);
    ward.after(MINUTE).await;
    assert_eq!(ward.seen(), seen + 1);
}

#[tokio::test]
async fn wake_ups_that_come_together_are_one_push() {
    let ward = Ward::open().await;
    let (device, _subscription) = ward.enroll("device").await;
    ward.push_all().await;
    let seen = ward.seen();
    for _ in 0..5 {
        ward.command(&device).await;
    }
    ward.after(2).await;
    assert_eq!(ward.seen(), seen + 1);
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn a_device_is_reminded_of_what_it_has_not_done_at_growing_intervals() {
    let ward = Ward::open().await;
    let (device, _subscription) = ward.enroll("device").await;
    ward.after(2).await;
    assert_eq!(ward.due_in(&device).await, None, "there is nothing to do");
    let week = 7 * 24 * HOUR;
    let always = [HOUR, 6 * HOUR, 24 * HOUR, week, week];
    // It has just enrolled the first time, and not any more the second time.
    for first in [
        &[5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE][..],
        &[],
    ] {
        ward.command(&device).await;
        ward.after(2).await;
        for &wait in first.iter().chain(&always) {
            let seen = ward.seen();
            ward.after(wait - MINUTE).await;
            assert_eq!(ward.seen(), seen, "{wait}");
            ward.after(2 * MINUTE).await;
            assert_eq!(ward.seen(), seen + 1, "{wait}");
        }
        let command = device.idle().await.unwrap();
        device.answer(&command, Status::Acknowledged).await;
        let seen = ward.seen();
        ward.after(week + 24 * HOUR).await;
        assert_eq!((ward.seen(), ward.due_in(&device).await), (seen, None));
    }
}

#[tokio::test]
async fn a_refused_certificate_stops_its_topic_and_one_push_finds_out_when_it_is_taken_again() {
    let ward = Ward::open().await;
    let (first, _of_first) = ward.enroll("first").await;
    let (second, _of_second) = ward.enroll("second").await;
    for reason in [
        "BadCertificate",
        "BadCertificateEnvironment",
        "TopicDisallowed",
        "Forbidden",
    ] {
        let status = if reason == "TopicDisallowed" {
            400
        } else {
            403
        };
        ward.world
            .simulator
            .refuse_all(Some(refusal(status, reason)));
        for device in [&first, &second] {
            ward.wake(device).await;
        }
        ward.after(MINUTE).await;
        let trouble = ward.trouble().unwrap();
        assert!(trouble.contains(reason), "{trouble}");
        for device in [&first, &second] {
            let result = ward.shown(device).await.last_push_result.unwrap();
            assert!(result.contains(reason), "{result}");
        }
        // While it rests, nothing is sent, whatever is asked for.
        let seen = ward.seen();
        ward.wake(&first).await;
        ward.after(MINUTE).await;
        assert_eq!(ward.seen(), seen, "{reason}");
        // Then one of the two is.
        ward.after(REST).await;
        assert_eq!(ward.seen(), seen + 1, "{reason}");
        assert!(ward.trouble().is_some());

        ward.world.simulator.refuse_all(None);
        ward.after(REST).await;
        assert_eq!(ward.trouble(), None, "{reason}");
        assert_eq!(ward.seen(), seen + 3, "{reason}: none was lost");
        for device in [&first, &second] {
            let result = ward.shown(device).await.last_push_result;
            assert_eq!(result.as_deref(), Some("accepted"), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_at_once_and_one_of_another_topic_never() {
    let ward = Ward::open().await;
    let engine = &ward.workshop.engine;
    let (device, _subscription) = ward.enroll("device").await;
    ward.world
        .simulator
        .refuse_all(Some(refusal(403, "BadCertificate")));
    ward.push_all().await;
    assert!(ward.trouble().is_some());
    ward.world.simulator.refuse_all(None);
    let before = engine.push_topics().remove(0);

    let other = ward.world.client_for("com.apple.mgmt.External.other");
    match engine.replace_push(vec![other]).await {
        Err(SetupError::Topic {
            enrolled, devices, ..
        }) => {
            assert_eq!((enrolled, devices), (before.topic.clone(), 1));
        }
        taken => panic!("{taken:?}"),
    }
    let after = engine.push_topics().remove(0);
    assert_eq!(after.certificate_sha256, before.certificate_sha256);

    let renewed = ward.world.client_for(&before.topic);
    let changed = engine.replace_push(vec![renewed]).await.unwrap();
    assert_eq!(changed, [before.topic]);
    assert_ne!(
        engine.push_topics().remove(0).certificate_sha256,
        before.certificate_sha256
    );
    assert_eq!(ward.trouble(), None);
    ward.after(2).await;
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );

    // The same certificate once more is no change, and loses no connection.
    let same = ward.world.client();
    assert_eq!(engine.replace_push(vec![same]).await.unwrap().len(), 1);
    let same = ward.world.client();
    assert!(engine.replace_push(vec![same]).await.unwrap().is_empty());
}

#[tokio::test]
async fn devices_of_several_topics_are_each_woken_with_their_own_certificate() {
    let ward = Ward::open().await;
    let engine = &ward.workshop.engine;
    let (old, _of_old) = ward.enroll("old").await;
    ward.push_all().await;
    let other = "com.apple.mgmt.External.other";
    let clients = vec![ward.world.client_for(other), ward.world.client()];
    assert_eq!(engine.replace_push(clients).await.unwrap(), [other]);
    let (new, _of_new) = ward.enroll("new").await;
    assert_eq!(ward.shown(&new).await.topic, other);
    assert_ne!(ward.shown(&old).await.topic, other);
    ward.wake(&old).await;
    ward.after(2).await;
    assert_eq!(ward.count(Event::Refused), 0);
    assert_eq!(ward.count(Event::Accepted), 3);
    // What is wrong with one topic is not with the other.
    let refused = engine
        .replace_push(vec![ward.world.client_for(other)])
        .await;
    assert!(matches!(refused, Err(SetupError::Topic { .. })));
}

#[tokio::test]
async fn apns_that_fails_again_and_again_is_left_in_peace() {
    let ward = Ward::open().await;
    let (device, _subscription) = ward.enroll("device").await;
    ward.push_all().await;
    let failing = refusal(503, "ServiceUnavailable");
    ward.world.simulator.refuse_all(Some(failing));
    let mut rounds = 0;
    while ward.trouble().is_none() {
        ward.wake(&device).await;
        ward.after(REST).await;
        rounds += 1;
        assert!(rounds < 100);
    }
    assert!(rounds >= 5, "one failure is nothing: {rounds}");
    let seen = ward.seen();
    ward.wake(&device).await;
    ward.after(MINUTE).await;
    assert_eq!(ward.seen(), seen);
    ward.world.simulator.refuse_all(None);
    ward.after(REST).await;
    assert_eq!(ward.trouble(), None);
    assert_eq!(
        ward.shown(&device).await.last_push_result.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn an_apns_that_is_away_loses_no_push_however_long_it_is() {
    let world = World::start().await;
    let ward = Ward::with(world, vec![workshop::push()]).await;
    let engine = &ward.workshop.engine;
    let (device, _subscription) = ward.enroll("device").await;
    for _ in 0..30 {
        ward.after(HOUR).await;
    }
    let result = ward.shown(&device).await.last_push_result.unwrap();
    assert!(result.contains("TCP connection failed"), "{result}");
    assert!(ward.trouble().is_some());
    assert!(ward.due_in(&device).await.is_some());

    let topic = engine.push_topics().remove(0).topic;
    let reachable = vec![ward.world.client_for(&topic)];
    engine.replace_push(reachable).await.unwrap();
    ward.push_all().await;
    let result = ward.shown(&device).await.last_push_result;
    assert_eq!(result.as_deref(), Some("accepted"));
}
