//! Devices that speak as fast as they are answered.

use std::time::{Duration, Instant};

use lanyard_device::http::{Call, Client};
use lanyard_tests::measured::{Measured, Measuring};
use lanyard_tests::site::Site;
use tokio::task::JoinSet;

use crate::fleet::{Busy, Device};

/// Each device asks again as soon as it is answered, with nothing.
pub(crate) async fn empty(
    site: &Site,
    devices: &[Device],
    time: Duration,
) -> Result<Measured, String> {
    let measuring = Measuring::begin(site)?;
    let began = Instant::now();
    let mut speaking = JoinSet::new();
    for device in devices {
        let (client, idle) = (device.client.clone(), device.idle.clone());
        speaking.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < time {
                times.push(ask(&client, &idle, false).await?);
            }
            Ok(times)
        });
    }
    measuring.finish(speaking).await
}

/// Each device gets its commands one by one, each in two requests.
pub(crate) async fn cycles(site: &Site, busy: Vec<Busy>) -> Result<Measured, String> {
    let measuring = Measuring::begin(site)?;
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
            Ok(times)
        });
    }
    measuring.finish(speaking).await
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
