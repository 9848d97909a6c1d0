//! The command line. `init`, `serve`, `restore` and the way to a push certificate (`apns csr`, `apns import`) work on the data directory,
//! `plugin` on files, `doctor` looks at everything; all else asks the running server.

mod apns;
mod approvals;
mod arguments;
mod backup;
mod client;
mod command;
mod commands;
mod decisions;
mod doctor;
mod keys;
mod plugin;
mod policy;
mod send;
mod show;
mod standing;

use std::{error::Error, io::Write as _, path::Path, process::ExitCode};

use arguments::{Arguments, DeviceAction, Task, UserAction};
use clap::Parser as _;
use client::Client;
use qrcode::render::unicode::Dense1x2;
use serde_json::{Value, json};

use crate::{init::Init, serve};

type Outcome = Result<(), Box<dyn Error>>;
/// A client, for those who turn out to need one.
type Connect<'a> = &'a dyn Fn() -> Result<Client, Box<dyn Error>>;

/// Runs the command that was asked for. Errors go to standard error, with everything that led to them.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    let mut text = format!("lanyard: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("\n  because {cause}"));
        source = cause.source();
    }
    // Much of it is others' words: components', devices', directories'. What would steer the terminal does not.
    text.retain(|each| each == '\n' || !show::steers(each));
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

async fn run(Arguments { data, json, task }: Arguments) -> Outcome {
    let client: Connect<'_> = &|| Client::new(&data);
    match task {
        Task::Init {
            name,
            listen,
            organization,
            scep,
            ca_key,
            tls,
        } => {
            let init = Init {
                listen: listen.unwrap_or_else(|| Init::address(&name)),
                tls: tls.source(),
                name,
                organization,
                scep,
                authority_key: ca_key,
            };
            init.run(&data)?;
            print(&format!(
                "Made a server in {0}: configuration, authority, keys and sealing key.\n\
                 Keep {0}/sealing.key: without it, nothing that is stored can be read.\n\
                 Next: a push certificate (`lanyard apns csr --data {0}` begins it), then `lanyard serve --data {0}`.\n\
                 `lanyard doctor --data {0}` says what is missing.",
                data.display()
            ))
        }
        Task::Serve => {
            let announce = |link: Option<&str>| match link {
                Some(link) => invite(link),
                None => ask_for_push_certificate(&data),
            };
            Ok(serve::serve(&data, announce).await?)
        }
        Task::User { action } => user(&client()?, action, json).await,
        Task::Device { action } => device(&client()?, action, json).await,
        Task::Command { action } => commands::run(&client()?, action, json).await,
        Task::Decisions { action } => decisions::run(client, action, json).await,
        Task::Plugin { action } => plugin::run(client, action, json).await,
        Task::Apns { action } => apns::run(client, &data, action, json).await,
        Task::Approvals { action } => approvals::run(&client()?, action, json).await,
        Task::Policy { action } => policy::run(&client()?, action, json).await,
        Task::Doctor => doctor::run(&data, json).await,
        Task::Keys { action } => keys::run(&client()?, action, json).await,
        Task::Backup {
            file,
            without_database,
        } => backup::make(&client()?, &file, !without_database).await,
        Task::Restore { file } => backup::restore(&file, &data).await,
        Task::Push { device } => {
            client()?
                .send("POST", &path(&["devices", &device, "push"]), Vec::new())
                .await?;
            print(&format!("A push to {device} is due."))
        }
    }
}

