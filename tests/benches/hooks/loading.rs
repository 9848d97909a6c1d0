//! What it costs to load a plugin, and to have many instances of one at a time.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_policy::Directory;
use lanyard_tests::guests;
use lanyard_tests::measured::say;
use lanyard_wasm::{Cache, Capacity, Limits, Plugin, PluginHost, Terms};
use zeroize::Zeroizing;

use crate::hostile::sign_in;

/// The shipped plugins, and the smallest that there is.
const PACKAGES: [&str; 6] = [
    "challenge-approval",
    "command-rules",
    "http-directory",
    "ldap-directory",
    "oidc-directory",
    "example-enrollment-approval",
];
const INSTANCES: usize = 100;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let cache = || Cache::open(&folder.path().join("cache"), Zeroizing::new([7; 32]));
    let compiles = PluginHost::new(Capacity::default())?.caching(cache()?);
    let finds = PluginHost::new(Capacity::default())?.caching(cache()?);
    say("\n# Loading");
    for package in PACKAGES {
        let component = fs::read(guests::component(package))?;
        let size = component.len();
        let (first, compiled) = loaded(&compiles, component.clone()).await?;
        let (second, found) = loaded(&finds, component).await?;
        assert!(!compiled.was_cached() && found.was_cached(), "{package}");
        say(format_args!(
            "{package:28} {size:8} bytes   compiled in {first:7.1} ms   from the cache in {second:6.2} ms"
        ));
    }
    drop((compiles, finds));
    instances().await
}

/// Loads a component; how long it took, in milliseconds.
async fn loaded(host: &PluginHost, component: Vec<u8>) -> Result<(f64, Plugin), Box<dyn Error>> {
    let began = Instant::now();
    let plugin = host.load(component).await?;
    Ok((began.elapsed().as_secs_f64() * 1e3, plugin))
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
    let before = resident("self")?;
    let sleepers: Vec<_> = (0..INSTANCES)
        .map(|_| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { directory.begin(sign_in("sleep")).await })
        })
        .collect();
    // Long enough for all of them to be asleep; they would be for an hour.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident("self")?.saturating_sub(before);
    say(format_args!(
        "\n# {INSTANCES} instances at once\n{:.1} KiB of resident memory an instance",
        grown as f64 / 1024.0 / INSTANCES as f64
    ));
    for sleeper in &sleepers {
        sleeper.abort();
    }
    Ok(())
}

/// Resident memory of a process, in bytes (proc(5), `VmRSS`).
pub(crate) fn resident(process: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmRSS")?.trim().parse::<u64>()? * 1024)
}
