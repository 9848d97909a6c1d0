//! Which token belongs to whom, and what is on its way to it. No I/O; time and new tokens are arguments.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::check::{Push, Refusal};
use super::tokens::Change;

/// A notification on its way to a device.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) id: String,
    pub(super) magic: String,
    /// Until when it is kept for a device that is away; `None`: not at all.
    pub(super) kept_until: Option<SystemTime>,
}

/// What became of an accepted push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The device is connected and is told now.
    Sent,
    /// The device is away; the notification is kept.
    Stored,
    /// The device is away, and the notification was not to be kept.
    Dropped,
}

#[derive(Default)]
pub(super) struct Exchange {
    /// By token, in hexadecimal. A token that died stays, so that it can be told from one that never was.
    registrations: HashMap<String, Registration>,
    /// The living token of a device and topic.
    tokens: HashMap<(String, String), String>,
}

struct Registration {
    udid: String,
    topic: String,
    /// Milliseconds since the Unix epoch.
    unregistered: Option<u64>,
    /// APNs keeps only the last notification of a device and topic, and so does this.
    last: watch::Sender<Option<Notification>>,
}

impl Exchange {
    /// Takes up what an earlier run knew.
    pub(super) fn restore(changes: Vec<Change>) -> Exchange {
        let mut exchange = Exchange::default();
        for change in changes {
            match change {
                Change::Registered { token, udid, topic } => exchange.insert(token, udid, topic),
                Change::Unregistered { token, at } => exchange.kill(&token, at),
            }
        }
        exchange
    }

    /// Registers a device for a topic: its token, what changed if the token is new, and where its notifications come out.
    /// The first value there is one that was kept.
    pub(super) fn register(
        &mut self,
        udid: &str,
        topic: &str,
        new_token: [u8; 32],
    ) -> (
        String,
        Option<Change>,
        watch::Receiver<Option<Notification>>,
    ) {
        let owner = (udid.to_owned(), topic.to_owned());
        let known = self.tokens.get(&owner).cloned();
        let token = known
            .clone()
            .unwrap_or_else(|| crate::hex::encode(&new_token));
        let change = known.is_none().then(|| Change::Registered {
            token: token.clone(),
            udid: owner.0.clone(),
            topic: owner.1.clone(),
        });
        if change.is_some() {
            self.insert(token.clone(), owner.0, owner.1);
        }
        let receiver = self.registrations[&token].last.subscribe();
        (token, change, receiver)
    }

    /// The device wants no more notifications: its token is dead from now on.
    pub(super) fn unregister(&mut self, token: &str, now: SystemTime) -> Option<Change> {
        let at = milliseconds(now);
        self.registrations
            .get(token)?
            .unregistered
            .is_none()
            .then(|| {
                self.kill(token, at);
                Change::Unregistered {
                    token: token.to_owned(),
                    at,
                }
            })
    }

    /// Hands a notification on.
    pub(super) fn push(
        &mut self,
        push: Push,
        topic: &str,
        id: &str,
        now: SystemTime,
    ) -> Result<Delivery, Refusal> {
        let registration = self
            .registrations
            .get(&push.token)
            .ok_or(Refusal::new(400, "BadDeviceToken"))?;
        if registration.topic != topic {
            return Err(Refusal::new(400, "DeviceTokenNotForTopic"));
        }
        if let Some(at) = registration.unregistered {
            return Err(Refusal {
                status: 410,
                reason: "Unregistered",
                timestamp: Some(at),
            });
        }
        let kept_until = UNIX_EPOCH
            .checked_add(Duration::from_secs(push.expiration))
            .filter(|until| *until > now);
        let connected = registration.last.receiver_count() > 0;
        let delivery = match (connected, kept_until) {
            (true, _) => Delivery::Sent,
            (false, Some(_)) => Delivery::Stored,
            (false, None) => Delivery::Dropped,
        };
        // A notification that is not to be kept supersedes one that was, delivered or not.
        registration
            .last
            .send_replace((delivery != Delivery::Dropped).then(|| Notification {
                id: id.to_owned(),
                magic: push.magic,
                kept_until,
            }));
        Ok(delivery)
    }

    /// The device confirmed a notification, so it need not be kept.
    pub(super) fn received(&self, token: &str, id: &str) {
        if let Some(registration) = self.registrations.get(token) {
            registration.last.send_if_modified(|last| {
                let confirmed = last.as_ref().is_some_and(|last| last.id == id);
                if confirmed {
                    *last = None;
                }
                confirmed
            });
        }
    }

