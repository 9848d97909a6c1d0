//! `cargo xtask soak`: many devices and commands, with all that goes wrong on a network, and a server that is killed at random.
//!
//! The server and the simulated APNs are the public programs. The devices are the ones of `lanyard-device`, thousands in one process, and
//! what they and the operators were told is kept on this side: the `oracle`, which the server is compared with after each kill and
//! at the end.

mod kills;
mod life;
mod operator;
mod oracle;
mod recruit;
mod report;
mod wire;

use std::{
    fs,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use clap::{Parser, ValueEnum};
use lanyard_device::{
    apns::Courier,
    enroll::Credentials,
    factory::{Factory, Identity},
    http::{Call, Client},
};
use lanyard_pki::PrivateKey;
use lanyard_scep::client::Authorities;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::site::{Site, USER};
use operator::Administration;
use oracle::Oracle;
use recruit::Recruiter;
use wire::Traffic;

pub use kills::Kills;
pub use oracle::Complaint;
pub use report::Report;
pub use wire::Kind;

const PASSWORD: &str = "correct horse battery";
const KEY_BITS: u32 = 2048;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(20);

/// How long a fault that was planted has to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(20);

/// What `cargo xtask soak` takes.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "cargo xtask soak",
    about = "Enrolls and manages many devices while the server is killed at random, and reports what it lost"
)]
pub struct Options {
    /// Devices that enroll
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub devices: usize,
    /// Commands that are queued for them, at least
    #[arg(long, default_value_t = 20_000)]
    pub commands: usize,
    /// How often the server is killed (SIGKILL)
    #[arg(long, default_value_t = 40)]
    pub kills: usize,
    /// Requests in flight at each kill, at least
    #[arg(long, default_value_t = 16)]
    pub in_flight: usize,
    /// Answers that get lost, in percent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=50))]
    pub lost: u32,
    /// Commands that are put off (NotNow), in percent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=50))]
    pub not_now: u32,
    /// Results that are sent twice, in percent
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=50))]
    pub duplicates: u32,
    /// What happens by chance follows from this number; when, from the machine
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Everything must be done in so many minutes
    #[arg(long, default_value_t = 20)]
    pub minutes: u64,
    /// Devices that enroll at the same time
    #[arg(long, default_value_t = 16)]
    pub recruiters: usize,
    /// Operators who queue commands at the same time
    #[arg(long, default_value_t = 16)]
    pub operators: usize,
    /// Breaks the server, to see that the report notices
    #[arg(long, value_enum, value_name = "FAULT")]
    pub sabotage: Option<Sabotage>,
}

/// A fault to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The server replies before it commits: what it last said is not in its database after a kill.
    ReplyBeforeCommit,
}

/// Exchanges of managed devices at the same time.
const EXCHANGES: usize = 48;

/// What all who take part have in common.
struct World {
    options: Options,
    oracle: Oracle,
    traffic: Traffic,
    administration: Administration,
    client: Client,
    courier: Courier,
    link: String,
    credentials: Credentials,
    /// One for all devices: nothing goes by it.
    factory: Identity,
    authorities: Authorities,
    exchanges: Semaphore,
    kills: Mutex<Kills>,
    /// The next device to enroll.
    next: AtomicUsize,
}

impl World {
    async fn of(site: &Site, options: Options) -> Result<Self, String> {
        let apns = site.apns()?;
        let ca = fs::read(&apns.ca).map_err(|error| error.to_string())?;
        let courier = Courier::new(&apns.device_address.to_string(), &ca);
        let factory = Factory::open(&site.factory(), SystemTime::now())
            .and_then(|factory| factory.issue(SystemTime::now()))
            .map_err(|error| error.to_string())?;
        let client = site.client()?;
        let offered = Call::get(site.url("/scep/device?operation=GetCACert"));
        let offered = client.send(&offered).await;
        let offered = offered.map_err(|error| error.to_string())?;
        let authorities = Authorities::read(&offered.content_type, &offered.body);
        Ok(Self {
            oracle: Oracle::default(),
            traffic: Traffic::default(),
            administration: Administration {
                socket: site.data().join("admin.sock"),
            },
            client,
            courier: courier.map_err(|error| error.to_string())?,
            link: site.url("/enroll"),
            credentials: Credentials::new(USER, PASSWORD),
            factory,
            authorities: authorities.map_err(|error| error.to_string())?,
            exchanges: Semaphore::new(EXCHANGES),
            kills: Mutex::default(),
            next: AtomicUsize::new(0),
            options,
        })
    }

