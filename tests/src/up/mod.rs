//! `cargo xtask up`: the main job, from a login to a locked device, with a proof of each step from a second source.
//!
//! The device is a process of its own, so is the simulated APNs; they share nothing with the server but the network. The
//! proofs come from what each of them wrote down for itself, from the server's database, and from the `openssl` command line.

mod policy;
mod proofs;
mod report;

use std::{
    io::Write as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Parser, ValueEnum};
use lanyard_device::journal::Status;

use crate::{
    process::{PATIENCE, Process, wait_until},
    site::{Site, USER},
};
use proofs::Proofs;
use report::Report;

/// What `cargo xtask up` takes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask up",
    about = "Runs the main job once, reports what happened, and keeps serving"
)]
pub struct Options {
    /// Ends after the report; the exit status is 0 only if every step really happened
    #[arg(long)]
    pub once: bool,
    /// Where server, simulated APNs and simulated devices keep their data
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// Breaks one step, to see that the report notices
    #[arg(long, value_enum, value_name = "STEP")]
    pub sabotage: Option<Sabotage>,
}

/// A step to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The link leads to a server that is not the one whose root is known.
    Link,
    /// The directory knows somebody else only.
    Directory,
    /// The Profile Service document is signed by somebody else.
    ProfileService,
    /// The device's attributes are altered on their way.
    Attributes,
    /// The device asks for its certificate with a challenge that it was not given.
    Certificate,
    /// Another device asks for the profile.
    Profile,
    /// The device keeps its tokens to itself.
    Tokens,
    /// APNs is switched off.
    Push,
    /// The device does not react when it is woken.
    Idle,
    /// The device fails at DeviceInformation.
    Information,
    /// The device fails at what the plugin had issued.
    Rule,
    /// The device fails at DeviceLock.
    Lock,
    /// An answer of the host's is altered in the record.
    Replay,
}

impl Sabotage {
    /// All of them, in the order of the steps that they break.
    pub const ALL: [Self; 13] = [
        Self::Link,
        Self::Directory,
        Self::ProfileService,
        Self::Attributes,
        Self::Certificate,
        Self::Profile,
        Self::Tokens,
        Self::Push,
        Self::Idle,
        Self::Information,
        Self::Rule,
        Self::Lock,
        Self::Replay,
    ];

    /// The number of the step in the report.
    #[must_use]
    pub fn step(self) -> usize {
        Self::ALL
            .iter()
            .position(|each| *each == self)
            .map_or(0, |index| index + 1)
    }

    /// What the device process is told.
    fn told(self) -> &'static [&'static str] {
        match self {
            Self::Attributes => &["--mischief", "alter-phase-2"],
            Self::Certificate => &["--mischief", "wrong-challenge"],
            Self::Profile => &["--mischief", "other-device-in-phase-3"],
            Self::Tokens => &["--mischief", "no-token-update"],
            Self::Idle => &["--mischief", "ignore-push"],
            Self::Information => &["--behaviour", "DeviceInformation=error:12021"],
            Self::Rule => &["--behaviour", "SecurityInfo=error:12021"],
            Self::Lock => &["--behaviour", "DeviceLock=error:12021"],
            Self::Link | Self::Directory | Self::ProfileService | Self::Push | Self::Replay => &[],
        }
    }
}

/// Runs the main job. Whether every step really happened.
///
/// # Errors
/// A sentence that says what could not even be started.
pub async fn run(options: &Options) -> Result<bool, String> {
    let mut site = Site::at(&options.data, &[])?;
    if !options.once {
        site.prefer_port(8443);
    }
    if options.sabotage == Some(Sabotage::ProfileService) {
        forge_signer(&mut site)?;
    }
    site.start_apns()?;
    site.start_server()?;
    let password = password();
    let password_file = site.password_file(&password)?;
    let user = match options.sabotage {
        Some(Sabotage::Directory) => policy::somebody_else(),
        _ => USER.to_owned(),
    };
    policy::apply(&site, &user, &password)?;
    if !options.once {
        say(&invitation(&site, &password))?;
    }
    say("A simulated iPhone enrolls, in a process of its own.\n")?;

    let begun = SystemTime::now();
    let udid = udid();
    let device = start_device(&site, &password_file, &udid, options.sabotage)?;
    let proofs = Proofs {
        site: &site,
        udid: &udid,
        password: &password,
        begun,
        // What was broken on purpose is not worth waiting long for.
        patience: if options.sabotage.is_some() {
            Duration::from_secs(5)
        } else {
            PATIENCE
        },
        sabotage: options.sabotage,
    };
    let mut report = Report::new(|line| {
        let _ = say(line);
    });
    enrollment_steps(&proofs, &mut report).await;
    if options.sabotage == Some(Sabotage::Push) {
        site.stop_apns();
    }
    command_steps(&proofs, &mut report).await;
    say(&report.summary())?;

    if !options.once {
        say(&format!(
            "The server keeps serving, and the device stays managed: see `{} device list --data {}`. Ctrl-C ends both.",
            crate::process::binary("lanyard").display(),
            site.data().display()
        ))?;
        tokio::signal::ctrl_c()
            .await
            .map_err(|error| error.to_string())?;
    } else if !report.is_good() {
        say(&format!("What the device said:\n{}", device.said()))?;
        say(&format!(
            "What the others said is in {}",
            options.data.join("logs").display()
        ))?;
    }
    drop(device);
    Ok(report.is_good())
}

