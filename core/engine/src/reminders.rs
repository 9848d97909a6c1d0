//! Identities that end: a device whose identity has expired is refused, so somebody has to hear of it before.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use lanyard_store::{Enrollment, MAX_PAGE, StoreError};

use crate::Engine;

/// Devices that one line in the log names.
const NAMED: usize = 5;

impl Engine {
    /// Enrollments whose identity ends within that time or has ended, by id, from the one after `after`. Those that have checked out
    /// are left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn devices_ending(
        &self,
        within: Duration,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Enrollment>, StoreError> {
        let before = self.now() + within;
        self.store().enrollments_ending(before, after, limit).await
    }

    /// When the identities of these enrollments end, by the fingerprint of the certificate.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn identity_ends(
        &self,
        devices: &[Enrollment],
    ) -> Result<HashMap<String, SystemTime>, StoreError> {
        let fingerprints = devices
            .iter()
            .filter_map(|device| device.certificate.as_deref());
        self.store().certificate_ends(fingerprints).await
    }

    /// Writes into the log how many identities have expired, how many will soon, and the first few of each.
    pub(crate) async fn remind(&self) -> Result<(), StoreError> {
        let within = self.setup().lifetimes.reminder;
        let devices = self.devices_ending(within, None, MAX_PAGE).await?;
        let ends = self.identity_ends(&devices).await?;
        let now = self.now();
        let has_ended = |device: &&Enrollment| {
            let end = device.certificate.as_ref().and_then(|key| ends.get(key));
            end.is_some_and(|end| *end <= now)
        };
        let (ended, ending): (Vec<_>, Vec<_>) = devices.iter().partition(has_ended);
        let days = within.as_secs() / (24 * 3600);
        if !ended.is_empty() {
            let (count, devices) = (ended.len(), named(&ended));
            tracing::error!(
                count,
                devices,
                "identities have expired: these devices are refused until they are enrolled again"
            );
        }
        if !ending.is_empty() {
            let (count, devices) = (ending.len(), named(&ending));
            tracing::warn!(
                count,
                devices,
                "identities end within {days} days: these devices have to be enrolled again before; `lanyard device list --ending {days}` lists them"
            );
        }
        Ok(())
    }
}

fn named(devices: &[&Enrollment]) -> String {
    let first: Vec<_> = devices.iter().take(NAMED).map(|each| &*each.id).collect();
    let more = if devices.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}
