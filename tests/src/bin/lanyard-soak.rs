//! `cargo xtask soak`: many devices, many commands, a server that is killed; reports what was lost.

use std::{
    io::{Write as _, stderr, stdout},
    process::ExitCode,
};

use clap::Parser as _;
use lanyard_tests::soak::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    match soak::run(&Options::parse()).await {
        Ok(report) => {
            // Who closed our output no longer wants to read.
            let _ = write!(stdout(), "{report}");
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(error) => {
            let _ = writeln!(stderr(), "lanyard-soak: {error}");
            ExitCode::FAILURE
        }
    }
}
