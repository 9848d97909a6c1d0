//! Issues commands by rules that an operator writes: when a device enrolls, when it is idle, when a command was answered, when a person was
//! disabled, on a schedule. In quiet hours it holds back what can wait.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command;
mod quiet;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use lanyard_sdk::{
    CommandRequest, CommandSelection, EventSink, Happening, IssuedCommand, Plugin, Reason,
    SelectionQuestion, SelectionVerdict, Unavailable, Value,
};
use serde::Deserialize;

use command::Wanted;
use quiet::QuietHours;
use rule::{Kind, Rule};

const HOUR_MS: i64 = 3_600_000;

/// What an operator sets. `settings.schema.json` says the same for editors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// When what can wait is held back.
    quiet_hours: Option<QuietHours>,
    /// The rules. All that fit count, in their order.
    rules: Vec<Rule>,
}

/// The rules.
pub struct CommandRules(Settings);

impl Plugin for CommandRules {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        for rule in &settings.rules {
            rule.check()?;
            if !names.insert(&rule.name) {
                return Err(format!(
                    "two rules are called {:?}: what a rule issued is known by its name",
                    rule.name
                ));
            }
        }
        refuse_circles(&settings.rules)?;
        Ok(Self(settings))
    }
}

/// A command that follows from an answer, and whose answer it follows from, would be issued for ever.
fn refuse_circles(rules: &[Rule]) -> Result<(), String> {
    let answers = rules
        .iter()
        .filter(|rule| rule.when.event == Kind::CommandFinished);
    let mut follows = BTreeMap::<&str, BTreeSet<&str>>::new();
    for rule in answers {
        for heard in rule.when.request_types() {
            let issued = rule.then.iter().map(Wanted::request_type);
            follows.entry(heard).or_default().extend(issued);
        }
    }
    for start in follows.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = follows[start].iter().copied().collect();
        while let Some(each) = next.pop() {
            if each == *start {
                return Err(format!(
                    "the answer to {start} leads to {start} again, for ever: break the circle"
                ));
            }
            if reached.insert(each) {
                next.extend(follows.get(each).into_iter().flatten());
            }
        }
    }
    Ok(())
}

impl EventSink for CommandRules {
    fn handle(&self, happening: Happening) -> Result<Vec<IssuedCommand>, Unavailable> {
        let mut issued = Vec::new();
        for rule in self.0.rules.iter().filter(|rule| rule.hears(&happening)) {
            for enrollment in enrollments(rule, &happening) {
                for (number, wanted) in rule.then.iter().enumerate() {
                    let key = format!("{}/{number}/{}", rule.name, happening.decision.id);
                    let request = request(rule, wanted, key)?;
                    issued.push(IssuedCommand::new(enrollment.clone(), request));
                }
            }
        }
        Ok(issued)
    }
}

/// Whose commands the event leads to: of all devices of a person, those that a rule names, or the one that it is about.
fn enrollments(rule: &Rule, happening: &Happening) -> Vec<String> {
    match rule.when.event {
        Kind::Tick => rule.devices.clone(),
        Kind::PersonDisabled => {
            let fact = happening
                .facts
                .iter()
                .find(|fact| fact.name == "enrollments");
            match fact.map(|fact| &fact.value) {
                Some(Value::Texts(ids)) => ids.clone(),
                _ => Vec::new(),
            }
        }
        Kind::Enrolled | Kind::CommandFinished | Kind::Idle => {
            happening.enrollment.iter().cloned().collect()
        }
    }
}

impl CommandSelection for CommandRules {
    fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, Unavailable> {
        if let Some(quiet) = &self.0.quiet_hours
            && let Some(seconds) = quiet.left(question.decision.at_ms)
        {
            return Ok(hold_back(quiet, &question, seconds));
        }
        if question.queue_length > 0 {
            return Ok(SelectionVerdict::Abstain);
        }
        match self.next_idle(&question) {
            Some((rule, number, wanted, hours)) => {
                // In one interval the same key is the same command, however often the device is idle.
                let interval = question.decision.at_ms / (i64::from(hours) * HOUR_MS);
                let key = format!("{}/{number}/{interval}", rule.name);
                request(rule, wanted, key).map(SelectionVerdict::Issue)
            }
            None => Ok(SelectionVerdict::Abstain),
        }
    }
}

impl CommandRules {
    /// The idle command after the one that was just answered; else the first.
    fn next_idle(&self, question: &SelectionQuestion) -> Option<(&Rule, usize, &Wanted, u32)> {
        let rules = self.0.rules.iter().filter(|rule| rule.fits_idle(question));
        let mut all = rules.flat_map(|rule| {
            let hours = rule.when.every_hours.unwrap_or(1);
            let wanted = rule.then.iter().enumerate();
            wanted.map(move |(number, wanted)| (rule, number, wanted, hours))
        });
        let answered = question.last_result.as_ref();
        let answered = answered.and_then(|result| result.request_type.as_deref());
        let Some(answered) = answered else {
            return all.next();
        };
        let mut from_answered = all
            .clone()
            .skip_while(|(_, _, wanted, _)| wanted.request_type() != answered);
        match from_answered.next() {
            Some(_) => from_answered.next(),
            None => all.next(),
        }
    }
}

/// In quiet hours, what is urgent goes out, and the rest waits until they are over.
fn hold_back(quiet: &QuietHours, question: &SelectionQuestion, seconds: u32) -> SelectionVerdict {
    // A device that put something off would do so again in the same exchange.
    let goes_on = question.last_result.is_some();
    let urgent = question
        .queue
        .iter()
        .find(|command| quiet.is_urgent(&command.request_type) && !(goes_on && command.not_now));
    match urgent {
        Some(command) => SelectionVerdict::Deliver(command.uuid.clone()),
        None if question.queue_length > 0 => SelectionVerdict::Wait(seconds),
        // Nothing is held back: no need to wake the device when they are over.
        None => SelectionVerdict::Abstain,
    }
}

fn request(rule: &Rule, wanted: &Wanted, key: String) -> Result<CommandRequest, Unavailable> {
    let failed =
        |error: &dyn std::fmt::Display| Unavailable(format!("rule {}: {error}", rule.name));
    let command = wanted.command().map_err(|error| failed(&error))?;
    let reason = Reason::new(rule.name.clone(), format!("Rule {}.", rule.name))
        .relying_on("event", rule.when.event.as_str());
    CommandRequest::new(key, command, reason).map_err(|error| failed(&error))
}

lanyard_sdk::export! {
    CommandRules: command_selection, event;
    grants: {};
    settings_schema: include_str!("../settings.schema.json");
}
