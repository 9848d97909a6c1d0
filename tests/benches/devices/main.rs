//! `cargo xtask bench devices`: what managed devices cost that have nothing to do, and those that are given a command, on each database: by
//! themselves, and among a million others, many of which are sent a command.
//! The messages are signed beforehand, so that the simulated devices are not what is measured; they share the processors all the same.

mod crowd;
mod database;
mod fleet;
mod load;

use std::error::Error;
use std::time::Duration;

use lanyard_tests::measured::{Measured, run, say};
use lanyard_tests::site::Site;

/// Devices that are enrolled; each speaks on a connection of its own.
const DEVICES: usize = 64;
const CONCURRENCY: [usize; 3] = [1, 16, 64];
const TIME: Duration = Duration::from_secs(5);
/// Commands that wait for each device before the full cycles begin.
const COMMANDS: usize = 60;
/// Devices in the database beside those, for the second half.
const CROWD: usize = 1_000_000;
/// How many of them are sent a command.
const SENT: usize = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    run(async {
        for database in database::all()? {
            measure(database).await?;
        }
        Ok(())
    })
}

async fn measure(database: database::Database) -> Result<(), Box<dyn Error>> {
    let mut site = Site::temporary(&[])?;
    site.set("LANYARD_DATABASE_URL", database.url(&site));
    site.start_apns()?;
    site.start_server()?;
    let fleet = fleet::enroll(&site, DEVICES)?;
    say(format_args!(
        "\n# {}: {DEVICES} devices, server and devices on the same processors\n{}",
        database.name(),
        Measured::head()
    ));
    speak(&site, &fleet).await?;
    site.kill_server();
    crowd::gather(database.url(&site).trim_matches('"'), CROWD).await?;
    site.start_server()?;
    say(format_args!("among {CROWD} others"));
    speak(&site, &fleet).await?;
    let elapsed = crowd::enqueue(&site, SENT)?;
    say(format_args!(
        "{:<46}{:>12.0}",
        format!("a command for {SENT} of them"),
        SENT as f64 / elapsed.as_secs_f64()
    ));
    Ok(())
}

async fn speak(site: &Site, fleet: &[fleet::Device]) -> Result<(), Box<dyn Error>> {
    for concurrency in CONCURRENCY {
        let measured = load::empty(site, &fleet[..concurrency], TIME).await?;
        say(measured.line("connect, nothing to do", concurrency));
    }
    for concurrency in CONCURRENCY {
        let queued = fleet::queue(site, &fleet[..concurrency], COMMANDS)?;
        let measured = load::cycles(site, queued).await?;
        say(measured.line("Idle, command, Acknowledged", concurrency));
    }
    Ok(())
}
