//! Another plugin, tried against decisions that were recorded.

use lanyard_policy::{AnyHook, HookFailure, HookPoint, Meter, Tape};
use lanyard_wasm::{LoadError, Plugin, Terms};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::recorded::{Recorded, ReplayError, not_bound};

/// What another plugin would have said.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub(crate) enum Trial {
    /// The same.
    Same,
    /// Something else.
    Changed {
        /// What was said.
        before: Value,
        /// What would have been.
        after: Value,
    },
    /// It cannot be told: the host was not asked this then.
    Undetermined {
        /// What the record has no answer for.
        needs: String,
    },
}

/// A plugin that would take another one's place.
pub(crate) struct Candidate {
    plugin: Plugin,
    /// The binding whose place it takes; needed where several answered.
    binding: Option<String>,
    /// In the place of the settings of the time.
    settings: Option<Map<String, Value>>,
    /// Bound once for each of the terms that decisions were made on, which are few.
    bound: Vec<(HookPoint, Terms, AnyHook)>,
}

impl Candidate {
    /// Nothing is bound yet.
    pub(crate) fn new(
        plugin: Plugin,
        binding: Option<String>,
        settings: Option<Map<String, Value>>,
    ) -> Self {
        Self {
            plugin,
            binding,
            settings,
            bound: Vec::new(),
        }
    }

    /// What it would have said in the place of the one that answered.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub(crate) async fn try_out(&mut self, recorded: &Recorded) -> Result<Trial, ReplayError> {
        let mut answered = recorded.used.iter();
        let used = match &self.binding {
            Some(name) => answered.find(|used| used.binding == *name),
            None if recorded.used.len() > 1 => {
                let names: Vec<&str> = answered.map(|used| used.binding.as_str()).collect();
                return Err(ReplayError::WhichBinding(names.join(", ")));
            }
            None => answered.next(),
        };
        let Some(used) = used else {
            return Ok(Trial::Same);
        };
        let mut binding = recorded.binding(used)?.clone();
        if let Some(settings) = &self.settings {
            binding.settings.clone_from(settings);
        }
        let hook = self.hook(recorded.hook, binding.terms()).await;
        let hook = hook.map_err(|error| not_bound(&binding, error))?;
        let calls = recorded.tape.iter().flatten().cloned().collect();
        let meter = Meter::replaying(Tape::new(calls));
        let after = hook.ask(recorded.question.clone(), meter).await?;
        if let Err(HookFailure::Undetermined { needs }) = after {
            return Ok(Trial::Undetermined { needs });
        }
        let before = recorded.said(&used.binding);
        Ok(if before.as_ref() == Some(&after) {
            Trial::Same
        } else {
            Trial::Changed {
                before: before.map_or(Value::Null, as_json),
                after: as_json(after),
            }
        })
    }

    async fn hook(&mut self, point: HookPoint, terms: Terms) -> Result<&AnyHook, LoadError> {
        let known = |(at, on, _): &(HookPoint, Terms, AnyHook)| *at == point && *on == terms;
        let place = match self.bound.iter().position(known) {
            Some(place) => place,
            None => {
                let hook = self.plugin.bind_at(point, terms.clone()).await?;
                self.bound.push((point, terms, hook));
                self.bound.len() - 1
            }
        };
        Ok(&self.bound[place].2)
    }
}

fn as_json(answer: Result<Value, HookFailure>) -> Value {
    answer.unwrap_or_else(|failure| json!({ "failure": failure }))
}
