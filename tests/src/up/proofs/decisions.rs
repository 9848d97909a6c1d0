//! What plugins decided, and how a decision is made again.

use std::fs;

use serde_json::Value;

use super::{Proof, Proofs};
use crate::up::{
    Sabotage,
    policy::{CERTIFICATES, DIRECTORY, FOLLOWS, RULES},
};

impl Proofs<'_> {
    /// The latest decision at a hook point that fits, with what its plugin used up.
    pub(super) fn decided(
        &self,
        hook: &str,
        binding: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<(String, String), String> {
        let decisions = self
            .site
            .lanyard_json(&["decisions", "list", "--hook", hook])?;
        let mut decisions = decisions.as_array().into_iter().flatten();
        let decision = decisions.find(|each| each["used"][0]["binding"] == binding && fits(each));
        let decision = decision
            .ok_or_else(|| format!("there is no such decision of the plugin `{binding}`"))?;
        let id = decision["id"].as_str().unwrap_or_default().to_owned();
        let used = &decision["used"][0];
        let said = format!(
            "decision {id} of the plugin `{binding}` ({} fuel, {} host calls)",
            used["fuel"], used["host_calls"]
        );
        Ok((id, said))
    }

    /// The decision that let the person in.
    pub(super) fn person_decided(&self) -> Result<(String, String), String> {
        self.decided("directory", DIRECTORY, |decision| {
            decision["outcome"]["verdict"]["authenticated"].is_object()
        })
    }

    /// The decision that let this certificate be issued.
    pub(super) fn certificate_decided(&self, serial: &str) -> Result<String, String> {
        let of_it = |decision: &Value| {
            let decided = decision["certificate_serial"].as_str().unwrap_or_default();
            decided.eq_ignore_ascii_case(serial)
        };
        Ok(self.decided("ra-approval", CERTIFICATES, of_it)?.1)
    }

    /// A plugin heard of the answer to a command, and had another one issued, which was answered.
    pub(in crate::up) fn follows(&self) -> Proof {
        let issued = self.waited("a command of the plugin", || {
            let device = self.site.device(self.udid).ok()?;
            let mut commands = device["commands"].as_array()?.iter();
            let of_rules =
                commands.find(|each| each["origin"] == RULES && each["request_type"] == FOLLOWS)?;
            of_rules["uuid"].as_str().map(str::to_owned)
        })?;
        let command = self.finished(&issued)?;
        let by = command["decision"].as_str().unwrap_or_default();
        let (_, said) = self.decided("event", RULES, |decision| decision["id"] == by)?;
        Ok(format!(
            "{said} had {FOLLOWS} issued when DeviceInformation was answered; the device acknowledged it"
        ))
    }

    /// A process that has nothing but the record comes to the same verdict.
    pub(in crate::up) fn replay(&self) -> Proof {
        let (id, _) = self.person_decided()?;
        let mut record = self.site.lanyard_json(&["decisions", "export", &id])?;
        if record.to_string().contains(self.password) {
            return Err("the password is in the record".to_owned());
        }
        if self.sabotage == Some(Sabotage::Replay) {
            record["tape"][0][0]["answer"] = "false".into();
        }
        let file = self.site.data().with_file_name("decision.json");
        fs::write(&file, record.to_string())
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let from = file.display().to_string();
        let said = self
            .site
            .lanyard(&["decisions", "replay", "--from", &from])?;
        Ok(format!(
            "decision {id}, from {} alone: {}",
            file.display(),
            said.trim()
        ))
    }
}