async fn enrollment_steps(proofs: &Proofs<'_>, report: &mut Report<impl FnMut(&str)>) {
    report.step(
        "A URL is exposed to the user, who taps it and is asked for name and password",
        proofs.link().await,
    );
    report.step(
        "The credentials are checked with the directory",
        proofs.directory().await,
    );
    report.step(
        "A profile service payload is sent, asking the device for its attributes",
        proofs.profile_service().await,
    );
    let settled = wait_until("the device's enrollment", || {
        let state = proofs.site.device_state(proofs.udid).ok()?;
        (state.status != Status::Enrolling).then_some(())
    });
    if let Err(error) = settled {
        report.step("The device enrolls", Err(error));
    }
    report.step(
        "The device answers with its attributes, signed by its factory identity, and they are kept with the person",
        proofs.attributes().await,
    );
    report.step(
        "Over SCEP (GetCACert, PKIOperation) the device gets an X.509 certificate of its own through RA and CA",
        proofs.certificate().await,
    );
    report.step(
        "The device sends that certificate; the configuration payload is encrypted to it, signed by the server, and opened",
        proofs.profile().await,
    );
    report.step(
        "The device checks in: device token, push magic and unlock token are saved against the person",
        proofs.tokens().await,
    );
}

async fn command_steps(proofs: &Proofs<'_>, report: &mut Report<impl FnMut(&str)>) {
    if !report.is_good() {
        for step in LATER {
            report.not_reached(step);
        }
        return;
    }
    let [push, idle, information, rule, lock, replay] = LATER;
    let before = proofs.deliveries().unwrap_or_default();
    let asked = match &proofs.send("DeviceInformation", &[]) {
        Ok(uuid) => {
            report.step(push, proofs.push(before));
            report.step(idle, proofs.idle(uuid).await);
            proofs.information(uuid).await
        }
        Err(error) => Err(error.clone()),
    };
    report.step(information, asked);
    if !report.is_good() {
        for step in [rule, lock, replay] {
            report.not_reached(step);
        }
        return;
    }
    report.step(rule, proofs.follows());
    if !report.is_good() {
        for step in [lock, replay] {
            report.not_reached(step);
        }
        return;
    }
    let message = format!("Message={LOCK_MESSAGE}");
    let locked = match proofs.send("DeviceLock", &[&message]) {
        Ok(uuid) => proofs.lock(&uuid).await,
        Err(error) => Err(error),
    };
    report.step(lock, locked);
    report.step(replay, proofs.replay());
}

/// What the device shows when it is locked.
const LOCK_MESSAGE: &str = "Please return this device to the front desk";

/// The steps that a command makes.
const LATER: [&str; 6] = [
    "For an operation, device token and push magic go to APNs, which gives the device a wake-up call",
    "The device asks for what there is to do, with its state Idle",
    "The operation DeviceInformation is sent as a property list, and answered",
    "A plugin hears of the answer, and has another command issued",
    "The operation LOCK is sent, and the device is locked",
    "A decision is made again, in a process that has nothing but its record",
];

fn start_device(
    site: &Site,
    password_file: &std::path::Path,
    udid: &str,
    sabotage: Option<Sabotage>,
) -> Result<Process, String> {
    let told = sabotage.map_or(&[][..], Sabotage::told);
    site.start_device(password_file, &[&["--udid", udid], told].concat())
}

/// Lets the server sign with an identity that its own root did not issue.
fn forge_signer(site: &mut Site) -> Result<(), String> {
    let other = site.data().with_file_name("another-server");
    if !other.exists() {
        let data = other.display().to_string();
        crate::site::run(
            std::process::Command::new(crate::process::binary("lanyard"))
                .args(["init", "--data", &data]),
        )?;
    }
    // Its keys are sealed under its own sealing key, so that one is used, too: the directory is new in this run.
    let quoted = |name: &str| format!("\"{}\"", absolute(&other.join(name)));
    std::fs::copy(other.join("sealing.key"), site.data().join("sealing.key"))
        .map_err(|error| error.to_string())?;
    for (name, file) in [
        ("LANYARD_SIGNING_CERTIFICATE", "server/signing.pem"),
        ("LANYARD_SIGNING_KEY", "server/signing.key"),
        ("LANYARD_SCEP_AUTHORITY", "authority/ca.pem"),
        ("LANYARD_SCEP_AUTHORITY_KEY", "authority/ca.key"),
        ("LANYARD_SCEP_RA", "authority/ra.pem"),
        ("LANYARD_SCEP_RA_KEY", "authority/ra.key"),
    ] {
        site.set(name, quoted(file));
    }
    Ok(())
}

fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// For whoever stands before the screen with a phone.
fn invitation(site: &Site, password: &str) -> String {
    let code = site
        .server_log()
        .lines()
        .filter(|line| line.contains(['█', '▀', '▄']))
        .collect::<Vec<_>>()
        .join("\n");
    format!(
        "{code}\n\nEnroll a device: {}\nSign in as {USER} with the password {password}\n",
        site.url("/enroll")
    )
}

/// Made up for each run, so that none is ever the same on two machines.
fn password() -> String {
    let letters = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random: [u8; 16] = rand::random();
    random
        .iter()
        .map(|octet| char::from(letters[usize::from(octet % 32)]))
        .collect()
}

fn udid() -> String {
    format!(
        "00008120-{:016X}",
        rand::random::<u64>() & 0x001f_ffff_ffff_ffff
    )
}

fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}
