//! The clock jumps: what is managed goes on, what was begun is over where its time is, and nothing waits for a time that was wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use lanyard_engine::{Clock, Hooks, RefusalKind};
use lanyard_mdm::connect::Status;
use plist::Dictionary;

use super::workshop::{Managed, Workshop};

const DAY: u64 = 24 * 3600;

/// A clock that is right, or wrong by some seconds.
#[derive(Clone)]
struct Wrong(Arc<AtomicU64>);

/// Clocks are behind by so much at first, so that they can be set back as well.
const BEHIND: u64 = 100 * DAY;

impl Wrong {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BEHIND)))
    }

    fn clock(&self) -> Clock {
        let wrong = self.clone();
        Clock::new(move || wrong.now())
    }

    fn now(&self) -> SystemTime {
        let by = Duration::from_secs(self.0.load(Ordering::Relaxed));
        SystemTime::now() + by - Duration::from_secs(BEHIND)
    }

    fn ahead(&self, seconds: u64) {
        self.0.store(BEHIND + seconds, Ordering::Relaxed);
    }

    fn behind(&self, seconds: u64) {
        self.0.store(BEHIND - seconds, Ordering::Relaxed);
    }
}

/// A command is queued, its push due at once, and it is done.
async fn expect_managed(workshop: &Workshop, device: &Managed<'_>, now: SystemTime) {
    let mut request = Dictionary::new();
    request.insert("RequestType".to_owned(), "ProfileList".into());
    let sent = workshop.engine.send_command(device.udid(), &request, false);
    let uuid = sent.await.unwrap().uuid.to_string();
    let due = workshop.store.push_due(device.udid()).await.unwrap();
    assert!(due.unwrap() <= now + Duration::from_secs(60), "{due:?}");
    let command = device.idle().await.unwrap();
    assert_eq!(command.uuid(), uuid);
    assert!(
        device
            .answer(&command, Status::Acknowledged)
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_clock_that_jumps_stops_nothing_for_good() {
    let wrong = Wrong::new();
    let workshop = Workshop::open_at(Hooks::default(), Vec::new(), wrong.clock()).await;
    let device = workshop.enroll().await;
    let begun = workshop.newcomer().await;
    expect_managed(&workshop, &device, wrong.now()).await;

    wrong.ahead(30 * DAY);
    expect_managed(&workshop, &device, wrong.now()).await;
    // Pushes that were taken now let others gather for a while, and a lease is held: by the clock that is wrong.
    let (now, while_) = (wrong.now(), Duration::from_secs(15));
    let taken = workshop
        .store
        .take_pushes(now, now + while_, now + while_, 10);
    assert_eq!(taken.await.unwrap().len(), 1);
    let lease = workshop
        .store
        .hold_lease("work", uuid::Uuid::new_v4(), now + while_, now);
    assert!(lease.await.unwrap());
    let refused = workshop.identify(&begun.message).await.unwrap_err();
    assert_eq!(refused.kind(), RefusalKind::BadRequest);
    assert!(refused.to_string().contains("expired"), "{refused}");
    let fresh = workshop.newcomer().await;
    workshop.identify(&fresh.message).await.unwrap();

    for set_back in [0, DAY] {
        wrong.behind(set_back);
        let now = wrong.now();
        expect_managed(&workshop, &device, now).await;
        let lease = workshop
            .store
            .hold_lease("work", uuid::Uuid::new_v4(), now + while_, now);
        assert!(lease.await.unwrap(), "another node goes on with the work");
        let fresh = workshop.newcomer().await;
        workshop.identify(&fresh.message).await.unwrap();
    }
}
