//! Decision records: what plugins were asked, what they said, and what came of it. Decisions of native hooks alone are not recorded, nor
//! is what changes nothing: abstaining, and the order of the queue.

use std::time::SystemTime;

use lanyard_policy::{ChainFailure, Decided, Decision, HookPoint};
use lanyard_store::{DecisionRecord, Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Engine, refusal::chain};

/// A question on its way to a chain: what a record needs of it, taken down before the chain gets it.
pub(crate) struct Asked {
    hook: HookPoint,
    decision: Decision,
    question: Value,
    subject: Option<String>,
    at: SystemTime,
}

impl Asked {
    /// `subject` is the enrollment session or the enrollment that the question is about.
    pub(crate) fn new(
        hook: HookPoint,
        decision: &Decision,
        question: &impl Serialize,
        subject: Option<String>,
        at: SystemTime,
    ) -> Self {
        Self {
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
    /// The record of an answer; `None` if no plugin was asked.
    pub(crate) fn record<V: Serialize>(
        &self,
        asked: Asked,
        answer: &Result<Decided<V>, ChainFailure>,
    ) -> Option<DecisionRecord> {
        let used = asked.decision.meter.take();
        if used.is_empty() {
            return None;
        }
        let (opinions, outcome) = match answer {
            Ok(decided) => {
                let opinions = decided.opinions.iter();
                let opinions = opinions
                    .map(
                        |opinion| json!({ "binding": opinion.binding, "verdict": opinion.verdict }),
                    )
                    .collect();
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
            policy: self.hooks().revision,
            question: asked.question,
            opinions,
            outcome,
            used: serde_json::to_value(used).unwrap_or_default(),
        })
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

    /// Decisions, latest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decisions(
        &self,
        hook: Option<HookPoint>,
        subject: Option<&str>,
        limit: u64,
    ) -> Result<Vec<DecisionRecord>, StoreError> {
        let hook = hook.map(HookPoint::as_str);
        self.store().list_decisions(hook, subject, limit).await
    }

    /// One decision.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
        self.store().find_decision(id).await
    }
}
