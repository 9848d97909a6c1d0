//! What can be typed.

mod plugin;

use std::{
    error::Error,
    io::{BufRead as _, IsTerminal as _},
    net::SocketAddr,
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use zeroize::Zeroizing;

use crate::{
    configuration::{ScepMode, socket_address},
    init::{AuthorityKey, TlsSource},
};

pub(super) use plugin::{Asking, PluginAction, Trial};

/// Apple device management: enrollment, certificates, commands.
#[derive(Parser)]
#[command(name = "lanyard", version, propagate_version = true)]
pub(super) struct Arguments {
    /// The data directory: configuration, keys, database, socket
    #[arg(
        long,
        global = true,
        env = "LANYARD_DATA",
        default_value = "data",
        value_name = "DIR"
    )]
    pub(super) data: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) task: Task,
}

#[derive(Subcommand)]
pub(super) enum Task {
    /// Make a data directory with configuration, authority, TLS certificate and sealing key
    Init {
        /// The host name that devices will use
        #[arg(long, default_value = "localhost", value_name = "HOST")]
        name: String,
        /// Where to listen for devices [default: 127.0.0.1:8443 for localhost, 0.0.0.0:443 for any other name]
        #[arg(long, value_name = "ADDRESS", value_parser = socket_address)]
        listen: Option<SocketAddr>,
        #[command(flatten)]
        tls: TlsArguments,
        /// Shown to persons, and in certificates
        #[arg(long, default_value = "Lanyard", value_name = "NAME")]
        organization: String,
        /// Who decrypts SCEP requests and signs the answers
        #[arg(long, value_enum, default_value = "one-ra", value_name = "MODE")]
        scep: ScepMode,
        /// The kind of the authority's key
        #[arg(long, value_enum, default_value = "p256", value_name = "KIND")]
        ca_key: AuthorityKey,
    },
    /// Run the server
    Serve,
    /// Say what stands between this server and a real device; exit status 1 if something does not work
    Doctor,
    /// Persons of the native directory
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Enrolled devices
    Device {
        #[command(subcommand)]
        action: DeviceAction,
    },
    /// Commands for devices
    Command {
        #[command(subcommand)]
        action: CommandAction,
    },
    /// Policies: which plugins answer which hooks
    Policy {
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Decisions that plugins took part in
    Decisions {
        #[command(subcommand)]
        action: DecisionsAction,
    },
    /// What plugins want a person to look at before it goes on
    Approvals {
        #[command(subcommand)]
        action: ApprovalsAction,
    },
    /// Push certificates: ask for one, take it in, see whether APNs takes it
    Apns {
        #[command(subcommand)]
        action: ApnsAction,
    },
    /// Plugins, on their author's desk: needs no server
    Plugin {
        #[command(subcommand)]
        action: PluginAction,
    },
    /// The keys with which secrets are sealed at rest
    Keys {
        #[command(subcommand)]
        action: KeysAction,
    },
    /// Copy the running server into one file: database, configuration, keys
    ///
    /// Whoever has the file is the server: it holds the sealing keys. `lanyard backup - | age -r … > FILE` encrypts it on the way.
    Backup {
        /// A file that is not there yet, or - for standard output
        file: PathBuf,
        /// Leave the database out: PostgreSQL has pg_dump, which is to be run before
        #[arg(long)]
        without_database: bool,
    },
    /// Make a data directory out of a backup; everything in it is looked at first
    Restore {
        /// The backup, or - for standard input
        file: PathBuf,
    },
    /// Wake a device
    Push {
        /// Its UDID
        device: String,
    },
}

/// Whose TLS certificate devices see; without any of these, one under a root of the server's own.
#[derive(Args)]
pub(super) struct TlsArguments {
    /// A publicly trusted certificate with its chain (PEM), kept where it is: renewals are written over it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key (PEM), which only its owner can read
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Address or network of a proxy that speaks TLS with devices, and plain HTTP with this server; several with commas
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', conflicts_with_all = ["tls_certificate", "tls_key"])]
    behind_proxy: Vec<String>,
}

impl TlsArguments {
    pub(super) fn source(self) -> TlsSource {
        match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => TlsSource::Files { certificate, key },
            _ if !self.behind_proxy.is_empty() => TlsSource::Proxy(self.behind_proxy),
            _ => TlsSource::OwnRoot,
        }
    }
}

