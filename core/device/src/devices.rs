//! The commands `enroll` and `resume`.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use clap::Args;
use lanyard_device::apns::{Courier, read_announcement};
use lanyard_device::enroll::Credentials;
use lanyard_device::factory::Factory;
use lanyard_device::fleet::{Fleet, Outcome, Recruits};
use lanyard_device::http::Client;
use lanyard_device::manage::Until;
use lanyard_device::mischief::{Mischief, Told};
use lanyard_device::model::Behaviour;
use lanyard_mdm::EnrollmentId;
use lanyard_pki::Certificate;

use super::{Failure, say};

/// Where the password comes from if no file is named.
const PASSWORD_VARIABLE: &str = "LANYARD_DEVICE_PASSWORD";

#[derive(Args)]
pub(super) struct EnrollArguments {
    /// The enrollment link, as https://HOST:PORT/enroll.
    #[arg(long, value_name = "URL")]
    url: String,
    /// The authority above the server's certificates, in PEM.
    #[arg(long, value_name = "FILE")]
    server_ca: PathBuf,
    /// Who signs in.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The password, on the file's first line; without it, the environment's LANYARD_DEVICE_PASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The chain that issues factory identities; made if there is none yet.
    #[arg(long, value_name = "DIR")]
    factory: PathBuf,
    /// How many devices enroll.
    #[arg(long, value_name = "N", default_value_t = 1)]
    devices: usize,
    /// How many of them enroll at the same time.
    #[arg(long, value_name = "N", default_value_t = 8)]
    concurrency: usize,
    /// UDID of the first device; made up if not given. A device that is in the state directory enrolls again.
    #[arg(long)]
    udid: Option<String>,
    #[command(flatten)]
    life: Life,
}

#[derive(Args)]
pub(super) struct ResumeArguments {
    #[command(flatten)]
    life: Life,
}

/// What devices have in common, new or not.
#[derive(Args)]
struct Life {
    /// The directory of the simulated APNs.
    #[arg(long, value_name = "DIR")]
    apns: PathBuf,
    /// Where each device has a directory with its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Something to do wrong; may be given more than once.
    #[arg(long, value_name = "NAME")]
    mischief: Vec<Mischief>,
    /// How to deviate in answering commands, as [REQUEST_TYPE=]WHAT[*COUNT]: not-now*2, delay:250, DeviceLock=refuse, error:12021,
    /// format-error, lose. May be given more than once.
    #[arg(long, value_name = "BEHAVIOUR")]
    behaviour: Vec<Behaviour>,
    /// End when each device is enrolled (enroll), or has answered N commands (commands:N).
    #[arg(long, value_name = "WHEN")]
    exit_after: Option<ExitAfter>,
}

#[derive(Clone, Copy)]
enum ExitAfter {
    Enroll,
    Commands(u64),
}

impl FromStr for ExitAfter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ExitAfter, Self::Err> {
        let wrong = "write enroll, or commands:N with a number N";
        match text.split_once(':') {
            None if text == "enroll" => Ok(ExitAfter::Enroll),
            Some(("commands", count)) => count.parse().map(ExitAfter::Commands).map_err(|_| wrong),
            _ => Err(wrong),
        }
    }
}

pub(super) async fn enroll(arguments: EnrollArguments) -> Result<(), Failure> {
    if let Some(udid) = &arguments.udid {
        EnrollmentId::of_device(udid.as_str())?;
    }
    let authorities = Certificate::many_from_pem(&read(&arguments.server_ca)?)?;
    let recruits = Recruits {
        factory: Factory::open(&arguments.factory, SystemTime::now())?,
        credentials: Credentials::new(
            arguments.user,
            password(arguments.password_file.as_deref())?,
        ),
        client: Client::new(authorities)?,
        link: arguments.url,
        udid: arguments.udid,
        devices: arguments.devices,
        concurrency: arguments.concurrency,
    };
    let outcome = fleet(arguments.life)?.enroll(recruits).await;
    judge(&outcome)
}

pub(super) async fn resume(arguments: ResumeArguments) -> Result<(), Failure> {
    let outcome = fleet(arguments.life)?.resume().await?;
    if outcome.managed == 0 && outcome.failures.is_empty() {
        return Err("no device in the state directory is under management".into());
    }
    judge(&outcome)
}

fn fleet(life: Life) -> Result<Fleet, Failure> {
    let apns = read_announcement(&life.apns)
        .map_err(|source| unreadable(&life.apns.join("apns.json"), source))?;
    let courier = Courier::new(&apns.device_address.to_string(), &read(&apns.ca)?)?;
    Ok(Fleet {
        courier,
        state: life.state,
        told: Told::new(life.mischief),
        behaviours: life.behaviour,
        stay: match life.exit_after {
            None => Some(Until::TheEnd),
            Some(ExitAfter::Commands(count)) => Some(Until::Settled(count)),
            Some(ExitAfter::Enroll) => None,
        },
        echo: |line| {
            // Whoever read the lines may be gone; the devices are not done for all that.
            let _ = say(line);
        },
    })
}

fn password(file: Option<&Path>) -> Result<String, Failure> {
    let Some(file) = file else {
        return std::env::var(PASSWORD_VARIABLE).map_err(|_| {
            format!("no password: give --password-file, or set {PASSWORD_VARIABLE}").into()
        });
    };
    let text = fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Each failure is in the log already.
fn judge(outcome: &Outcome) -> Result<(), Failure> {
    match outcome.failures.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} devices failed", failed + outcome.managed).into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|source| unreadable(path, source).into())
}

fn unreadable(path: &Path, source: std::io::Error) -> Unreadable {
    Unreadable {
        path: path.to_owned(),
        source,
    }
}

#[derive(Debug)]
struct Unreadable {
    path: PathBuf,
    source: std::io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read", self.path.display())
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
