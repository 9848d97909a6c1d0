//! What operators do on an installation, and what they see of it.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use lanyard_device::apns::{Entry, Event};
use serde_json::Value;

use crate::{guests, process::wait_until, site::Site};

impl Site {
    /// Appends this to `lanyard.toml`, for the server's next start.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, text: &str) -> Result<(), String> {
        let file = self.data().join("lanyard.toml");
        let append = || {
            let mut file = File::options().append(true).open(&file)?;
            write!(file, "\n{text}")
        };
        append().map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Has this policy applied, with what these packages make beside it, as `<package>.wasm`; what the command line says.
    ///
    /// # Errors
    /// What the command line says, or a file cannot be written.
    ///
    /// # Panics
    /// If a package does not build.
    pub fn apply(&self, policy: &str, packages: &[&str]) -> Result<String, String> {
        for package in packages {
            let file = self.data().join(package).with_extension("wasm");
            fs::copy(guests::component(package), &file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let file = self.data().join("policy.toml");
        fs::write(&file, policy).map_err(|error| format!("{}: {error}", file.display()))?;
        self.lanyard(&["policy", "apply", &file.display().to_string()])
    }

    /// Waits for the first device's enrollment; its UDID.
    ///
    /// # Errors
    /// It is not in time.
    pub fn enrolled(&self) -> Result<String, String> {
        wait_until("the enrollment", || {
            let devices = self.lanyard_json(&["device", "list"]).ok()?;
            let device = &devices[0];
            (device["state"] == "enrolled").then(|| device["id"].as_str().map(str::to_owned))?
        })
    }

    /// Queues a command with `lanyard command send`; its CommandUUID.
    ///
    /// # Errors
    /// What the command line says.
    pub fn send(&self, device: &str, request_type: &str, keys: &[&str]) -> Result<String, String> {
        let answer =
            self.lanyard_json(&[&["command", "send", device, request_type], keys].concat())?;
        let uuid = answer["uuid"].as_str();
        uuid.map(str::to_owned)
            .ok_or_else(|| format!("no CommandUUID in {answer}"))
    }

    /// A command as the server shows it.
    ///
    /// # Errors
    /// It has no such command, or does not answer.
    pub fn command(&self, uuid: &str) -> Result<Value, String> {
        let (status, body) = self.ask("GET", &format!("/api/v1/commands/{uuid}"))?;
        let mut answer: Value =
            serde_json::from_str(&body).map_err(|error| format!("{status} {body}: {error}"))?;
        match answer["commands"][0].take() {
            Value::Null => Err(format!("{status} {answer}")),
            command => Ok(command),
        }
    }

    /// Waits until a command is answered, cancelled or cleared.
    ///
    /// # Errors
    /// It is not in time.
    pub fn completed(&self, uuid: &str) -> Result<Value, String> {
        wait_until("the end of a command", || {
            self.command(uuid)
                .ok()
                .filter(|command| command["completed_at"].is_u64())
        })
        .map_err(|error| format!("{error}: {:?}", self.command(uuid)))
    }

    /// A device as the server shows it.
    ///
    /// # Errors
    /// It has no such device, or does not answer.
    pub fn device(&self, id: &str) -> Result<Value, String> {
        self.lanyard_json(&["device", "show", id])
    }

    /// Queues a command without keys over the socket, with no process in between; its CommandUUID.
    ///
    /// # Errors
    /// It is refused.
    pub fn post(&self, device: &str, request_type: &str) -> Result<String, String> {
        let request = format!(
            "<plist version=\"1.0\"><dict><key>RequestType</key><string>{request_type}</string></dict></plist>"
        );
        let (status, body) = self.exchange(
            "POST",
            &format!("/api/v1/devices/{device}/commands"),
            &request,
        )?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let uuid = answer["uuid"].as_str();
        uuid.map(str::to_owned)
            .ok_or_else(|| format!("{status} {body}"))
    }

    /// A request to the administration's socket: status and body.
    ///
    /// # Errors
    /// There is no whole answer.
    pub fn ask(&self, method: &str, path: &str) -> Result<(u16, String), String> {
        self.exchange(method, path, "")
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        let socket = self.data().join("admin.sock");
        let exchange = || {
            let mut stream = UnixStream::connect(&socket)?;
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = exchange().map_err(|error| format!("{}: {error}", socket.display()))?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or_else(|| format!("no HTTP answer: {answer:?}"))?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((
            status.ok_or_else(|| format!("no HTTP status: {head:?}"))?,
            body.to_owned(),
        ))
    }

    /// What the simulated APNs recorded of a device, oldest first.
    ///
    /// # Errors
    /// It was not started, or its record cannot be read.
    pub fn pushes(&self, device: &str) -> Result<Vec<Event>, String> {
        let record = fs::read_to_string(&self.apns()?.record).map_err(|error| error.to_string())?;
        let entries = record
            .lines()
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        Ok(entries
            .filter(|entry| entry.udid.as_deref() == Some(device))
            .map(|entry| entry.event)
            .collect())
    }
}
