//! Builds and runs the workspace's programs and tests, in numbered stages.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::postgres::{self, Postgres};
use crate::setup;
use crate::stage::{Failure, Stage, shown};
use crate::task::selected_packages;
use crate::tests_total::Total;

/// The packages whose tests have a database each.
const KEEP_DATA: [&str; 2] = ["lanyard-store", "lanyard-tests"];

/// `cargo xtask test`: every test, or those that `arguments` select.
pub(crate) fn test(arguments: &[OsString]) -> Result<(), Failure> {
    let packages = selected_packages(arguments);
    let end_to_end = packages.is_empty() || packages.iter().any(|name| name == "lanyard-tests");
    setup::prepare(if end_to_end {
        &setup::EVERYTHING
    } else {
        &setup::TO_BUILD
    })?;
    if end_to_end {
        let stage = Stage::begin(
            "Building the programs and the tests (the first time: about 8 minutes on 2 cores)",
        );
        // With `--tests` the programs get the features that `cargo test` will want, so nothing is built twice.
        complete(&mut cargo([
            "build",
            "--workspace",
            "--locked",
            "--bins",
            "--tests",
        ]))?;
        stage.done();
    }

    say_where_recorded_messages_are();
    let mut total = Total::default();
    let mut test = |title: &str, selected: &[&str], environment: Option<(&str, String)>| {
        let stage = Stage::begin(title);
        // One failing binary must not hide what the others have to say.
        let mut command = cargo(["test", "--locked", "--no-fail-fast"]);
        command.args(selected).args(arguments).envs(environment);
        let status = counted(&mut command, &mut std::io::stdout(), &mut total)?;
        stage.done();
        if status.success() {
            Ok(())
        } else {
            Err(Failure::of_command(&command, status))
        }
    };
    let all = if packages.is_empty() {
        &["--workspace"][..]
    } else {
        &[]
    };
    let first = test("Running the tests", all, None);
    let keep_data = |name: &String| KEEP_DATA.contains(&name.as_str());
    let second = if packages.is_empty() || packages.iter().any(keep_data) {
        let postgres = Postgres::start(false)?;
        let environment = (postgres::OF_TESTS, postgres.url());
        test(
            "Running the tests again, on PostgreSQL",
            // Those of two packages alone would be built with other features, wasmtime and all.
            all,
            Some(environment),
        )
    } else {
        Ok(())
    };
    eprintln!("Total: {total}.");
    first.and(second)
}

/// `cargo xtask up`: builds the programs, then becomes `lanyard-up`. Returns only if that fails.
pub(crate) fn up(arguments: &[OsString]) -> Result<(), Failure> {
    setup::prepare(&setup::TO_BUILD)?;
    build_programs()?;
    let program = beside_this_program("lanyard-up")?;
    // Replacing this process hands over the terminal, its signals and the exit status without a middleman.
    let mut command = Command::new(program);
    let error = command.args(arguments).exec();
    Err(Failure::of_start(&command, &error))
}

/// `cargo xtask soak`: builds the programs and runs `lanyard-soak`, with `--postgres` on a PostgreSQL that is started for it.
pub(crate) fn soak(mut arguments: Vec<OsString>) -> Result<(), Failure> {
    let given = arguments.len();
    arguments.retain(|argument| argument != "--postgres");
    let on_postgres = arguments.len() < given;
    setup::prepare(match on_postgres {
        true => &setup::TO_MEASURE[..],
        false => &setup::TO_BUILD,
    })?;
    build_programs()?;
    let postgres = on_postgres.then(|| Postgres::start(true)).transpose()?;
    let mut command = Command::new(beside_this_program("lanyard-soak")?);
    match &postgres {
        Some(postgres) => command.env(postgres::OF_TESTS, postgres.url()),
        None => command.env_remove(postgres::OF_TESTS),
    };
    complete(command.args(arguments))
}

fn build_programs() -> Result<(), Failure> {
    let stage = Stage::begin(
        "Building the server and the simulated device (the first time: about 6 minutes on 2 cores)",
    );
    let mut build = cargo(["build", "--locked", "--bins"]);
    for package in ["lanyard-server", "lanyard-device", "lanyard-tests"] {
        build.args(["--package", package]);
    }
    complete(&mut build)?;
    stage.done();
    Ok(())
}

