//! Decision records: what plugins were asked, what they said, and what came of it. Decisions of native hooks alone are not recorded, nor
//! is what changes nothing: abstaining, and the order of the queue.

use std::{sync::Arc, time::SystemTime};

use lanyard_policy::{
    Called, ChainFailure, Decided, Decision, HookFailure, HookPoint, HostCall, Meter, Tape, Used,
};
use lanyard_store::{DecisionFilter, DecisionRecord, Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Engine, Hooks, Shadow, refusal::chain};

/// Trials at a time: what they decide is nobody's to wait for, and they should not take much from what is.
pub(crate) const TRIALS: usize = 8;

/// A question on its way to a chain: what a record needs of it, taken down before the chain gets it.
pub(crate) struct Asked {
    hooks: Arc<Hooks>,
    hook: HookPoint,
    decision: Decision,
    question: Value,
    subject: Option<String>,
    at: SystemTime,
}

impl Asked {
    /// `hooks` are those that will answer, whatever is applied meanwhile; `subject` is the enrollment session or the enrollment that the
    /// question is about.
    pub(crate) fn new(
        hooks: &Arc<Hooks>,
        hook: HookPoint,
        decision: &Decision,
        question: &impl Serialize,
        subject: Option<String>,
        at: SystemTime,
    ) -> Self {
        Self {
            hooks: Arc::clone(hooks),
            hook,
            decision: decision.clone(),
            question: serde_json::to_value(question).unwrap_or_default(),
            subject,
            at,
        }
    }
}

impl Asked {
    /// The decision's id.
    pub(crate) fn id(&self) -> &str {
        &self.decision.id
    }
}

impl Engine {
    /// The record of an answer; `None` if no plugin was asked. Whoever is on trial is asked too, on the side.
    pub(crate) fn record<V: Serialize>(
        &self,
        asked: Asked,
        answer: &Result<Decided<V>, ChainFailure>,
    ) -> Option<DecisionRecord> {
        let calls = asked.decision.meter.take();
        self.ask_shadows(&asked, &calls);
        if calls.is_empty() {
            return None;
        }
        let (opinions, outcome) = match answer {
            Ok(decided) => {
                let said = decided.opinions.iter().map(
                    |opinion| json!({ "binding": opinion.binding, "verdict": opinion.verdict }),
                );
                let failed = decided
                    .passed_over
                    .iter()
                    .map(|failed| json!({ "binding": failed.binding, "failure": failed.failure }));
                let opinions = said.chain(failed).collect();
                (opinions, json!({ "verdict": decided.verdict }))
            }
            Err(failure) => {
                let said = json!({
                    "binding": failure.binding,
                    "failure": failure.failure,
                    "text": chain(failure),
                });
                (Value::Array(Vec::new()), said)
            }
        };
        Some(DecisionRecord {
            id: asked.decision.id,
            hook: asked.hook.as_str().to_owned(),
            at: asked.at,
            subject: asked.subject,
            serial: None,
            policy: asked.hooks.revision,
            question: asked.question,
            opinions,
            outcome,
            used: used(&calls),
            tape: tape(&calls),
            beside: None,
        })
    }

    /// Asks those on trial, with what the host answered the others: they reach nothing outside. Events come to them by the outbox.
    fn ask_shadows(&self, asked: &Asked, calls: &[Called]) {
        let here = asked.hook != HookPoint::Event;
        let on_trial = asked
            .hooks
            .shadows
            .iter()
            .filter(|shadow| here && shadow.hook.point() == asked.hook);
        for shadow in on_trial {
            let host_calls = calls.iter().flat_map(|called| &called.host_calls);
            self.try_shadow(shadow, asked, host_calls.cloned().collect());
        }
    }

