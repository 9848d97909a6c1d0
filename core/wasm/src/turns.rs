//! Turns of calls that compute for long, so that no plugin holds up the others and the server.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// How long a call computes before others are let in. The engine's epoch moves on as often.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Ticks that a new call has before it needs a turn: at least one of them is whole, and hardly any honest call uses it up.
pub(crate) const FREE_TICKS: u64 = 2;

/// Gives those who ask a tick each, in the order in which they ask, and on half of the processors at most: sixteen calls that
/// never end would otherwise keep every thread of the executor for a tick each before anybody else had a turn.
pub(crate) struct Turns {
    next: Mutex<Instant>,
    apart: Duration,
}

impl Turns {
    /// For this machine.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let at_a_time = u32::try_from(processors / 2).unwrap_or(u32::MAX).max(1);
        Self {
            next: Mutex::new(Instant::now()),
            apart: TICK / at_a_time,
        }
    }

    /// Lets other tasks run, and then waits for a turn; at once if nobody else computes for long.
    pub(crate) async fn wait(&self) {
        yield_now().await;
        // Whoever waits longest is first: Tokio's lock is fair.
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + self.apart;
    }
}
