//! `lanyard-device`: the simulated APNs and simulated devices as processes of their own.

mod devices;

use std::io::{IsTerminal as _, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use lanyard_device::apns::{Settings, Simulator, read_announcement};
use lanyard_device::factory::Factory;
use tokio::signal::unix::{SignalKind, signal};

use devices::{EnrollArguments, ResumeArguments};

type Failure = Box<dyn std::error::Error>;

/// Apple's side of device management, simulated.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a push notification service with a throw-away authority and push certificate.
    Apns {
        /// Where its certificates, tokens, record and apns.json are kept.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where MDM servers connect; without it, where they did when it last ran in DIR, or on a free port.
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Where devices connect; without it, as for MDM servers.
        #[arg(long, value_name = "ADDR")]
        device_listen: Option<SocketAddr>,
    },
    /// Make the throw-away chain that issues factory identities, if there is none yet.
    Factory {
        /// Where the chain is kept.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Enroll devices, and have them managed until SIGINT or SIGTERM.
    Enroll(EnrollArguments),
    /// Go on with the devices of a state directory that are under management.
    Resume(ResumeArguments),
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let done = match Arguments::parse().command {
        Command::Apns {
            dir,
            listen,
            device_listen,
        } => {
            let before = read_announcement(&dir).ok();
            run_apns(Settings {
                listen: listen
                    .or(before.as_ref().map(|before| before.push_address))
                    .unwrap_or_else(any_port),
                device_listen: device_listen
                    .or(before.map(|before| before.device_address))
                    .unwrap_or_else(any_port),
                directory: dir,
            })
            .await
        }
        Command::Factory { dir } => make_factory(dir),
        Command::Enroll(arguments) => until_stopped(devices::enroll(arguments)).await,
        Command::Resume(arguments) => until_stopped(devices::resume(arguments)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run_apns(settings: Settings) -> Result<(), Failure> {
    let simulator = Simulator::start(&settings).await?;
    let announcement = simulator.announcement();
    say(&format!(
        "simulated APNs: push {}, devices {}, topic {}",
        announcement.push_address, announcement.device_address, announcement.topic
    ))?;
    say(&format!(
        "for lanyard.toml:\n\n[push]\ncertificate = {:?}\nhost = \"localhost\"\nport = {}\nroots = {:?}\n",
        announcement.push_certificate,
        announcement.push_address.port(),
        announcement.ca
    ))?;
    stopped().await?;
    simulator.stop().await;
    Ok(())
}

/// Work that ends when it is done, or when somebody ends the process: what devices know is in their directories by then.
async fn until_stopped(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        done = work => done,
        stopped = stopped() => stopped,
    }
}

async fn stopped() -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn make_factory(directory: PathBuf) -> Result<(), Failure> {
    Factory::open(&directory, SystemTime::now())?;
    say(&format!(
        "factory chain: {}",
        directory.join("chain.pem").display()
    ))
}

/// Whoever started this process may wait for the line, so it is flushed.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn report(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    tracing::error!("{text}");
}
