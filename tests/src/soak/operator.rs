//! The other end of the server: operators who queue commands, and who look at what became of them.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::sleep,
};

use super::{
    World,
    oracle::Complaint,
    wire::{Kind, increment, pause},
};

/// What is queued: some of it changes nothing, and is taken by reading; the last is claimed before it goes out.
const REQUEST_TYPES: [&str; 4] = [
    "ProfileList",
    "SecurityInfo",
    "CertificateList",
    "DeviceLock",
];

/// Operators wait for devices: commands that one may have before it.
const QUEUE: usize = 6;

/// The pause of an operator who has nothing to do.
const IDLE: Duration = Duration::from_millis(5);

/// The administration's socket.
#[derive(Clone)]
pub(super) struct Administration {
    pub(super) socket: PathBuf,
}

impl Administration {
    /// What the server says: status and body.
    pub(super) async fn get(&self, path: &str) -> Result<(u16, Value), String> {
        let stream = UnixStream::connect(&self.socket).await;
        let answered = match stream {
            Ok(stream) => exchange(stream, "GET", path, "").await,
            Err(error) => Err(error),
        };
        answered.map_err(|error| format!("{path}: {error}"))
    }
}

async fn exchange(
    mut stream: UnixStream,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<(u16, Value)> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let broken = || io::Error::other("the answer broke off");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = serde_json::from_str(body).map_err(|_| broken())?;
    Ok((status.ok_or_else(broken)?, body))
}

/// Queues commands for as long as they are wanted.
pub(super) async fn operate(world: Arc<World>, mut chance: StdRng) {
    while !world.has_enough_commands() {
        let device = world.oracle.some_device(&mut chance);
        let Some(device) = device.filter(|_| is_room(&world)) else {
            sleep(IDLE).await;
            continue;
        };
        let request_type = REQUEST_TYPES[chance.random_range(0..REQUEST_TYPES.len())];
        if enqueue(&world, &device, request_type).await.is_err() {
            increment(&world.traffic.unanswered);
            pause(&mut chance).await;
        }
    }
}

/// Commands come in step with devices, so that both are under way together.
fn is_room(world: &World) -> bool {
    let progress = world.oracle.progress();
    let share = world.options.commands * progress.enrolled / world.options.devices.max(1);
    let wanted = match progress.enrolled < world.options.devices {
        true => share + QUEUE,
        false => usize::MAX,
    };
    progress.queued < wanted && progress.queued - progress.settled < progress.enrolled * QUEUE
}

async fn enqueue(world: &World, device: &str, request_type: &str) -> io::Result<()> {
    let _in_flight = world.traffic.begin(Kind::Enqueue);
    // Where nobody listens, nothing is queued.
    let stream = UnixStream::connect(&world.administration.socket).await?;
    let path = format!("/api/v1/devices/{device}/commands");
    let body = format!(
        "<plist version=\"1.0\"><dict><key>RequestType</key><string>{request_type}</string></dict></plist>"
    );
    // Whoever gets no answer does not know.
    world.oracle.asked(device);
    let (status, answer) = exchange(stream, "POST", &path, &body).await?;
    match answer["uuid"].as_str() {
        Some(uuid) => world.oracle.queued(device, uuid),
        None => world.oracle.complain(Complaint::Refused {
            kind: Kind::Enqueue,
            said: format!("{status} {answer}"),
        }),
    }
    Ok(())
}
