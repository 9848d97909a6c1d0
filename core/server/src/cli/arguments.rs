//! What can be typed.

use std::{
    error::Error,
    io::{BufRead as _, IsTerminal as _},
    net::SocketAddr,
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use lanyard_policy::HookPoint;
use zeroize::Zeroizing;

use crate::{
    configuration::{ScepMode, socket_address},
    init::AuthorityKey,
};

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
        /// Where to listen for devices
        #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDRESS", value_parser = socket_address)]
        listen: SocketAddr,
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
    /// Plugins, on their author's desk: needs no server
    Plugin {
        #[command(subcommand)]
        action: PluginAction,
    },
    /// Wake a device
    Push {
        /// Its UDID
        device: String,
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
    List,
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

/// A plugin tried against what was decided.
#[derive(clap::Args)]
pub(super) struct Trial {
    /// The component
    pub(super) file: PathBuf,
    /// The hook point whose decisions are made again
    #[arg(long)]
    pub(super) hook: String,
    /// How far back: 7d, 12h, 30m
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    pub(super) since: String,
    /// With these settings, a JSON object, in the place of those of the time
    #[arg(long, value_name = "JSON")]
    pub(super) settings: Option<String>,
    /// In the place of this binding, where several answered
    #[arg(long, value_name = "NAME")]
    pub(super) binding: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum PluginAction {
    /// Show what a component is and says of itself: its digest, the hooks that it answers, what it uses and what for
    Inspect {
        /// The component
        file: PathBuf,
    },
    /// Write a manifest into a component that has none; `lanyard-sdk` does so by itself
    Manifest {
        /// The component, which is changed
        file: PathBuf,
        /// The manifest, JSON: name, version, hooks, grants (capability to reason), settings_schema
        #[arg(long, value_name = "FILE")]
        with: PathBuf,
    },
    /// Bind a component to every hook that it answers, with the limits of a server, and say what is wrong with it
    Check {
        /// The component
        file: PathBuf,
        /// Its settings, a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        settings: String,
        /// A capability that its binding would grant; may be given more than once
        #[arg(long, value_name = "CAPABILITY")]
        grant: Vec<String>,
    },
    /// List the recorded decisions that would have been others with this component, and those that nobody can tell
    Shadow(Trial),
    /// Write a crate for a new plugin, with a passing test
    New {
        /// Its folder, which must not be there; the last part is its name
        folder: PathBuf,
        /// The hook point that it answers
        #[arg(long, value_parser = hook_point)]
        hook: HookPoint,
        /// The folder `sdk` of a checkout of Lanyard
        #[arg(long, value_name = "DIR", default_value = "sdk")]
        sdk: PathBuf,
    },
    /// Run a program with tests inside of the host: cargo's runner for wasm32-wasip2, as `new` sets it
    Test {
        /// What `cargo test --target wasm32-wasip2` built
        file: PathBuf,
        /// The program's arguments: which tests, and how
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENT"
        )]
        arguments: Vec<String>,
    },
    /// Ask a component one question, with the limits of a server
    Run {
        #[command(flatten)]
        asking: Asking,
    },
    /// Ask a component one question over and over, a fresh instance each time, and say what it costs
    Bench {
        #[command(flatten)]
        asking: Asking,
        /// How often
        #[arg(short = 'n', long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        calls: u32,
    },
    /// Make a key for signing plugins: its file, and on standard output the public key
    Keygen {
        /// The secret key's file, which must not be there
        key: PathBuf,
    },
    /// Sign a component: writes FILE.minisig beside it
    Sign {
        /// The component
        file: PathBuf,
        /// The secret key's file, of `keygen` or of `minisign -G -W`
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check the signature beside a component
    Verify {
        /// The component
        file: PathBuf,
        /// A public key that may vouch for it, RW…; may be given more than once
        #[arg(long, value_name = "KEY", required = true)]
        trusted: Vec<String>,
    },
}

/// What is asked, and on what terms.
#[derive(Args)]
pub(super) struct Asking {
    /// The component
    pub(super) file: PathBuf,
    /// The hook point
    #[arg(long, value_parser = hook_point)]
    pub(super) hook: HookPoint,
    /// The question, JSON as decision records show it; `decision` may be left out, and secrets are taken as they stand
    #[arg(long, value_name = "FILE")]
    pub(super) question: PathBuf,
    /// Its settings, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(super) settings: String,
    /// A capability that its binding would grant; may be given more than once
    #[arg(long, value_name = "CAPABILITY")]
    pub(super) grant: Vec<String>,
    /// Take room, settings, grants and limits from a binding of this policy instead
    #[arg(long, value_name = "FILE", requires = "binding", conflicts_with_all = ["settings", "grant"])]
    pub(super) policy: Option<PathBuf>,
    /// The binding's name
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub(super) binding: Option<String>,
}

fn hook_point(name: &str) -> Result<HookPoint, String> {
    let known = HookPoint::ALL;
    let found = known.into_iter().find(|point| point.as_str() == name);
    found.ok_or_else(|| {
        format!(
            "{name:?} is no hook point: write one of {}",
            known.map(HookPoint::as_str).join(", ")
        )
    })
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
    /// Queue a command and wake the device
    #[command(
        after_help = "KEY=TEXT is a string, KEY:=JSON a number, boolean, array or dictionary, KEY@=FILE the bytes of a file:
  lanyard command send UDID DeviceInformation Queries:='[\"DeviceName\",\"OSVersion\"]'
  lanyard command send UDID DeviceLock Message='Please return to the front desk'
  lanyard command send UDID InstallProfile Payload@=wifi.mobileconfig
DeviceInformation without Queries asks for everything. ClearPasscode uses the unlock token that the device left."
    )]
    Send {
        /// The device's UDID
        device: String,
        /// RequestType
        request_type: String,
        /// The command's own keys
        keys: Vec<String>,
        /// Send a command of the catalogue with whatever keys are given, known or not
        #[arg(long)]
        unchecked: bool,
        /// Take the keys from a property list (XML) instead
        #[arg(long, value_name = "FILE", conflicts_with = "keys")]
        plist: Option<PathBuf>,
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