#[derive(Subcommand)]
pub(super) enum KeysAction {
    /// List keys, the oldest first, with what each seals
    List,
    /// Make a key that the next rotation uses: where several nodes share a database, they need it first
    Add,
    /// Seal with the newest key from now on; without a spare one, it is made
    Rotate,
    /// Remove a key that nothing is sealed with any more
    Retire {
        /// Its id
        id: String,
    },
}

#[derive(Subcommand)]
pub(super) enum UserAction {
    /// Add a person
    Add {
        /// The name to sign in with
        name: String,
        /// The name to show
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Give a person another password
    Passwd {
        /// The name to sign in with
        name: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Keep a person from signing in
    Disable {
        /// The name to sign in with
        name: String,
    },
    /// Let a person sign in again
    Enable {
        /// The name to sign in with
        name: String,
    },
    /// Remove a person
    Remove {
        /// The name to sign in with
        name: String,
    },
    /// List persons
    List,
}

/// A password never stands on a command line, where every user of the machine could read it.
#[derive(Args)]
pub(super) struct PasswordSource {
    /// Read the password from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    pub(super) fn read(&self) -> Result<Zeroizing<String>, Box<dyn Error>> {
        if let Some(file) = &self.password_file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            return Ok(first_line(&Zeroizing::new(text)));
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let password = Zeroizing::new(rpassword::prompt_password("Password: ")?);
            let again = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
            return if password == again {
                Ok(password)
            } else {
                Err("the two passwords are not the same; nothing was changed".into())
            };
        }
        let mut line = Zeroizing::new(String::new());
        stdin.lock().read_line(&mut line)?;
        Ok(first_line(&line))
    }
}

fn first_line(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
}

#[derive(Subcommand)]
pub(super) enum DeviceAction {
    /// List devices
    List {
        /// Only those whose identity ends within so many days, or has ended: they have to be enrolled again
        #[arg(long, value_name = "DAYS")]
        ending: Option<u32>,
    },
    /// Show a device and its commands
    Show {
        /// Its UDID
        device: String,
    },
    /// Let a device go, so that another person can enroll it
    Release {
        /// Its UDID
        device: String,
    },
}

