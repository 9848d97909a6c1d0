//! Kills at random moments of a run, each with enough requests in flight.

use std::{fmt, time::Duration};

use lanyard_store::Store;
use rand::{RngExt as _, rngs::StdRng};
use tokio::{task::block_in_place, time::sleep};

use super::{
    World,
    oracle::Progress,
    wire::{ByKind, Kind},
};
use crate::site::Site;

/// How often it is looked whether the moment has come.
const LOOK: Duration = Duration::from_millis(1);

/// The moment is put off by up to so many milliseconds, so that it follows from nothing that somebody does.
const DELAY: std::ops::Range<u64> = 0..15;

/// Kills fall between these parts of the work, in percent: before, nothing is under way; after, too little.
const WITHIN: std::ops::Range<usize> = 3..90;

/// What was in flight at each kill.
#[derive(Clone, Debug, Default)]
pub struct Kills(Vec<ByKind>);

/// Points of the work, in its order, at which the server is killed.
pub(super) fn moments(kills: usize, work: usize, chance: &mut StdRng) -> Vec<usize> {
    let (first, last) = (work * WITHIN.start / 100, work * WITHIN.end / 100);
    let moments = (0..kills).map(|_| chance.random_range(first..last.max(first + 1)));
    let mut moments: Vec<usize> = moments.collect();
    moments.sort_unstable();
    moments
}

/// Kills the server at these points, starts it again, and has the oracle look at it each time.
pub(super) async fn kill_at(
    world: &World,
    site: &mut Site,
    moments: &[usize],
    chance: &mut StdRng,
) -> Result<(), String> {
    for moment in moments {
        until(world, *moment, chance).await;
        restart(world, site, || Ok(()))?;
        world.oracle.check_fresh(&world.administration).await?;
    }
    Ok(())
}

/// A planted fault, which the oracle must find: the server replied, and what it replied about is not in its database. Lets the database
/// fall back behind a device, a command and a result that were answered, and starts the server on that.
pub(super) async fn roll_back(
    world: &World,
    site: &mut Site,
    moment: usize,
    chance: &mut StdRng,
) -> Result<(), String> {
    let url = site.database_url();
    let file = url
        .strip_prefix("sqlite://")
        .ok_or("only a database that is a file is rolled back")?;
    let copy = format!("{file}.before");
    until(world, moment, chance).await;
    let copied = Store::copy(&url, copy.as_ref()).await;
    copied.map_err(|error| error.to_string())?;
    let then = world.oracle.progress();
    while !is_further(then, world.oracle.progress()) {
        sleep(LOOK).await;
    }
    let put_back = || {
        for journal in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{file}{journal}"));
        }
        std::fs::rename(&copy, file).map_err(|error| format!("{file}: {error}"))
    };
    restart(world, site, put_back)?;
    world.oracle.check_fresh(&world.administration).await
}

fn is_further(then: Progress, now: Progress) -> bool {
    // Queues are short, so among so many results there are some of commands that were there before.
    let few = 8;
    now.enrolled > then.enrolled && now.queued > then.queued && now.settled > then.settled + few
}

/// Until the work has come so far, and enough is in flight.
async fn until(world: &World, moment: usize, chance: &mut StdRng) {
    let is_time = || {
        let Progress {
            enrolled, settled, ..
        } = world.oracle.progress();
        let in_flight: usize = world.traffic.in_flight().iter().sum();
        enrolled + settled >= moment && in_flight >= world.options.in_flight
    };
    loop {
        if is_time() {
            sleep(Duration::from_millis(chance.random_range(DELAY))).await;
            if is_time() {
                return;
            }
        }
        sleep(LOOK).await;
    }
}

fn restart(
    world: &World,
    site: &mut Site,
    meanwhile: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    world.all_kills().add(world.traffic.in_flight());
    // The server's start is waited for by a thread, beside which everybody else goes on.
    block_in_place(|| {
        site.kill_server();
        meanwhile()?;
        site.start_server()
    })
}

impl Kills {
    pub(super) fn add(&mut self, in_flight: ByKind) {
        self.0.push(in_flight);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The fewest requests that were in flight at one of them.
    #[must_use]
    pub fn fewest(&self) -> usize {
        let sums = self.0.iter().map(|kill| kill.iter().sum());
        sums.min().unwrap_or(0)
    }
}

/// Where they landed: by how many requests were in flight, and by what these were for.
impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BOUNDS: [usize; 6] = [0, 16, 24, 32, 48, 64];
        writeln!(f, "requests in flight    kills")?;
        for (place, from) in BOUNDS.iter().enumerate() {
            let to = BOUNDS.get(place + 1).copied().unwrap_or(usize::MAX);
            let sums = self.0.iter().map(|kill| kill.iter().sum::<usize>());
            let count = sums.filter(|sum| (*from..to).contains(sum)).count();
            let range = match to {
                usize::MAX => format!("{from} and more"),
                to => format!("{from} to {}", to - 1),
            };
            if count > 0 {
                writeln!(f, "{range:<22}{count:>5}  {}", "#".repeat(count.min(60)))?;
            }
        }
        writeln!(f, "of which              kills   requests")?;
        for kind in Kind::ALL {
            let of_kind = self.0.iter().map(|kill| kill[kind as usize]);
            let (hit, total) = of_kind.fold((0, 0), |(hit, total), count| {
                (hit + usize::from(count > 0), total + count)
            });
            writeln!(f, "{:<22}{hit:>5}{total:>11}", kind.name())?;
        }
        Ok(())
    }
}
