//! A decision with all that it takes to make it again: on another machine, in another process, with nothing of what it asked at hand.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_policy::{HookFailure, HookPoint, HostCall, Meter, Tape, Used};
use lanyard_store::DecisionRecord;
use lanyard_wasm::{ENGINE, LoadError, Plugin, Rooms};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BindingDocument;

/// A recorded decision.
#[derive(Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// Its id.
    pub(crate) id: String,
    /// Where it was asked.
    pub(crate) hook: HookPoint,
    /// What was asked; secrets are redacted.
    pub(super) question: Value,
    /// What each binding said.
    opinions: Vec<Opinion>,
    /// What came of it.
    outcome: Outcome,
    /// Each call of a plugin.
    pub(super) used: Vec<Used>,
    /// What the host answered to each.
    pub(super) tape: Vec<Vec<HostCall>>,
    /// The bindings of its hook, as the revision in force had them.
    pub(crate) bindings: Vec<BindingDocument>,
    /// Their components by digest, base64.
    #[serde(default)]
    pub(crate) components: HashMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Opinion {
    binding: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    verdict: Value,
    /// Of one that was passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<HookFailure>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Outcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<HookFailure>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    verdict: Value,
}

/// A decision cannot be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// What was recorded is no decision.
    #[error("the record cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The policy of the time binds something else.
    #[error(
        "the policy of the time has no {hook} binding `{binding}` with the component that answered ({sha256})"
    )]
    NotBound {
        /// Where.
        hook: HookPoint,
        /// Its name.
        binding: String,
        /// The component that answered.
        sha256: String,
    },
    /// The component is not at hand.
    #[error("the component {0} is not in the record")]
    NoComponent(String),
    /// It is no component.
    #[error("the component in the record is not base64")]
    Encoding(#[from] base64::DecodeError),
    /// The component is not what it was.
    #[error("the plugin of `{binding}` cannot be bound")]
    Load {
        /// The binding.
        binding: String,
        /// Why.
        #[source]
        error: LoadError,
    },
    /// The question does not fit the hook.
    #[error("the question cannot be asked again")]
    Question(#[from] lanyard_policy::NoQuestion),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] lanyard_store::StoreError),
    /// Several bindings may be meant.
    #[error("the decision was made by {0}: say which with --binding")]
    WhichBinding(String),
}

/// One plugin's part in a decision, made again.
#[derive(Debug, Serialize)]
pub(crate) struct Replayed {
    /// The binding.
    pub(crate) binding: String,
    /// What is different; nothing, if the answer, its fuel and its calls are the same.
    pub(crate) differences: Vec<String>,
    /// Fuel, this time.
    pub(crate) fuel: u64,
    /// Calls of the host, this time.
    pub(crate) host_calls: u64,
}

impl Recorded {
    /// Takes a record apart. `bindings` are those of the revision that was in force.
    pub(crate) fn new(
        record: DecisionRecord,
        bindings: Vec<BindingDocument>,
    ) -> Result<Self, ReplayError> {
        let hook: HookPoint = serde_json::from_value(record.hook.into())?;
        let used: Vec<Used> = serde_json::from_value(record.used)?;
        let tape = match record.tape.as_slice() {
            [] => vec![Vec::new(); used.len()],
            written => serde_json::from_slice(written)?,
        };
        Ok(Self {
            id: record.id,
            hook,
            question: record.question,
            opinions: serde_json::from_value(record.opinions)?,
            outcome: serde_json::from_value(record.outcome)?,
            used,
            tape,
            bindings: bindings
                .into_iter()
                .filter(|binding| binding.hook == hook)
                .collect(),
            components: HashMap::new(),
        })
    }

    /// Makes every plugin's part of the decision again, with what the host answered then.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub(crate) async fn replay(&self, rooms: &Rooms) -> Result<Vec<Replayed>, ReplayError> {
        let mut replayed = Vec::new();
        for (used, calls) in self.used.iter().zip(&self.tape) {
            let binding = self.binding(used)?;
            let component = self
                .components
                .get(&used.plugin)
                .ok_or_else(|| ReplayError::NoComponent(used.plugin.clone()))?;
            let component = STANDARD.decode(component)?;
            let loaded = rooms.load(binding.room, component).await;
            let plugin = loaded.map_err(|error| not_bound(binding, error))?;
            replayed.push(self.replay_one(used, calls, binding, &plugin).await?);
        }
        Ok(replayed)
    }

    async fn replay_one(
        &self,
        used: &Used,
        calls: &[HostCall],
        binding: &BindingDocument,
        plugin: &Plugin,
    ) -> Result<Replayed, ReplayError> {
        let hook = plugin.bind_at(self.hook, binding.terms()).await;
        let hook = hook.map_err(|error| not_bound(binding, error))?;
        let meter = Meter::replaying(Tape::new(calls.to_vec()));
        let answer = hook.ask(self.question.clone(), meter.clone()).await?;
        let now = meter.take().into_iter().next().unwrap_or_default();
        let mut differences = Vec::new();
        match self.said(&used.binding) {
            Some(Err(failure)) if !is_deterministic(&failure) => differences.push(format!(
                "it ended with {}, which is the clock's: it cannot be made again",
                failure.code()
            )),
            said => {
                if said.as_ref() != Some(&answer) {
                    let before = said.map_or_else(|| "nothing".to_owned(), |said| shown(&said));
                    differences.push(format!("verdict {}, before {before}", shown(&answer)));
                }
                if used.engine != ENGINE {
                    differences.push(format!(
                        "fuel does not compare: run by {ENGINE}, before by {}",
                        used.engine
                    ));
                } else if used.fuel != now.used.fuel {
                    differences.push(format!("fuel {}, before {}", now.used.fuel, used.fuel));
                }
                differences.extend(calls_differ(calls, &now.host_calls));
                if used.host_calls != now.used.host_calls {
                    differences.push(format!(
                        "{} host calls, before {}",
                        now.used.host_calls, used.host_calls
                    ));
                }
            }
        }
        Ok(Replayed {
            binding: used.binding.clone(),
            differences,
            fuel: now.used.fuel,
            host_calls: now.used.host_calls,
        })
    }

    /// The binding of a call, as it was at the time.
    pub(super) fn binding(&self, used: &Used) -> Result<&BindingDocument, ReplayError> {
        let mut bindings = self.bindings.iter();
        let found = bindings.find(|binding| {
            binding.name == used.binding && binding.sha256.as_deref() == Some(&used.plugin)
        });
        found.ok_or_else(|| ReplayError::NotBound {
            hook: self.hook,
            binding: used.binding.clone(),
            sha256: used.plugin.clone(),
        })
    }

    /// What a binding said then.
    pub(super) fn said(&self, binding: &str) -> Option<Result<Value, HookFailure>> {
        let mut opinions = self.opinions.iter();
        if let Some(opinion) = opinions.find(|opinion| opinion.binding == binding) {
            let verdict = || Ok(opinion.verdict.clone());
            return Some(opinion.failure.clone().map_or_else(verdict, Err));
        }
        let failed = self.outcome.binding.as_deref() == Some(binding);
        failed.then(|| self.outcome.failure.clone().map(Err))?
    }
}