#[derive(Subcommand)]
pub(super) enum ApnsAction {
    /// Show each topic: its push certificate, until when that is valid, and why no device is woken, if none is
    Status,
    /// Read the files of the push certificates again; they are also looked at once a minute
    Reload,
    /// Print a certificate request for an MDM vendor to sign; its key stays here, sealed
    Csr {
        /// Make a new key, even if a certificate for the one before may be on its way
        #[arg(long = "new")]
        anew: bool,
    },
    /// Take in what identity.apple.com/pushcert made of the request, if devices can be woken with it
    Import {
        /// The certificate in PEM; its key may be in the file as well
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(super) enum ApprovalsAction {
    /// List what waits, latest first
    List {
        /// Those in another state: approved, denied, expired
        #[arg(long, value_name = "STATE", default_value = "pending")]
        state: String,
        /// Those in every state
        #[arg(long, conflicts_with = "state")]
        all: bool,
    },
    /// Show an approval: who and what it is about, why, and what was answered
    Show {
        /// The approval's id
        id: String,
    },
    /// Say yes
    Approve {
        /// The approval's id
        id: String,
        /// Goes on record
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        by: By,
    },
    /// Say no
    Deny {
        /// The approval's id
        id: String,
        /// Goes on record
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        by: By,
    },
}

/// Who answers.
#[derive(Args)]
pub(super) struct By {
    /// Who says so; without it, the user who runs this, or who became root for it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl By {
    pub(super) fn name(self) -> String {
        let user = || {
            let mut names = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
            names.find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        };
        self.by
            .or_else(user)
            .unwrap_or_else(|| "operator".to_owned())
    }
}

#[derive(Subcommand)]
pub(super) enum DecisionsAction {
    /// List decisions, latest first
    List {
        /// Only those of a hook point
        #[arg(long, value_name = "HOOK")]
        hook: Option<String>,
        /// Only those about a device (UDID) or an enrollment session
        #[arg(long, value_name = "ID")]
        about: Option<String>,
    },
    /// Show what was asked, what each plugin said, and what it cost
    Show {
        /// The decision's id
        id: String,
    },
    /// Write a decision, what the host answered and the plugins that made it to standard output, as JSON: all it takes to replay it. It holds what
    /// directories say of persons
    Export {
        /// The decision's id
        id: String,
    },
    /// Make a decision again in this process, with what the host answered then; fails if anything is different
    Replay {
        /// The decision's id
        #[arg(required_unless_present = "from")]
        id: Option<String>,
        /// A file that `export` wrote, instead: no server is needed
        #[arg(long, value_name = "FILE", conflicts_with = "id")]
        from: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(super) enum PolicyAction {
    /// Check a policy, and enforce it if every plugin in it can be bound as it says
    Apply {
        /// A policy in TOML; the plugins that it names are files beside it
        file: PathBuf,
    },
    /// Show what applying a policy would change
    Diff {
        /// A policy in TOML
        file: PathBuf,
    },
    /// List the revisions, latest first
    List,
    /// Show a revision; without a number, the one in force
    Show {
        /// The revision
        number: Option<i64>,
    },
    /// Apply an earlier revision again, as a new one
    Rollback {
        /// The revision
        number: i64,
    },
}

#[derive(Subcommand)]
pub(super) enum CommandAction {
    /// Queue a command and wake the device, or many devices
    #[command(
        override_usage = "lanyard command send [OPTIONS] UDID TYPE [KEY=TEXT]...
       lanyard command send [OPTIONS] --all TYPE [KEY=TEXT]...
       lanyard command send [OPTIONS] --devices FILE TYPE [KEY=TEXT]...",
        after_help = "KEY=TEXT is a string, KEY:=JSON a number, boolean, array or dictionary, KEY@=FILE the bytes of a file:
  lanyard command send UDID DeviceInformation Queries:='[\"DeviceName\",\"OSVersion\"]'
  lanyard command send UDID DeviceLock Message='Please return to the front desk'
  lanyard command send UDID InstallProfile Payload@=wifi.mobileconfig
  lanyard command send --all InstallProfile Payload@=wifi.mobileconfig
DeviceInformation without Queries asks for everything. ClearPasscode uses the unlock token that the device left.
A command for many gets a UUID for each device. If it is broken off, the same with --batch goes on where it stopped."
    )]
    Send {
        /// The device's UDID (not with --all and --devices), RequestType, and the command's own keys
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
        #[command(flatten)]
        many: Many,
        /// Send a command of the catalogue with whatever keys are given, known or not
        #[arg(long)]
        unchecked: bool,
        /// Take the keys from a property list (XML) instead
        #[arg(long, value_name = "FILE")]
        plist: Option<PathBuf>,
    },
    /// List commands, those that were queued last first
    List {
        /// Only those of a device
        #[arg(long, value_name = "UDID")]
        device: Option<String>,
        /// Only those in a state: queued, sent, not_now, acknowledged, error, format_error, cancelled, cleared
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a command and what was answered
    Show {
        /// CommandUUID
        uuid: String,
    },
    /// Take a command back that was not sent yet
    Cancel {
        /// CommandUUID
        uuid: String,
    },
}

/// Many devices in the place of one.
#[derive(Args)]
pub(super) struct Many {
    /// Send it to every device that has not checked out; nothing that may destroy what is on a device
    #[arg(long, conflicts_with = "devices")]
    pub(super) all: bool,
    /// Send it to the devices in a file, a UDID a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) devices: Option<PathBuf>,
    /// Name this batch: under the same name, a device gets a command of one type once. Drawn, if it is not given
    #[arg(long, value_name = "NAME")]
    pub(super) batch: Option<String>,
}
