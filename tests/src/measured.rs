//! What benchmarks have in common: threads, lines, and what they print of requests: how many a second, how long they took, and what they
//! cost the server.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::site::Site;

/// Ticks of the processor's clock in a second, in which Linux counts what a process has used (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Threads of a benchmark: as many as the smallest machine that a server is run on has processors.
pub const THREADS: usize = 2;

/// Runs a benchmark on its [`THREADS`].
///
/// # Errors
/// What it ended with.
pub fn run(
    benchmark: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?
        .block_on(benchmark)
}

/// A line of the report.
pub fn say(line: impl Display) {
    // Whoever closed our output does not want to read.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What was done, and what it took.
pub struct Measured {
    times: Vec<Duration>,
    elapsed: Duration,
    /// The server's processor time.
    processor: Duration,
}

impl Measured {
    /// The line above those of [`line`](Self::line).
    #[must_use]
    pub fn head() -> String {
        format!(
            "{:<34}{:>12}{:>12}{:>10}{:>10}{:>16}",
            "", "concurrency", "a second", "p50 ms", "p99 ms", "server CPU ms"
        )
    }

    /// A line of a table.
    #[must_use]
    pub fn line(&self, what: &str, concurrency: usize) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |percent: usize| {
            let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            let time = times.get(at).copied().unwrap_or_default();
            time.as_secs_f64() * 1e3
        };
        let rate = times.len() as f64 / self.elapsed.as_secs_f64();
        format!(
            "{what:<34}{concurrency:>12}{rate:>12.0}{:>10.2}{:>10.2}{:>16.3}",
            at(50),
            at(99),
            self.each().as_secs_f64() * 1e3
        )
    }

    /// What one cost the server in processor time.
    #[must_use]
    pub fn each(&self) -> Duration {
        self.processor / u32::try_from(self.times.len().max(1)).unwrap_or(u32::MAX)
    }
}

/// A measurement that goes on.
pub struct Measuring<'a> {
    site: &'a Site,
    began: Instant,
    before: Duration,
}

impl<'a> Measuring<'a> {
    /// From now on.
    ///
    /// # Errors
    /// The server is not running.
    pub fn begin(site: &'a Site) -> Result<Self, String> {
        Ok(Self {
            before: processor(site)?,
            site,
            began: Instant::now(),
        })
    }

    /// Until all of these have done what they do, each of which tells how long each of its requests took.
    ///
    /// # Errors
    /// What one of them says, or the server ended.
    pub async fn finish(
        self,
        mut speaking: JoinSet<Result<Vec<Duration>, String>>,
    ) -> Result<Measured, String> {
        let mut times = Vec::new();
        while let Some(spoken) = speaking.join_next().await {
            times.extend(spoken.map_err(|error| error.to_string())??);
        }
        Ok(Measured {
            times,
            elapsed: self.began.elapsed(),
            processor: processor(self.site)?.saturating_sub(self.before),
        })
    }
}

/// What the server's process has used so far.
fn processor(site: &Site) -> Result<Duration, String> {
    let id = site.server_id().ok_or("the server is not running")?;
    let file = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    // After the name in brackets, which may hold anything: the 12th and 13th field (proc(5): utime, stime).
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc")?;
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: Result<Vec<f64>, _> = fields.map(str::parse).collect();
    let ticks: f64 = ticks
        .map_err(|error| format!("{file}: {error}"))?
        .iter()
        .sum();
    Ok(Duration::from_secs_f64(ticks / TICKS))
}
