//! `lanyard command send`: to one device, or to many.

use std::{collections::BTreeSet, error::Error, fs, io::Read as _, path::Path, path::PathBuf};

use serde_json::{Value, json};

use super::{Outcome, arguments::Many, client::Client, command, path, print, print_json, show};

/// Devices that one request of ours names.
const CHUNK: usize = 1000;

/// What was typed.
pub(super) struct Sending {
    pub(super) words: Vec<String>,
    pub(super) many: Many,
    pub(super) unchecked: bool,
    pub(super) plist: Option<PathBuf>,
}

impl Sending {
    pub(super) async fn run(self, client: &Client, json_output: bool) -> Outcome {
        let mut words = self.words.into_iter();
        let to_many = self.many.all || self.many.devices.is_some();
        let device = if to_many { None } else { words.next() };
        let request_type = words.next().ok_or(
            "a command is wanted: `lanyard command send UDID TYPE`, or `--all TYPE`; see `lanyard help command send`",
        )?;
        let keys: Vec<String> = words.collect();
        if self.plist.is_some() && !keys.is_empty() {
            return Err("--plist cannot be used with KEY=TEXT: the file has all keys".into());
        }
        let request = command::request(&request_type, &keys, self.plist.as_deref())?;
        match device {
            Some(_) if self.many.batch.is_some() => {
                Err("--batch belongs to --all or --devices".into())
            }
            Some(device) => {
                let mut target = path(&["devices", &device, "commands"]);
                if self.unchecked {
                    target.push_str("?unchecked=true");
                }
                let answer = client.send("POST", &target, request).await?;
                if json_output {
                    print_json(&answer)
                } else {
                    print(&show::sent(&request_type, &device, &answer))
                }
            }
            None => {
                let name = self.many.batch.clone();
                let mut batch = Batch {
                    name: name.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
                    request: String::from_utf8(request)?,
                    unchecked: self.unchecked,
                    sent: Sent::default(),
                };
                let outcome = match &self.many.devices {
                    Some(file) => batch.send_to(client, listed(file)?).await,
                    None => batch.send_to_all(client).await,
                };
                outcome.map_err(|error| batch.broken_off(&*error))?;
                batch.report(&request_type, json_output)
            }
        }
    }
}

/// A command on its way to many.
struct Batch {
    name: String,
    request: String,
    unchecked: bool,
    sent: Sent,
}

/// What has become of it so far.
#[derive(Default)]
struct Sent {
    queued: Vec<Value>,
    before: u64,
    refused: Vec<Value>,
    /// The latest answer.
    answer: Value,
}

impl Batch {
    async fn send_to(&mut self, client: &Client, devices: Vec<String>) -> Outcome {
        for devices in devices.chunks(CHUNK) {
            self.send_part(client, "devices", json!(devices)).await?;
        }
        Ok(())
    }

    async fn send_to_all(&mut self, client: &Client) -> Outcome {
        let mut after = Value::Null;
        loop {
            self.send_part(client, "all_after", after).await?;
            after = self.sent.answer["next"].clone();
            if after.is_null() {
                return Ok(());
            }
        }
    }

    async fn send_part(&mut self, client: &Client, to: &str, whom: Value) -> Outcome {
        let mut body =
            json!({ "batch": self.name, "request": self.request, "unchecked": self.unchecked });
        body[to] = whom;
        let mut answer = client.send_json("POST", "/api/v1/commands", &body).await?;
        let mut list = |name: &str| match answer[name].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        self.sent.queued.append(&mut list("queued"));
        self.sent.refused.append(&mut list("refused"));
        self.sent.before += answer["before"].as_u64().unwrap_or_default();
        self.sent.answer = answer;
        Ok(())
    }

    fn broken_off(&self, error: &(dyn Error + 'static)) -> String {
        let (name, count) = (&self.name, self.sent.queued.len());
        // A server that ended may have taken what it did not answer; one that refuses has taken nothing.
        if count == 0 && !error.is::<hyper::Error>() {
            return error.to_string();
        }
        format!(
            "{error}\nIt is queued for {count} devices at least. The same command with `--batch {name}` sends it to the others, and to none of them twice."
        )
    }

    fn report(self, request_type: &str, json_output: bool) -> Outcome {
        let Self { name, sent, .. } = self;
        if json_output {
            print_json(&json!({
                "batch": name,
                "queued": sent.queued,
                "before": sent.before,
                "refused": sent.refused,
                "checked": sent.answer["checked"],
                "wakes": sent.answer["wakes"],
            }))?;
        } else {
            let to = format!("{} devices", sent.queued.len());
            let mut said = show::queued(request_type, &to, &format!("batch {name}"), &sent.answer);
            if sent.before > 0 {
                said.push_str(&format!("\n{} of them had it before.", sent.before));
            }
            for refused in &sent.refused {
                let (device, error) = (
                    show::text(&refused["device"]),
                    show::text(&refused["error"]),
                );
                said.push_str(&format!("\n{device}: {error}"));
            }
            print(&said)?;
        }
        match sent.refused.len() {
            0 => Ok(()),
            count => Err(format!("{count} devices do not get it").into()),
        }
    }
}

/// The lines of a file, each once; empty ones are passed over.
fn listed(file: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        fs::read_to_string(file).map(|content| text = content)
    };
    read.map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let devices: BTreeSet<String> = lines.map(str::to_owned).collect();
    if devices.is_empty() {
        return Err(format!("{}: it names no device: a UDID a line", file.display()).into());
    }
    Ok(devices.into_iter().collect())
}