    /// Asks one on trial. Nobody waits for it, and where many are asked already, or were in this hour, this one is not: each leaves a record.
    pub(crate) fn try_shadow(&self, shadow: &Shadow, asked: &Asked, host_calls: Vec<HostCall>) {
        let place = Arc::clone(&self.0.shadows).try_acquire_owned();
        let place = place.ok().filter(|_| self.0.throttle.admit_trial());
        let Some(place) = place else {
            if let Some(left_out) = self.0.throttle.leave_out_trial() {
                tracing::warn!(
                    left_out,
                    binding = shadow.name,
                    "trials are left out: too many at once, or in an hour"
                );
            }
            return;
        };
        let (engine, shadow) = (self.clone(), shadow.clone());
        let trial = DecisionRecord {
            id: Uuid::new_v4().to_string(),
            hook: asked.hook.as_str().to_owned(),
            at: asked.at,
            subject: asked.subject.clone(),
            serial: None,
            policy: asked.hooks.revision,
            question: asked.question.clone(),
            opinions: Value::Null,
            outcome: Value::Null,
            used: Value::Null,
            tape: Vec::new(),
            beside: Some(asked.decision.id.clone()),
        };
        tokio::spawn(async move {
            let _place = place;
            let meter = Meter::replaying(Tape::new(host_calls));
            let answer = shadow.hook.ask(trial.question.clone(), meter.clone()).await;
            let Ok(answer) = answer else {
                tracing::error!(binding = shadow.name, "a question cannot be read back");
                return;
            };
            let calls = meter.take();
            let record = DecisionRecord {
                opinions: said(&shadow, &answer),
                outcome: outcome(&shadow, answer),
                used: used(&calls),
                tape: tape(&calls),
                ..trial
            };
            if let Err(error) = engine.store().keep_decision(&record).await {
                tracing::error!(error = chain(&error), "a trial is not recorded");
            }
        });
    }

    /// The store, whose next use case writes this record.
    pub(crate) fn carrying(&self, record: Option<DecisionRecord>) -> Store {
        match record {
            Some(record) => self.store().recording(record),
            None => self.store().clone(),
        }
    }

    /// Keeps a record of what changes nothing else.
    pub(crate) async fn keep_record(
        &self,
        record: Option<DecisionRecord>,
    ) -> Result<(), StoreError> {
        match record {
            Some(record) => self.store().keep_decision(&record).await,
            None => Ok(()),
        }
    }

    /// Keeps a record of what changes nothing and comes as often as a device likes: so many, and then none for a while.
    pub(crate) async fn keep_some(&self, record: Option<DecisionRecord>) -> Result<(), StoreError> {
        if self.0.throttle.admit_record() {
            self.keep_record(record).await
        } else {
            Ok(())
        }
    }

    /// Decisions, latest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decisions(
        &self,
        filter: DecisionFilter<'_>,
        limit: u64,
    ) -> Result<Vec<DecisionRecord>, StoreError> {
        self.store().list_decisions(filter, limit).await
    }

    /// One decision.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
        self.store().find_decision(id).await
    }
}

fn used(calls: &[Called]) -> Value {
    let used: Vec<&Used> = calls.iter().map(|called| &called.used).collect();
    serde_json::to_value(used).unwrap_or_default()
}

/// A list a call, in the order of `used`; nothing at all if the host was not asked anything.
fn tape(calls: &[Called]) -> Vec<u8> {
    let tape: Vec<&Vec<HostCall>> = calls.iter().map(|called| &called.host_calls).collect();
    if tape.iter().all(|calls| calls.is_empty()) {
        return Vec::new();
    }
    serde_json::to_vec(&tape).unwrap_or_default()
}

fn said(shadow: &Shadow, answer: &Result<Value, HookFailure>) -> Value {
    match answer {
        Ok(verdict) => json!([{ "binding": shadow.name, "verdict": verdict }]),
        Err(_) => json!([]),
    }
}

fn outcome(shadow: &Shadow, answer: Result<Value, HookFailure>) -> Value {
    match answer {
        Ok(verdict) => json!({ "verdict": verdict }),
        Err(failure) => {
            let text = failure.to_string();
            json!({ "binding": shadow.name, "failure": failure, "text": text })
        }
    }
}
