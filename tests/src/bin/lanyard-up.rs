//! `cargo xtask up`: runs the main job once, reports what happened with proofs, and keeps serving.

use std::process::ExitCode;

use clap::Parser as _;
use lanyard_tests::up::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    match up::run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("lanyard-up: {error}\n").as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}
