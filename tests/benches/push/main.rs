//! `cargo xtask bench push`: how fast the server wakes devices whose pushes wait in its outbox, until what became of each is noted, on each
//! database. The simulated APNs, which writes down every push, runs on the same processors.

mod fleet;

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use lanyard_tests::database::{self, OnPostgres};
use lanyard_tests::measured::{Measuring, run, say};
use lanyard_tests::site::Site;
use tokio::task::JoinSet;

const DEVICES: usize = 10_000;
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> Result<(), Box<dyn Error>> {
    run(async {
        measure("SQLite, durable", None).await?;
        match database::on_measured_postgres()? {
            Some(database) => measure("PostgreSQL, durable", Some(database)).await,
            None => Ok(()),
        }
    })
}

async fn measure(name: &str, database: Option<OnPostgres>) -> Result<(), Box<dyn Error>> {
    let mut site = Site::temporary(&[])?;
    if let Some(database) = &database {
        site.set("LANYARD_DATABASE_URL", format!("\"{}\"", database.url()));
    }
    // As fast as it can.
    site.set("LANYARD_PUSH_PER_SECOND", "1000000");
    site.start_apns()?;
    // Once, for its tables.
    site.start_server()?;
    site.kill_server();
    fleet::enroll(&site, DEVICES).await?;
    // It reads its tokens when it starts.
    site.start_apns()?;
    let record = site.apns()?.record.clone();
    let store = site.store().await?;
    site.start_server()?;
    let measuring = Measuring::begin(&site)?;
    let began = Instant::now();
    loop {
        let next = store.next_push_due().await?;
        if next.is_none_or(|due| due > SystemTime::now() + PATIENCE) {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("pushes still wait after {} s", PATIENCE.as_secs()).into());
        }
        tokio::time::sleep(LOOK).await;
    }
    let elapsed = began.elapsed();
    let record = fs::read_to_string(record)?;
    let stored = record
        .lines()
        .filter(|line| line.contains("\"stored\""))
        .count();
    if stored != DEVICES {
        return Err(format!("APNs took {stored} of {DEVICES} pushes").into());
    }
    let one = JoinSet::from_iter([std::future::ready(Ok(vec![elapsed]))]);
    let processor = measuring.finish(one).await?.each();
    let rate = DEVICES as f64 / elapsed.as_secs_f64();
    let each = processor.as_secs_f64() * 1e6 / DEVICES as f64;
    say(format_args!(
        "{name}: {DEVICES} pushes from the outbox, each noted: {rate:.0} a second, {each:.0} µs of the server's processor time each"
    ));
    Ok(())
}