/// `cargo xtask bench`: builds what is measured as it would be shipped, and measures.
pub(crate) fn bench(names: &[OsString]) -> Result<(), Failure> {
    // Before a build of minutes.
    let folder = workspace().join("tests/benches");
    if let Some(unknown) = names.iter().find(|name| !folder.join(name).is_dir()) {
        return Err(Failure::new(format!(
            "there is no benchmark `{}`; {} has one folder for each",
            unknown.display(),
            folder.display()
        )));
    }
    setup::prepare(&setup::TO_MEASURE)?;
    let stage = Stage::begin("Building, optimised (the first time: about 25 minutes on 2 cores)");
    // One selection of packages for both calls: for another, cargo builds most of them again with other features.
    let selected = ["--workspace", "--locked"];
    let benches: Vec<_> = match names {
        [] => benchmarks(&folder)?,
        names => names.to_vec(),
    };
    let benches: Vec<_> = benches
        .into_iter()
        .flat_map(|name| ["--bench".into(), name])
        .collect();
    let programs = ["--bin", "lanyard", "--bin", "lanyard-device"];
    let mut build = cargo(["build", "--release"]);
    complete(build.args(selected).args(programs).args(&benches))?;
    stage.done();
    let postgres = Postgres::start(true)?;
    let mut bench = cargo(["bench"]);
    bench.env(postgres::MEASURED, postgres.url());
    complete(bench.args(selected).args(&benches))
}

/// The names of all benchmarks, in their order.
fn benchmarks(folder: &Path) -> Result<Vec<OsString>, Failure> {
    let unreadable = |error| Failure::new(format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    names.sort();
    Ok(names)
}

/// Tests that read Apple's recorded messages pass without them; a line here keeps that from going unseen.
fn say_where_recorded_messages_are() {
    let shared = std::env::var_os("LANYARD_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    if shared.join("recorded").is_dir() {
        eprintln!(
            "    Recorded device messages: {}/recorded",
            shared.display()
        );
    } else {
        eprintln!(
            "    Recorded device messages: none at {}/recorded, so the tests that read them check nothing. \
             LANYARD_SHARED names the folder that holds `recorded`.",
            shared.display()
        );
    }
}

/// The cargo that runs us, in the workspace.
fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace()).args(arguments);
    // What it says of this package to this program; build scripts that ask would be built again after each plain `cargo build`.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&variable);
        }
    }
    command
}

fn workspace() -> &'static Path {
    // The member's folder is one below the workspace's.
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member)
}

/// Cargo puts all programs of one profile into one folder, whatever its target directory is called.
fn beside_this_program(name: &str) -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot tell where this program lies: {error}")))?;
    Ok(this.with_file_name(name))
}

fn complete(command: &mut Command) -> Result<(), Failure> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::of_command(command, status)),
        Err(error) => Err(Failure::of_start(command, &error)),
    }
}

/// Runs a command, passes its standard output on line by line and adds up what it says about tests.
fn counted(
    command: &mut Command,
    output: &mut impl std::io::Write,
    total: &mut Total,
) -> Result<ExitStatus, Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::of_start(command, &error))?;
    if let Some(input) = child.stdout.take() {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        while input
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            // Who closed our output no longer wants to read; the tests still run to their end.
            let _ = output.write_all(&line);
            total.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    child
        .wait()
        .map_err(|error| Failure::new(format!("lost sight of {}: {error}", shown(command))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_quoted_and_its_status_forwarded() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 42"]);
        let failure = complete(&mut command).unwrap_err();
        assert_eq!(failure.status, 42);
        assert!(
            failure
                .to_string()
                .starts_with("`sh -c exit 42` ended with")
        );
    }

    #[test]
    fn a_benchmark_that_is_not_there_is_named_at_once() {
        let failure = bench(&["hooks".into(), "hoks".into()]).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("there is no benchmark `hoks`")
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = complete(&mut Command::new("lanyard-no-such-program")).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("`lanyard-no-such-program` did not start")
        );
    }

    #[test]
    fn output_is_counted_while_it_passes() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: ok. 2 passed; 0 failed;'; exit 3"]);
        let mut passed_on = Vec::new();
        let mut total = Total::default();
        let status = counted(&mut command, &mut passed_on, &mut total).unwrap();
        assert!(passed_on.starts_with(b"test result: ok."));
        assert_eq!(status.code(), Some(3));
        assert!(total.to_string().starts_with("2 passed, 0 failed"));
    }
}
