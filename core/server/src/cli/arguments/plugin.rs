//! `lanyard plugin`: what can be typed behind it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lanyard_policy::HookPoint;

/// A plugin tried against what was decided.
#[derive(Args)]
pub(in crate::cli) struct Trial {
    /// The component
    pub(in crate::cli) file: PathBuf,
    /// The hook point whose decisions are made again
    #[arg(long)]
    pub(in crate::cli) hook: String,
    /// How far back: 7d, 12h, 30m
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    pub(in crate::cli) since: String,
    /// With these settings, a JSON object, in the place of those of the time
    #[arg(long, value_name = "JSON")]
    pub(in crate::cli) settings: Option<String>,
    /// In the place of this binding, where several answered
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) binding: Option<String>,
}

#[derive(Subcommand)]
pub(in crate::cli) enum PluginAction {
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
pub(in crate::cli) struct Asking {
    /// The component
    pub(in crate::cli) file: PathBuf,
    /// The hook point
    #[arg(long, value_parser = hook_point)]
    pub(in crate::cli) hook: HookPoint,
    /// The question, JSON as decision records show it; `decision` may be left out, and secrets are taken as they stand
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) question: PathBuf,
    /// Its settings, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(in crate::cli) settings: String,
    /// A capability that its binding would grant; may be given more than once
    #[arg(long, value_name = "CAPABILITY")]
    pub(in crate::cli) grant: Vec<String>,
    /// Take room, settings, grants and limits from a binding of this policy instead
    #[arg(long, value_name = "FILE", requires = "binding", conflicts_with_all = ["settings", "grant"])]
    pub(in crate::cli) policy: Option<PathBuf>,
    /// The binding's name
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub(in crate::cli) binding: Option<String>,
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
