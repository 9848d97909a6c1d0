//! Devices that speak as fast as they are answered.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use lanyard_device::http::{Call, Client};
use lanyard_tests::site::Site;
use tokio::task::JoinSet;

use crate::fleet::{Busy, Device};

/// Ticks of the processor's clock in a second, in which Linux counts what a process has used (`USER_HZ`).
const TICKS: f64 = 100.0;

/// What was done, and what it took.
pub(crate) struct Measured {
    times: Vec<Duration>,
    elapsed: Duration,
    /// The server's processor time.
    processor: Duration,
}

impl Measured {
    pub(crate) fn line(mut self, what: &str, concurrency: usize) -> String {
        self.times.sort_unstable();
        let count = self.times.len();
        let at = |percent: usize| {
            let at = (count * percent / 100).min(count.saturating_sub(1));
            let time = self.times.get(at).copied().unwrap_or_default();
            time.as_secs_f64() * 1e3
        };
        let each = self.processor.as_secs_f64() * 1e3 / count.max(1) as f64;
        let rate = count as f64 / self.elapsed.as_secs_f64();
        format!(
            "{what:<34}{concurrency:>12}{rate:>12.0}{:>10.2}{:>10.2}{each:>16.3}",
            at(50),
            at(99)
        )
    }
}

/// Each device asks again as soon as it is answered, with nothing.
pub(crate) async fn empty(
    site: &Site,
    devices: &[Device],
    time: Duration,
) -> Result<Measured, Box<dyn Error>> {
    let (began, before) = (Instant::now(), processor(site)?);
    let mut speaking = JoinSet::new();
    for device in devices {
        let (client, idle) = (device.client.clone(), device.idle.clone());
        speaking.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < time {
                times.push(ask(&client, &idle, false).await?);
            }
            Ok::<_, String>(times)
        });
    }
    finish(site, speaking, began, before).await
}

/// Each device gets its commands one by one, each in two requests.
pub(crate) async fn cycles(site: &Site, busy: Vec<Busy>) -> Result<Measured, Box<dyn Error>> {
    let (began, before) = (Instant::now(), processor(site)?);
    let mut speaking = JoinSet::new();
    for Busy {
        client,
        idle,
        answers,
    } in busy
    {
        speaking.spawn(async move {
            let mut times = Vec::new();
            let last = answers.len().saturating_sub(1);
            for (number, answer) in answers.iter().enumerate() {
                let asked = ask(&client, &idle, true).await?;
                times.push(asked + ask(&client, answer, number < last).await?);
            }
            Ok::<_, String>(times)
        });
    }
    finish(site, speaking, began, before).await
}

async fn finish(
    site: &Site,
    mut speaking: JoinSet<Result<Vec<Duration>, String>>,
    began: Instant,
    before: Duration,
) -> Result<Measured, Box<dyn Error>> {
    let mut times = Vec::new();
    while let Some(spoken) = speaking.join_next().await {
        times.extend(spoken??);
    }
    Ok(Measured {
        times,
        elapsed: began.elapsed(),
        processor: processor(site)?.saturating_sub(before),
    })
}

/// One request; its answer must hold a command, or none.
async fn ask(client: &Client, call: &Call, command: bool) -> Result<Duration, String> {
    let began = Instant::now();
    let answer = client.send(call).await.map_err(|error| error.to_string())?;
    if answer.status != 200 || answer.body.is_empty() == command {
        let body = String::from_utf8_lossy(&answer.body);
        return Err(format!("{}: {body:?}, command: {command}", answer.status));
    }
    Ok(began.elapsed())
}

/// What the server's process has used so far.
fn processor(site: &Site) -> Result<Duration, Box<dyn Error>> {
    let id = site.server_id().ok_or("the server is not running")?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // After the name in brackets, which may hold anything: the 12th and 13th field (proc(5): utime, stime).
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc")?;
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_secs_f64(ticks.iter().sum::<f64>() / TICKS))
}
