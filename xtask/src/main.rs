//! Prepares a machine and runs what README.md promises: `cargo xtask test`, `cargo xtask up`
//! and `cargo xtask bench`.
//! It depends on the standard library only, so that it compiles before anything is installed, and it knows
//! nothing of the product: what the programs do once they run is theirs.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod postgres;
mod run;
mod setup;
mod stage;
mod task;
mod tests_total;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = match task::parse(std::env::args_os().skip(1).collect()) {
        Ok(task) => task,
        Err(misuse) => {
            eprintln!("xtask: {misuse}\n\n{}", task::HELP);
            return ExitCode::from(2);
        }
    };
    let outcome = match task {
        task::Task::Help => {
            // A closed pipe (`cargo xtask help | head -1`) is no failure of ours.
            let _ = writeln!(std::io::stdout(), "{}", task::HELP);
            Ok(())
        }
        task::Task::Setup => setup::prepare(&setup::EVERYTHING),
        task::Task::Bench(arguments) => run::bench(&arguments),
        task::Task::Soak(arguments) => run::soak(arguments),
        task::Task::Test(arguments) => run::test(&arguments),
        task::Task::Up(arguments) => run::up(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::from(failure.status)
        }
    }
}