    /// The UDID of the device that a token was given to.
    pub(super) fn udid(&self, token: &str) -> Option<&str> {
        self.registrations
            .get(token)
            .map(|registration| registration.udid.as_str())
    }

    fn insert(&mut self, token: String, udid: String, topic: String) {
        self.tokens
            .insert((udid.clone(), topic.clone()), token.clone());
        let registration = Registration {
            udid,
            topic,
            unregistered: None,
            last: watch::Sender::new(None),
        };
        self.registrations.insert(token, registration);
    }

    fn kill(&mut self, token: &str, at: u64) {
        if let Some(registration) = self.registrations.get_mut(token) {
            registration.unregistered = Some(at);
            registration.last.send_replace(None);
            let owner = (registration.udid.clone(), registration.topic.clone());
            if self
                .tokens
                .get(&owner)
                .is_some_and(|living| living == token)
            {
                self.tokens.remove(&owner);
            }
        }
    }
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "com.apple.mgmt.External.1";

    fn push(token: &str, magic: &str, expiration: u64) -> Push {
        Push {
            token: token.to_owned(),
            magic: magic.to_owned(),
            expiration,
            apns_id: None,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn only_the_last_notification_is_kept_for_a_device_that_is_away() {
        let mut exchange = Exchange::default();
        let (token, change, receiver) = exchange.register("udid", TOPIC, [1; 32]);
        assert!(change.is_some());
        drop(receiver);
        for magic in ["first", "second"] {
            let delivery = exchange.push(push(&token, magic, 200), TOPIC, magic, at(100));
            assert_eq!(delivery, Ok(Delivery::Stored));
        }
        let (again, change, mut receiver) = exchange.register("udid", TOPIC, [2; 32]);
        assert_eq!((again.as_str(), change), (token.as_str(), None));
        let kept = receiver.borrow_and_update().clone().unwrap();
        assert_eq!(
            (kept.magic.as_str(), kept.kept_until),
            ("second", Some(at(200)))
        );
        exchange.received(&token, "first");
        assert!(
            receiver.borrow().is_some(),
            "only the one confirmed is forgotten"
        );
        exchange.received(&token, "second");
        assert!(receiver.borrow().is_none());
    }

    #[test]
    fn what_is_not_to_be_kept_reaches_connected_devices_only() {
        let mut exchange = Exchange::default();
        let (token, _, receiver) = exchange.register("udid", TOPIC, [1; 32]);
        let sent = exchange.push(push(&token, "now", 0), TOPIC, "1", at(100));
        assert_eq!(sent, Ok(Delivery::Sent));
        assert_eq!(receiver.borrow().as_ref().unwrap().kept_until, None);
        drop(receiver);
        let dropped = exchange.push(push(&token, "now", 0), TOPIC, "2", at(100));
        assert_eq!(dropped, Ok(Delivery::Dropped));
    }

    #[test]
    fn tokens_are_refused_as_apple_does() {
        let mut exchange = Exchange::default();
        let (token, registered, _receiver) = exchange.register("udid", TOPIC, [1; 32]);
        let mut reason = |token: &str, topic: &str| {
            exchange
                .push(push(token, "m", 0), topic, "1", at(100))
                .map_err(|refusal| (refusal.status, refusal.reason, refusal.timestamp))
        };
        assert_eq!(reason("00", TOPIC), Err((400, "BadDeviceToken", None)));
        assert_eq!(
            reason(&token, "com.apple.mgmt.External.2"),
            Err((400, "DeviceTokenNotForTopic", None))
        );
        let unregistered = exchange.unregister(&token, at(150));
        assert!(unregistered.is_some() && exchange.unregister(&token, at(160)).is_none());
        let changes = vec![registered.unwrap(), unregistered.unwrap()];
        // The same after a restart.
        for mut exchange in [exchange, Exchange::restore(changes)] {
            let refusal = exchange
                .push(push(&token, "m", 0), TOPIC, "1", at(200))
                .unwrap_err();
            assert_eq!((refusal.status, refusal.timestamp), (410, Some(150_000)));
            let (fresh, _, _) = exchange.register("udid", TOPIC, [2; 32]);
            assert_ne!(fresh, token, "a dead token does not come back");
        }
    }
}
