//! What was asked for on the command line.

use std::ffi::OsString;

pub(crate) const HELP: &str = "\
Usage: cargo xtask <TASK> [ARGUMENTS]

Tasks:
  up [--once] …    prepare this machine, build, start the server and the simulated APNs, enroll a simulated
                   iPhone, report every step, keep serving (--once: end after the report; exit status 0 only
                   if every step happened). All arguments go to lanyard-up; `up --help` lists them
  test [ARGS] …    prepare this machine and run every test; ARGS go to `cargo test`, for example a test's
                   name, or `-p lanyard-scep` to stay with one crate
  bench [NAME] …   prepare this machine, build optimised, and measure; NAME is one of tests/benches: devices, hooks,
                   push, scep; none means all of them
  soak [ARGS] …    prepare this machine, build, and enroll and manage many devices while the server is killed at random;
                   exit status 0 only if nothing was lost. --postgres: on PostgreSQL, which is started for it. All other
                   arguments go to lanyard-soak; `soak --help` lists them
  setup            only prepare this machine
  help             this text

All but `bench` is built with the dev profile; everything goes into the workspace's target directory.";

/// A task and the arguments that it passes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Setup,
    Bench(Vec<OsString>),
    Soak(Vec<OsString>),
    Test(Vec<OsString>),
    Up(Vec<OsString>),
}

/// Reads the arguments after the program's name; the error says what was wrong with them.
pub(crate) fn parse(mut arguments: Vec<OsString>) -> Result<Task, String> {
    if arguments.is_empty() {
        return Err("no task was named".to_owned());
    }
    let name = arguments.remove(0);
    match name.to_str() {
        Some("help" | "--help" | "-h") => Ok(Task::Help),
        Some("setup") if arguments.is_empty() => Ok(Task::Setup),
        Some("setup") => Err("`setup` takes no arguments".to_owned()),
        Some("bench") => Ok(Task::Bench(arguments)),
        Some("soak") => Ok(Task::Soak(arguments)),
        Some("test") => Ok(Task::Test(arguments)),
        Some("up") => Ok(Task::Up(arguments)),
        _ => Err(format!("there is no task `{}`", name.display())),
    }
}

/// The packages that `cargo test` arguments select with `-p`; none means all of them.
pub(crate) fn selected_packages(arguments: &[OsString]) -> Vec<String> {
    let mut packages = Vec::new();
    let mut words = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        // What follows `--` is for the test binaries.
        .take_while(|argument| argument != "--");
    while let Some(word) = words.next() {
        let named = match word.as_ref() {
            "-p" | "--package" => words.next().map(String::from),
            other => other
                .strip_prefix("--package=")
                .or_else(|| other.strip_prefix("-p="))
                .or_else(|| other.strip_prefix("-p"))
                .map(str::to_owned),
        };
        packages.extend(named);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn tasks_keep_their_arguments() {
        for (line, task) in [
            ("help", Task::Help),
            ("setup", Task::Setup),
            ("test", Task::Test(words(""))),
            ("bench hooks", Task::Bench(words("hooks"))),
            (
                "test -p x -- --nocapture",
                Task::Test(words("-p x -- --nocapture")),
            ),
            (
                "soak --postgres --kills 3",
                Task::Soak(words("--postgres --kills 3")),
            ),
            ("up --once", Task::Up(words("--once"))),
            ("up --help", Task::Up(words("--help"))),
        ] {
            assert_eq!(parse(words(line)), Ok(task), "{line}");
        }
    }

    #[test]
    fn misuse_is_named() {
        for (line, part) in [
            ("", "no task"),
            ("tset", "`tset`"),
            ("setup now", "no arguments"),
        ] {
            let message = parse(words(line)).unwrap_err();
            assert!(message.contains(part), "{line}: {message}");
        }
    }

    #[test]
    fn packages_are_found_in_every_spelling() {
        for (line, packages) in [
            ("", &[][..]),
            ("wrong_password", &[]),
            ("-p one --package two", &["one", "two"]),
            ("-pone --package=two -p=three", &["one", "two", "three"]),
            ("name -- -p hidden", &[]),
        ] {
            assert_eq!(selected_packages(&words(line)), packages, "{line}");
        }
    }
}
