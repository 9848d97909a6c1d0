//! One proof a step, each from another source than the one that did it.

mod decisions;
mod enrollment;
mod management;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use lanyard_device::journal::State;

use super::Sabotage;
use crate::{process::wait_within, site::Site};

type Proof = Result<String, String>;

/// Where the proofs come from.
pub(super) struct Proofs<'a> {
    pub(super) site: &'a Site,
    pub(super) udid: &'a str,
    pub(super) password: &'a str,
    pub(super) begun: SystemTime,
    /// How long something may take that happens by itself.
    pub(super) patience: Duration,
    pub(super) sabotage: Option<Sabotage>,
}

impl Proofs<'_> {
    /// Polls until `check` gives something.
    fn waited<T>(&self, what: &str, check: impl FnMut() -> Option<T>) -> Result<T, String> {
        wait_within(self.patience, what, check)
    }

    fn state(&self) -> Result<State, String> {
        self.site.device_state(self.udid)
    }

    fn device_file(&self, name: &str) -> PathBuf {
        self.site.devices().join(self.udid).join(name)
    }
}

fn with_reason(missing: &str, state: &State) -> String {
    match &state.failure {
        Some(failure) => format!("{missing}: {failure}"),
        None => missing.to_owned(),
    }
}
