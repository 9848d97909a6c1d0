//! What both listeners share: the exchange, the files behind it and the clock.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::check::{Push, Refusal};
use super::exchange::{Delivery, Exchange, Notification};
use super::record::{Entry, Event, Record};
use super::tokens::{Change, Tokens};

pub(super) struct Service {
    /// One lock for both, so that the file has the changes in their order.
    state: Mutex<(Exchange, Tokens)>,
    record: Record,
    forced: Mutex<Forced>,
}

/// Answers that were laid down beforehand.
#[derive(Default)]
struct Forced {
    /// For whatever comes next.
    next: VecDeque<Refusal>,
    /// For the next pushes to a token.
    of_token: HashMap<String, VecDeque<Refusal>>,
    /// For whatever comes, until it is taken back.
    always: Option<Refusal>,
}

impl Forced {
    fn take(&mut self, token: &str) -> Option<Refusal> {
        let of_token = self.of_token.get_mut(token);
        of_token
            .and_then(VecDeque::pop_front)
            .or_else(|| self.next.pop_front())
            .or(self.always)
    }
}

impl Service {
    pub(super) fn open(tokens: &Path, record: &Path) -> io::Result<Service> {
        let (tokens, changes) = Tokens::open(tokens)?;
        Ok(Service {
            state: Mutex::new((Exchange::restore(changes), tokens)),
            record: Record::open(record)?,
            forced: Mutex::default(),
        })
    }

    /// The next push is answered so, whatever it is.
    pub(super) fn force(&self, refusal: Refusal) {
        lock(&self.forced).next.push_back(refusal);
    }

    /// The next push to this token, in hexadecimal, is answered so.
    pub(super) fn force_for(&self, token: String, refusal: Refusal) {
        let mut forced = lock(&self.forced);
        forced.of_token.entry(token).or_default().push_back(refusal);
    }

    /// Every push is answered so, or again as it deserves.
    pub(super) fn force_always(&self, refusal: Option<Refusal>) {
        lock(&self.forced).always = refusal;
    }

    /// One push, after or with the outcome of its check.
    pub(super) fn push(
        &self,
        checked: Result<Push, Refusal>,
        path: &str,
        topic: &str,
        id: &str,
    ) -> Result<(), Refusal> {
        let now = SystemTime::now();
        let token = path.rsplit('/').next().unwrap_or_default().to_owned();
        let forced = lock(&self.forced).take(&token);
        let (outcome, udid) = {
            let (exchange, _) = &mut *lock(&self.state);
            let outcome = match forced {
                Some(refusal) => Err(refusal),
                None => checked.and_then(|push| exchange.push(push, topic, id, now)),
            };
            (outcome, exchange.udid(&token).map(str::to_owned))
        };
        let event = match &outcome {
            Ok(Delivery::Sent) => Event::Accepted,
            Ok(Delivery::Stored) => Event::Stored,
            Ok(Delivery::Dropped) => Event::Dropped,
            Err(_) => Event::Refused,
        };
        self.record.write(&Entry {
            udid,
            apns_id: Some(id.to_owned()),
            reason: outcome.err().map(|refusal| refusal.reason.to_owned()),
            ..Entry::new(event, &token, now)
        });
        outcome.map(|_| ())
    }

    pub(super) fn register(
        &self,
        udid: &str,
        topic: &str,
    ) -> io::Result<(String, watch::Receiver<Option<Notification>>)> {
        let (token, receiver) = {
            let (exchange, tokens) = &mut *lock(&self.state);
            let (token, change, receiver) = exchange.register(udid, topic, rand::random());
            append(tokens, change.as_ref())?;
            (token, receiver)
        };
        self.record.write(&Entry {
            udid: Some(udid.to_owned()),
            ..Entry::new(Event::Registered, &token, SystemTime::now())
        });
        Ok((token, receiver))
    }

    pub(super) fn unregister(&self, token: &str) -> io::Result<()> {
        let now = SystemTime::now();
        let udid = {
            let (exchange, tokens) = &mut *lock(&self.state);
            let change = exchange.unregister(token, now);
            append(tokens, change.as_ref())?;
            exchange.udid(token).map(str::to_owned)
        };
        self.record.write(&Entry {
            udid,
            ..Entry::new(Event::Unregistered, token, now)
        });
        Ok(())
    }

    pub(super) fn received(&self, token: &str, id: String) {
        let udid = {
            let (exchange, _) = &*lock(&self.state);
            exchange.received(token, &id);
            exchange.udid(token).map(str::to_owned)
        };
        self.record.write(&Entry {
            udid,
            apns_id: Some(id),
            ..Entry::new(Event::Delivered, token, SystemTime::now())
        });
    }
}

fn append(tokens: &mut Tokens, change: Option<&Change>) -> io::Result<()> {
    change.map_or(Ok(()), |change| tokens.append(change))
}

/// No code panics between two changes that belong together, so what a panicking thread left behind is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