/// A deadline is the clock's.
fn is_deterministic(failure: &HookFailure) -> bool {
    !matches!(failure, HookFailure::DeadlineExceeded { .. })
}

fn calls_differ(before: &[HostCall], now: &[HostCall]) -> Vec<String> {
    let mut differences: Vec<String> = before
        .iter()
        .zip(now)
        .enumerate()
        .filter_map(|(n, (before, now))| {
            let what = if before.function != now.function {
                format!("{}, before {}", now.function, before.function)
            } else if before.arguments != now.arguments {
                format!("{} with other arguments", now.function)
            } else if before.answer_sha256 != now.answer_sha256 {
                format!("the recorded answer to {} was altered", now.function)
            } else {
                return None;
            };
            Some(format!("host call {}: {what}", n + 1))
        })
        .collect();
    if before.len() != now.len() {
        differences.push(format!(
            "{} answers of the host's, before {}",
            now.len(),
            before.len()
        ));
    }
    differences
}

fn shown(answer: &Result<Value, HookFailure>) -> String {
    match answer {
        Ok(verdict) => verdict.to_string(),
        Err(failure) => format!("failure {}", failure.code()),
    }
}

pub(super) fn not_bound(binding: &BindingDocument, error: LoadError) -> ReplayError {
    ReplayError::Load {
        binding: binding.title(),
        error,
    }
}
