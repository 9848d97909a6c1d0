//! Requests, counted while they are in flight, and answers, of which some get lost.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use lanyard_device::{
    enroll::StepError,
    http::{Answer, Call},
};
use lanyard_engine::ErrorChain;
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;

use super::{World, oracle::Complaint};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Phase 1.
    SignIn,
    /// Phase 2.
    Identify,
    /// SCEP.
    Certificate,
    /// Phase 3.
    Profile,
    /// Authenticate and TokenUpdate.
    CheckIn,
    /// A device asks for work.
    Idle,
    /// A device answers a command.
    Result,
    /// An operator queues a command.
    Enqueue,
}

/// How many requests of each [`Kind`].
pub(super) type ByKind = [usize; Kind::ALL.len()];

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::Identify,
        Self::Certificate,
        Self::Profile,
        Self::CheckIn,
        Self::Idle,
        Self::Result,
        Self::Enqueue,
    ];

    /// As the report names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Identify => "phase 2",
            Self::Certificate => "certificate (SCEP)",
            Self::Profile => "phase 3",
            Self::CheckIn => "check-in",
            Self::Idle => "connect: Idle",
            Self::Result => "connect: result",
            Self::Enqueue => "command queued",
        }
    }
}

/// What goes over the wires.
#[derive(Default)]
pub(super) struct Traffic {
    in_flight: [AtomicUsize; Kind::ALL.len()],
    /// Requests in all.
    pub(super) requests: AtomicU64,
    /// Requests without an answer: the server was gone.
    pub(super) unanswered: AtomicU64,
    /// Answers that came, and that nobody heard.
    pub(super) lost: AtomicU64,
    /// Results that were sent twice.
    pub(super) duplicates: AtomicU64,
    /// Commands that were put off.
    pub(super) put_off: AtomicU64,
    /// Requests for certificates that were sent again, to get the same one.
    pub(super) sent_again: AtomicU64,
}

/// A request that is in flight until this is dropped.
pub(super) struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    pub(super) fn begin(&self, kind: Kind) -> InFlight<'_> {
        let count = &self.in_flight[kind as usize];
        count.fetch_add(1, Ordering::Relaxed);
        increment(&self.requests);
        InFlight(count)
    }

    pub(super) fn in_flight(&self) -> ByKind {
        Kind::ALL.map(|kind| self.in_flight[kind as usize].load(Ordering::Relaxed))
    }
}

pub(super) fn increment(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// There was no answer, as far as whoever asked can tell.
#[derive(Debug)]
pub(super) struct Interrupted;

impl World {
    /// Makes a request, and may lose its answer. Anything but a 200 is a complaint.
    pub(super) async fn send(
        &self,
        kind: Kind,
        call: &Call,
        chance: &mut StdRng,
    ) -> Result<Answer, Interrupted> {
        let request = async { Ok(self.client.send(call).await?.ok()?) };
        self.step(kind, chance, request).await
    }

    /// The same with whatever makes one request.
    pub(super) async fn step<T>(
        &self,
        kind: Kind,
        chance: &mut StdRng,
        request: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Interrupted> {
        let answered = {
            let _in_flight = self.traffic.begin(kind);
            request.await
        };
        match answered {
            Ok(_) if chance.random_ratio(self.options.lost, 100) => {
                increment(&self.traffic.lost);
                Err(Interrupted)
            }
            Ok(answer) => Ok(answer),
            Err(StepError::Http(_)) => {
                increment(&self.traffic.unanswered);
                Err(Interrupted)
            }
            Err(error) => {
                let said = ErrorChain(&error).to_string();
                self.oracle.complain(Complaint::Refused { kind, said });
                Err(Interrupted)
            }
        }
    }

    /// Makes a request until it is answered; and whether it had to be repeated.
    pub(super) async fn answered(
        &self,
        kind: Kind,
        call: &Call,
        chance: &mut StdRng,
    ) -> (Answer, bool) {
        let mut repeated = false;
        loop {
            if let Ok(answer) = self.send(kind, call, chance).await {
                return (answer, repeated);
            }
            repeated = true;
            pause(chance).await;
        }
    }
}

/// Whoever is interrupted waits a little, not all for the same time.
pub(super) async fn pause(chance: &mut StdRng) {
    sleep(Duration::from_millis(chance.random_range(50..250))).await;
}
