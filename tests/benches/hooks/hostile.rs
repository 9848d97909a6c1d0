//! What a plugin that behaves notices of one that does not, on the same threads.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use lanyard_policy::{Decision, Directory, EnrollmentApproval, Secret, SignIn};
use lanyard_tests::guests;
use lanyard_tests::measured::say;
use lanyard_wasm::{Capacity, PluginHost, Terms};

use crate::latency::plugin;
use crate::question::question;
use crate::statistics::Times;

/// What `tests/guests/directory` does when a person of this name signs in.
const MISCHIEF: [(&str, &str); 8] = [
    ("trap", "panics"),
    ("spin", "loops for ever"),
    ("sleep", "sleeps for an hour"),
    ("deep", "calls itself for ever"),
    ("hoard", "asks for a gibibyte"),
    ("grow", "asks for a mebibyte for ever"),
    ("flood", "logs for ever"),
    ("guess", "verifies against costly hashes"),
];
/// As many at a time as a binding may have under way.
const AT_A_TIME: usize = 16;
const LENGTH: Duration = Duration::from_secs(4);

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let host = PluginHost::new(Capacity::default())?;
    let good = plugin(&host).await?;
    let component = fs::read(guests::component("guest-directory"))?;
    let hostile = host.load(component).await?;
    let hostile = Arc::new(hostile.directory(Terms::new("hostile")).await?);
    say(format_args!(
        "\n# A plugin that behaves, asked every two milliseconds for {} s, its wait for a turn included, while another is asked {AT_A_TIME} times at once, again and again",
        LENGTH.as_secs()
    ));
    let (mut p50, mut p99, calls) = asked(&*good).await?;
    say(format_args!(
        "{:34} p50 {p50:8.1} µs   p99 {p99:8.1} µs   {calls} answers",
        "nobody else"
    ));
    for (name, what) in MISCHIEF {
        let ended = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
        let askers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                let (hostile, ended) = (Arc::clone(&hostile), Arc::clone(&ended));
                tokio::spawn(async move {
                    loop {
                        let end = match hostile.begin(sign_in(name)).await {
                            Ok(_) => "an answer".to_owned(),
                            Err(failure) => failure.code().to_owned(),
                        };
                        {
                            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                            *ended.entry(end).or_default() += 1;
                        }
                        // As a request's task does when it writes its answer.
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let calls;
        (p50, p99, calls) = asked(&*good).await?;
        for asker in &askers {
            asker.abort();
        }
        for asker in askers {
            let _ = asker.await;
        }
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        let ends: Vec<String> = ended
            .iter()
            .map(|(end, count)| format!("{count} × {end}"))
            .collect();
        let ends = if ends.is_empty() {
            "no call ended".to_owned()
        } else {
            ends.join(", ")
        };
        say(format_args!(
            "{:34} p50 {p50:8.1} µs   p99 {p99:8.1} µs   {calls} answers; the other: {ends}",
            format!("{name}: {what}")
        ));
    }
    Ok(())
}

/// Median and 99th percentile, in microseconds, and how many answers there were.
async fn asked(hook: &dyn EnrollmentApproval) -> Result<(f64, f64, usize), Box<dyn Error>> {
    let mut times = Times::default();
    let began = Instant::now();
    let mut turns = tokio::time::interval(Duration::from_millis(2));
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while began.elapsed() < LENGTH {
        // From when it was to be asked: that its turn comes late is what others notice, too. Timers are a millisecond coarse.
        let due = turns.tick().await;
        hook.decide(question()).await?;
        times.add(due.elapsed());
    }
    Ok((times.percentile(50), times.percentile(99), times.calls()))
}

pub(crate) fn sign_in(name: &str) -> SignIn {
    SignIn {
        decision: Decision {
            id: "bench".to_owned(),
            at_ms: 1_750_000_000_000,
            seed: [7; 32],
            meter: Default::default(),
        },
        user_name: name.to_owned(),
        password: Secret::new("correct horse"),
        remote_address: "192.0.2.1".to_owned(),
        user_agent: None,
    }
}
