//! A rule: when something happens to a device that it is about, then these commands.

use std::collections::BTreeMap;

use lanyard_sdk::{Fact, Happening, Patterns, ResultStatus, SelectionQuestion};
use serde::Deserialize;

use crate::command::Wanted;

/// Longest interval of an idle rule, in hours: a year.
const LONGEST_INTERVAL: u32 = 366 * 24;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Its name: lower-case letters, digits and hyphens, at most 64. What it issued is known by it.
    pub(crate) name: String,
    pub(crate) when: When,
    /// In this order.
    pub(crate) then: Vec<Wanted>,
    /// The devices of a `tick`, by UDID: a schedule is about none.
    #[serde(default)]
    pub(crate) devices: Vec<String>,
}

/// What has to be so, all of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) event: Kind,
    /// The schedules of a `tick`, as the bindings have them.
    schedule: Option<Patterns>,
    /// The commands whose end a `command-finished` is, by name.
    #[serde(default)]
    request_type: Vec<String>,
    /// How they ended. Default: acknowledged.
    status: Option<Vec<Status>>,
    /// What the device says of itself: `{ "product": ["iPad*"] }`.
    #[serde(default)]
    device: BTreeMap<String, Patterns>,
    /// What enrollment-approval set: `{ "tier": ["high"] }`.
    #[serde(default)]
    setting: BTreeMap<String, Patterns>,
    /// What the directory said about the person at sign-in: `{ "groups": ["staff"] }`.
    #[serde(default)]
    person: BTreeMap<String, Patterns>,
    /// The directories that vouch for the person.
    directory: Option<Patterns>,
    /// How often an `idle` device gets the commands.
    pub(crate) every_hours: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Enrolled,
    PersonDisabled,
    CommandFinished,
    Tick,
    /// Not an event: the device has nothing else to do.
    Idle,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::PersonDisabled => "person-disabled",
            Self::CommandFinished => "command-finished",
            Self::Tick => "tick",
            Self::Idle => "idle",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Acknowledged,
    Error,
    CommandFormatError,
}

impl When {
    /// The commands whose end it is about.
    pub(crate) fn request_types(&self) -> impl Iterator<Item = &str> {
        self.request_type.iter().map(String::as_str)
    }

    fn fits_device(&self, facts: &[Fact]) -> bool {
        (self.device.iter()).all(|(name, values)| values.match_fact(facts, name))
            && (self.setting.iter())
                .all(|(name, values)| values.match_fact(facts, &format!("setting.{name}")))
    }

    fn of_directory(&self, name: Option<&str>) -> bool {
        let vouched = |patterns: &Patterns| name.is_some_and(|name| patterns.match_text(name));
        self.directory.as_ref().is_none_or(vouched)
    }

    /// The conditions that are written down, each with the kinds that can tell.
    fn written(&self) -> impl Iterator<Item = (&'static str, &'static [Kind])> {
        use Kind::{CommandFinished, Enrolled, Idle, PersonDisabled, Tick};
        let conditions: [(bool, &str, &[Kind]); 8] = [
            (self.schedule.is_some(), "schedule", &[Tick]),
            (
                !self.request_type.is_empty(),
                "request_type",
                &[CommandFinished],
            ),
            (self.status.is_some(), "status", &[CommandFinished]),
            (
                !self.device.is_empty(),
                "device",
                &[Enrolled, CommandFinished, Idle],
            ),
            (
                !self.setting.is_empty(),
                "setting",
                &[Enrolled, CommandFinished, Idle],
            ),
            (!self.person.is_empty(), "person", &[Enrolled]),
            (
                self.directory.is_some(),
                "directory",
                &[Enrolled, PersonDisabled, Idle],
            ),
            (self.every_hours.is_some(), "every_hours", &[Idle]),
        ];
        let written = conditions.into_iter().filter(|(written, ..)| *written);
        written.map(|(_, name, kinds)| (name, kinds))
    }
}

impl Rule {
    /// What is wrong, and what would be right.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self {
            name,
            when,
            then,
            devices,
        } = self;
        let word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(word) {
            return Err(format!(
                "rule {name:?}: a name has 1 to 64 lower-case letters, digits and hyphens"
            ));
        }
        let wrong = |problem: String| Err(format!("rule {name}: {problem}"));
        let kind = when.event.as_str();
        if let Some((condition, _)) = when.written().find(|(_, of)| !of.contains(&when.event)) {
            return wrong(format!(
                "`{condition}` is not known of {kind}: leave it out"
            ));
        }
        if (when.event == Kind::Tick) == devices.is_empty() {
            return wrong(
                "`devices` names the devices of a tick, and belongs to no other event".to_owned(),
            );
        }
        if when.event == Kind::CommandFinished && when.request_type.is_empty() {
            return wrong("`request_type` names the commands whose end it is about".to_owned());
        }
        if when.event == Kind::Idle
            && !(when.every_hours).is_some_and(|hours| (1..=LONGEST_INTERVAL).contains(&hours))
        {
            return wrong(format!("`every_hours` is needed: 1 to {LONGEST_INTERVAL}"));
        }
        if then.is_empty() {
            return wrong("`then` names at least one command".to_owned());
        }
        for wanted in then {
            if let Err(problem) = wanted.command() {
                return wrong(problem);
            }
        }
        Ok(())
    }

    /// Whether an event is what it waits for.
    pub(crate) fn hears(&self, happening: &Happening) -> bool {
        let when = &self.when;
        if happening.kind != when.event.as_str() || when.event == Kind::Idle {
            return false;
        }
        let device = happening.device.as_ref();
        let facts = device.map_or(&[][..], |device| &device.facts);
        let person = happening.person.as_ref();
        let attributes = person.map_or(&[][..], |person| &person.attributes);
        when.fits_device(facts)
            && when.of_directory(person.map(|person| person.directory.as_str()))
            && (when.person.iter()).all(|(name, values)| values.match_attribute(attributes, name))
            && (when.schedule.as_ref())
                .is_none_or(|schedule| schedule.match_fact(&happening.facts, "schedule"))
            && (when.event != Kind::CommandFinished || self.is_about_answer(happening))
    }

    fn is_about_answer(&self, happening: &Happening) -> bool {
        let Some(result) = &happening.command else {
            return false;
        };
        let status = match result.status {
            ResultStatus::Acknowledged => Status::Acknowledged,
            ResultStatus::Error => Status::Error,
            ResultStatus::CommandFormatError => Status::CommandFormatError,
            ResultStatus::NotNow => return false,
        };
        let ended = self
            .when
            .status
            .as_deref()
            .unwrap_or(&[Status::Acknowledged]);
        let heard = |request_type: &String| self.when.request_type.contains(request_type);
        ended.contains(&status) && result.request_type.as_ref().is_some_and(heard)
    }

    /// Whether it has something for an idle device.
    pub(crate) fn fits_idle(&self, question: &SelectionQuestion) -> bool {
        let person = question.person.as_ref();
        self.when.event == Kind::Idle
            && self.when.fits_device(&question.device.facts)
            && (self.when).of_directory(person.map(|person| person.directory.as_str()))
    }
}
