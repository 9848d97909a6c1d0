//! From a command to what it does to the device.

use std::fs;

use lanyard_device::apns::{Entry, Event};
use serde_json::Value;

use super::{Proof, Proofs};
use crate::up::LOCK_MESSAGE;

impl Proofs<'_> {
    /// Queues a command with the command line.
    pub(in crate::up) fn send(&self, request_type: &str, keys: &[&str]) -> Result<String, String> {
        let answer = self
            .site
            .lanyard_json(&[&["command", "send", self.udid, request_type], keys].concat())?;
        Ok(answer["uuid"].as_str().unwrap_or_default().to_owned())
    }

    /// How many pushes to the device the simulated APNs has recorded as delivered.
    pub(in crate::up) fn deliveries(&self) -> Result<usize, String> {
        let record =
            fs::read_to_string(&self.site.apns()?.record).map_err(|error| error.to_string())?;
        let entries = record
            .lines()
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        let ours = entries.filter(|entry| {
            entry.udid.as_deref() == Some(self.udid) && entry.event == Event::Delivered
        });
        Ok(ours.count())
    }

    /// The simulated APNs recorded another delivery than those `before` the command.
    pub(in crate::up) fn push(&self, before: usize) -> Proof {
        let after = self.waited("a push in the record of the simulated APNs", || {
            self.deliveries().ok().filter(|&after| after > before)
        })?;
        Ok(format!(
            "the simulated APNs recorded delivery no. {after} to this device, which it had not before the command"
        ))
    }

    /// The device was woken by its magic and asked; the database has noted that the command went out.
    pub(in crate::up) async fn idle(&self, uuid: &str) -> Proof {
        let believed = self.waited("the device has not asked", || {
            let sent = self.command(uuid).ok()?["sent_at"].is_u64();
            let wakes = self.state().ok()?.wakes;
            let believed = wakes.iter().filter(|wake| wake.believed).count();
            (sent && believed > 0).then_some(believed)
        })?;
        Ok(format!(
            "the device counts {believed} wake-ups that said its push magic; the server gave it the command when it asked"
        ))
    }

    /// What the device answered is what it says of itself.
    pub(in crate::up) async fn information(&self, uuid: &str) -> Proof {
        let command = self.finished(uuid)?;
        let facts = self.state()?.model.facts;
        let result = command["result"].as_str().unwrap_or_default();
        for own in [&facts.serial_number, &facts.device_name, &facts.os_version] {
            if !result.contains(own.as_str()) {
                return Err(format!(
                    "the answer lacks {own:?}, which the device says of itself"
                ));
            }
        }
        Ok(format!(
            "acknowledged; the stored answer says {:?}, {}, {}, as the device's own state does",
            facts.device_name, facts.os_version, facts.serial_number
        ))
    }

    /// The device's own state says that it is locked.
    pub(in crate::up) async fn lock(&self, uuid: &str) -> Proof {
        self.finished(uuid)?;
        let state = self.state()?;
        let shown = state
            .model
            .lock
            .and_then(|lock| lock.message)
            .unwrap_or_default();
        if state.locked && shown == LOCK_MESSAGE {
            Ok(format!(
                "acknowledged; the device's own state says locked: true, and its screen says {shown:?}"
            ))
        } else {
            Err(format!(
                "the device's own state says locked: {}",
                state.locked
            ))
        }
    }

    fn command(&self, uuid: &str) -> Result<Value, String> {
        let mut answer = self.site.lanyard_json(&["command", "show", uuid])?;
        Ok(answer["commands"][0].take())
    }

    pub(super) fn finished(&self, uuid: &str) -> Result<Value, String> {
        let command = self.waited("an answer to the command", || {
            self.command(uuid)
                .ok()
                .filter(|command| command["completed_at"].is_u64())
        })?;
        match command["state"].as_str() {
            Some("acknowledged") => Ok(command),
            state => Err(format!(
                "the command ended as {}: {}",
                state.unwrap_or("?"),
                command["error"]
            )),
        }
    }
}