    fn all_kills(&self) -> MutexGuard<'_, Kills> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the server has been killed.
    fn kills(&self) -> usize {
        self.all_kills().count()
    }

    /// Kills must land in load, so there is load for as long as there are kills to come.
    fn has_enough_commands(&self) -> bool {
        self.oracle.progress().queued >= self.options.commands && self.kills() >= self.options.kills
    }

    fn is_done(&self) -> bool {
        let progress = self.oracle.progress();
        self.has_enough_commands()
            && progress.enrolled >= self.options.devices
            && progress.settled >= progress.queued
    }
}

/// Runs it, on an installation of its own.
///
/// # Errors
/// A sentence that says what does not work; what the server got wrong is in the report.
pub async fn run(options: &Options) -> Result<Report, String> {
    let mut site = match options.sabotage {
        None => Site::temporary(&[])?,
        // A file is put back by renaming another.
        Some(Sabotage::ReplyBeforeCommit) => Site::temporary_on_sqlite(&[])?,
    };
    // A line for each command is most of what the server would write.
    site.set("LANYARD_LOG", "warn");
    site.set("LANYARD_PUSH_PER_SECOND", "5000");
    site.start_apns()?;
    site.start_server()?;
    site.add_user(PASSWORD)?;
    let world = Arc::new(World::of(&site, options.clone()).await?);
    let keys = keys(options.recruiters * 2).await?;

    let begun = Instant::now();
    let mut chance = StdRng::seed_from_u64(options.seed);
    let mut running = JoinSet::new();
    for pair in keys.chunks_exact(2) {
        running.spawn(recruit(Recruiter {
            world: Arc::clone(&world),
            interim: pair[0].clone(),
            identity: pair[1].clone(),
            chance: StdRng::seed_from_u64(chance.random()),
        }));
    }
    for _ in 0..options.operators {
        let chance = StdRng::seed_from_u64(chance.random());
        running.spawn(operator::operate(Arc::clone(&world), chance));
    }

    let work = options.devices + options.commands;
    let ran = match options.sabotage {
        None => {
            let moments = kills::moments(options.kills, work, &mut chance);
            let through = async {
                kills::kill_at(&world, &mut site, &moments, &mut chance).await?;
                while !world.is_done() {
                    sleep(LOOK).await;
                }
                Ok::<_, String>(())
            };
            timeout(Duration::from_secs(options.minutes * 60), through).await
        }
        Some(Sabotage::ReplyBeforeCommit) => {
            kills::roll_back(&world, &mut site, work / 3, &mut chance).await?;
            Ok(timeout(SHOWS_WITHIN, until_delivered_again(&world))
                .await
                .map_err(|_| "what was rolled back was not delivered again".to_owned()))
        }
    };
    match ran {
        Ok(done) => done?,
        Err(_) => {
            let progress = world.oracle.progress();
            world.oracle.complain(Complaint::Unsettled {
                devices: options.devices - progress.enrolled,
                commands: progress.queued - progress.settled,
            });
        }
    }
    let elapsed = begun.elapsed();
    running.shutdown().await;
    let check = world.oracle.check_everything(&world.administration);
    check.await?;
    report::count_certificates(&site, &world.oracle).await?;
    Ok(Report::of(&world, elapsed))
}

async fn recruit(mut recruiter: Recruiter) {
    let world = Arc::clone(&recruiter.world);
    // They live as long as who recruited them.
    let mut managed = JoinSet::new();
    while world.next.fetch_add(1, Ordering::Relaxed) < world.options.devices {
        let seed = recruiter.chance.random();
        let device = recruiter.recruit(seed).await;
        let chance = StdRng::seed_from_u64(recruiter.chance.random());
        managed.spawn(device.live(Arc::clone(&world), chance));
    }
    while managed.join_next().await.is_some() {}
}

async fn until_delivered_again(world: &World) {
    let is_one = |complaint: &Complaint| matches!(complaint, Complaint::DeliveredAgain { .. });
    while !world.oracle.complaints().iter().any(is_one) {
        sleep(LOOK).await;
    }
}

/// RSA keys, on as many threads as there are processors.
async fn keys(count: usize) -> Result<Vec<PrivateKey>, String> {
    let mut making = JoinSet::new();
    for _ in 0..count {
        making.spawn_blocking(|| PrivateKey::generate_rsa(KEY_BITS));
    }
    let mut keys = Vec::new();
    while let Some(made) = making.join_next().await {
        let made = made.map_err(|error| error.to_string())?;
        keys.push(made.map_err(|error| error.to_string())?);
    }
    Ok(keys)
}
