//! `lanyard plugin test`: cargo's runner for wasm32-wasip2.

use std::{fs, path::Path};

use lanyard_wasm::{TestsEnded, TestsError, run_tests};

use super::super::Outcome;

/// Tests were not run.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be tested")]
struct NotRun(String, #[source] TestsError);

pub(super) async fn run(file: &Path, arguments: &[String]) -> Outcome {
    let shown = file.display();
    let program = fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
    // As a program is called anywhere: its name first.
    let mut called = vec![shown.to_string()];
    called.extend_from_slice(arguments);
    match run_tests(&program, &called)
        .await
        .map_err(|error| NotRun(shown.to_string(), error))?
    {
        TestsEnded::Passed => Ok(()),
        TestsEnded::Failed(status) => Err(format!("{shown}: ended with status {status}").into()),
        TestsEnded::BrokeOff(why) => {
            Err(format!("{shown}: broke off, as a test that panics does: {why}").into())
        }
    }
}
