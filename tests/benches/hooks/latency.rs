//! One question, put to a plugin, to native code and to a webhook.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lanyard_policy::EnrollmentApproval;
use lanyard_tests::guests;
use lanyard_tests::measured::{THREADS, say};
use lanyard_wasm::{Capacity, PluginHost, Terms};

use crate::question::{question, text_bytes};
use crate::rival::{Native, Webhook};
use crate::statistics::Times;

/// Everybody is asked in turn, so that what the machine does meanwhile meets all of them.
const ROUNDS: usize = 40;
const CALLS_A_ROUND: usize = 100;
const THROUGHPUT: Duration = Duration::from_secs(3);

type Hook = Arc<dyn EnrollmentApproval>;

/// The example for enrollment-approval, bound on ordinary terms.
pub(crate) async fn plugin(host: &PluginHost) -> Result<Hook, Box<dyn Error>> {
    let component = fs::read(guests::component("example-enrollment-approval"))?;
    let plugin = host.load(component).await?;
    Ok(Arc::new(
        plugin.enrollment_approval(Terms::new("bench")).await?,
    ))
}

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let host = PluginHost::new(Capacity::default())?;
    let subjects: [(&str, Hook); 4] = [
        ("plugin, fresh instance", plugin(&host).await?),
        ("native", Arc::new(Native)),
        (
            "webhook, kept connection",
            Arc::new(Webhook::start(true).await?),
        ),
        (
            "webhook, new connection",
            Arc::new(Webhook::start(false).await?),
        ),
    ];
    let question = question();
    let mut times: [Times; 4] = Default::default();
    for round in 0..=ROUNDS {
        for ((_, hook), times) in subjects.iter().zip(&mut times) {
            for _ in 0..CALLS_A_ROUND {
                let asked = question.clone();
                let began = Instant::now();
                hook.decide(asked).await?;
                // The first round warms up.
                if round > 0 {
                    times.add(began.elapsed());
                }
            }
        }
    }
    say(format_args!(
        "\n# One question ({} bytes of text), one after another, {} calls each",
        text_bytes(),
        ROUNDS * CALLS_A_ROUND
    ));
    let [of_plugin, ..] = &mut times;
    let base = of_plugin.percentile(50);
    for ((name, _), times) in subjects.iter().zip(&mut times) {
        let (p50, p99) = (times.percentile(50), times.percentile(99));
        say(format_args!(
            "{name:26} p50 {p50:8.1} µs   p99 {p99:8.1} µs   {:6.2} × the plugin's p50",
            p50 / base
        ));
    }
    say(format_args!(
        "\n# The same on {THREADS} threads, {} s each",
        THROUGHPUT.as_secs()
    ));
    for (name, hook) in &subjects {
        let rate = throughput(hook).await?;
        say(format_args!("{name:26} {rate:9.0} decisions/s"));
    }
    Ok(())
}

/// Decisions a second, when every thread has somebody who asks.
async fn throughput(hook: &Hook) -> Result<f64, Box<dyn Error>> {
    let answered = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let askers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (hook, answered) = (Arc::clone(hook), Arc::clone(&answered));
            tokio::spawn(async move {
                let question = question();
                while began.elapsed() < THROUGHPUT {
                    hook.decide(question.clone()).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, lanyard_policy::HookFailure>(())
            })
        })
        .collect();
    for asker in askers {
        asker.await??;
    }
    Ok(answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