async fn user(client: &Client, action: UserAction, json_output: bool) -> Outcome {
    match action {
        UserAction::Add {
            name,
            display_name,
            password,
        } => {
            let password = password.read()?;
            let body = json!({ "name": name, "display_name": display_name, "password": password.as_str() });
            client.send_json("POST", "/api/v1/users", &body).await?;
            print(&format!("{name} can sign in."))
        }
        UserAction::Passwd { name, password } => {
            let body = json!({ "password": password.read()?.as_str() });
            client
                .send_json("PUT", &path(&["users", &name, "password"]), &body)
                .await?;
            print(&format!("{name} has another password."))
        }
        UserAction::Disable { name } => {
            client
                .send_json(
                    "PUT",
                    &path(&["users", &name, "disabled"]),
                    &json!({ "disabled": true }),
                )
                .await?;
            print(&format!(
                "{name} cannot sign in any more. Devices that are enrolled stay so."
            ))
        }
        UserAction::Enable { name } => {
            client
                .send_json(
                    "PUT",
                    &path(&["users", &name, "disabled"]),
                    &json!({ "disabled": false }),
                )
                .await?;
            print(&format!("{name} can sign in."))
        }
        UserAction::Remove { name } => {
            client
                .send("DELETE", &path(&["users", &name]), Vec::new())
                .await?;
            print(&format!(
                "{name} is gone. Devices that are enrolled stay so."
            ))
        }
        UserAction::List => {
            let users = client.pages("/api/v1/users", "users", "name").await?;
            if json_output {
                print_json(&Value::Array(users))
            } else {
                print(&show::users(&users))
            }
        }
    }
}

async fn device(client: &Client, action: DeviceAction, json_output: bool) -> Outcome {
    match action {
        DeviceAction::List { ending } => {
            let path = match ending {
                Some(days) => format!("/api/v1/devices?ending_within_days={days}"),
                None => "/api/v1/devices".to_owned(),
            };
            let devices = client.pages(&path, "devices", "id").await?;
            if json_output {
                print_json(&Value::Array(devices))
            } else {
                print(&show::devices(&devices))
            }
        }
        DeviceAction::Release { device } => {
            client
                .send("DELETE", &path(&["devices", &device]), Vec::new())
                .await?;
            print(&format!("{device} is released: anybody may enroll it."))
        }
        DeviceAction::Show { device } => {
            let device = client.get(&path(&["devices", &device])).await?;
            if json_output {
                print_json(&device)
            } else {
                print(&show::device(&device))
            }
        }
    }
}

/// A path below `/api/v1`, each segment escaped.
fn path(segments: &[&str]) -> String {
    let mut path = "/api/v1".to_owned();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    path
}

/// A path with those of the filters that are set.
fn query(segments: &[&str], filters: &[(&str, Option<String>)]) -> String {
    let mut target = path(segments);
    let mut before = '?';
    for (key, value) in filters {
        if let Some(value) = value {
            let value = &path(&[value])["/api/v1/".len()..];
            target.push_str(&format!("{before}{key}={value}"));
            before = '&';
        }
    }
    target
}

/// The link, and the same as a QR code for a phone to look at; light on dark, as most terminals are.
fn invite(link: &str) {
    let code = qrcode::QrCode::new(link)
        .map(|code| {
            code.render::<Dense1x2>()
                .dark_color(Dense1x2::Light)
                .light_color(Dense1x2::Dark)
                .quiet_zone(true)
                .build()
        })
        .unwrap_or_default();
    let _ = print(&format!("{code}\nEnroll a device: {link}"));
}

/// What is said in the place of a link at which nobody could enroll.
fn ask_for_push_certificate(data: &Path) {
    let _ = print(&format!(
        "Nobody can enroll yet: without a push certificate, no device could be woken. Name it in {0}/lanyard.toml,\n\n\
         [push]\n\
         certificate = \"push.pem\"    # with its key; from identity.apple.com/pushcert\n\n\
         and start again: `lanyard serve --data {0}`. To try it with simulated devices, `lanyard-device apns --dir DIR`\n\
         makes a push certificate and prints the section that names it.",
        data.display()
    ));
}

/// The day of it, in UTC.
fn date(time: std::time::SystemTime) -> String {
    let mut text = humantime::format_rfc3339_seconds(time).to_string();
    text.truncate("2027-01-01".len());
    text
}

/// Writes a line to standard output; a closed pipe is not an error worth a panic.
fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn print_json(value: &Value) -> Outcome {
    let json = serde_json::to_string_pretty(value)?;
    // Characters outside of strings are none of these, and inside of strings this is the same to whoever reads JSON.
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && show::steers(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    print(&escaped)
}
