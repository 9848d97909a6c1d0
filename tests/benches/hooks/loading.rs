//! What it costs to load a plugin, and to have many instances of one at a time.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_policy::Directory;
use lanyard_tests::guests;
use lanyard_wasm::{Capacity, Limits, PluginHost, Terms};

use crate::hostile::sign_in;
use crate::say;

const INSTANCES: usize = 100;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let before = resident()?;
    let host = PluginHost::new(Capacity::default())?;
    say("\n# Loading");
    let mut loaded = Vec::new();
    for package in [
        "challenge-approval",
        "command-rules",
        "ldap-directory",
        "example-directory",
    ] {
        let component = fs::read(guests::component(package))?;
        let size = component.len();
        let began = Instant::now();
        loaded.push(host.load(component).await?);
        let took = began.elapsed().as_secs_f64() * 1e3;
        say(format_args!(
            "{package:26} {size:8} bytes   compiled in {took:7.1} ms"
        ));
    }
    say(format_args!(
        "{:26} {:8.1} MiB of resident memory for the engine and these",
        "",
        mebibytes(resident()?.saturating_sub(before))
    ));
    drop(loaded);
    drop(host);
    instances().await
}

async fn instances() -> Result<(), Box<dyn Error>> {
    let host = PluginHost::new(Capacity::default())?;
    let component = fs::read(guests::component("guest-directory"))?;
    let plugin = host.load(component).await?;
    let terms = Terms {
        limits: Limits {
            concurrent_calls: INSTANCES,
            deadline: Duration::from_secs(60),
            ..Limits::default()
        },
        ..Terms::new("sleepers")
    };
    let directory = Arc::new(plugin.directory(terms).await?);
    let before = resident()?;
    let sleepers: Vec<_> = (0..INSTANCES)
        .map(|_| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { directory.begin(sign_in("sleep")).await })
        })
        .collect();
    // Long enough for all of them to be asleep; they would be for an hour.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident()?.saturating_sub(before);
    say(format_args!(
        "\n# {INSTANCES} instances at once\n{:.1} KiB of resident memory an instance",
        grown as f64 / 1024.0 / INSTANCES as f64
    ));
    for sleeper in &sleepers {
        sleeper.abort();
    }
    Ok(())
}

/// Resident memory of this process, in bytes (proc(5), `VmRSS`).
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmRSS")?.trim().parse::<u64>()? * 1024)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
