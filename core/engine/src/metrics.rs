//! What the engine counts. Names, labels and meanings are in `docs/metrics.md`, which a test holds against what is registered here.
//!
//! Labels are words of this program (`&'static str`) and never anything that came from outside: there are as many series as there are
//! words. All of them are there from the start, so that a rate is one from the first event on.

use std::sync::atomic::AtomicU64;

use lanyard_policy::{ChainFailure, Decided, Purpose, ResultStatus, Step};
use lanyard_store::{NextPush, PushOutcome, StoreError};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::Engine;

/// A counter for each word of one label.
type Counters = Family<[(&'static str, &'static str); 1], Counter>;
/// A number of rows.
type Rows = Gauge<u64, AtomicU64>;

/// The engine's counters.
pub(crate) struct Metrics {
    check_ins: Counters,
    connects: Counters,
    queued: Counters,
    pub(crate) sent: Counter,
    answered: Counters,
    pushes: Counters,
    certificates: Counters,
    sign_ins: Counters,
    events: Counters,
    pub(crate) binary_plists: Counter,
    pushes_waiting: Rows,
    events_waiting: Rows,
}

impl Metrics {
    pub(crate) fn check_in(&self, message: &'static str) {
        count(&self.check_ins, "message", message);
    }

    pub(crate) fn connect(&self, said: &'static str) {
        count(&self.connects, "said", said);
    }

    pub(crate) fn queued(&self, by_operator: bool, commands: u64) {
        let origin = if by_operator { "operator" } else { "plugin" };
        self.queued
            .get_or_create(&[("origin", origin)])
            .inc_by(commands);
    }

    pub(crate) fn answered(&self, status: ResultStatus) {
        count(&self.answered, "status", status_word(status));
    }

    pub(crate) fn pushed(&self, outcome: &PushOutcome) {
        let word = match (outcome.result.as_deref(), outcome.next) {
            // There was nothing to wake for.
            (None, _) => return,
            (Some("accepted"), _) => "accepted",
            (_, NextPush::Again(_) | NextPush::PutOff(_) | NextPush::Reminder(_)) => "retried",
            (_, NextPush::TokenDead) => "token_dead",
            (_, NextPush::Nothing) => "given_up",
        };
        count(&self.pushes, "outcome", word);
    }

    pub(crate) fn certificate(&self, purpose: Purpose) {
        count(&self.certificates, "purpose", purpose.as_str());
    }

    pub(crate) fn sign_in(&self, answer: &Result<Decided<Step>, ChainFailure>) {
        let word = match answer.as_ref().map(|decided| &decided.verdict) {
            Ok(Step::Authenticated(_)) => "authenticated",
            Ok(Step::Ask { .. } | Step::Redirect { .. }) => "continued",
            Ok(Step::Rejected(_) | Step::Abstain) => "rejected",
            Err(_) => "failed",
        };
        count(&self.sign_ins, "outcome", word);
    }

    pub(crate) fn event(&self, outcome: &'static str) {
        count(&self.events, "outcome", outcome);
    }

    fn register(&self, registry: &mut Registry) {
        let mut counted = |name: &str, help: &str, counters: &Counters| {
            registry.register(name, help, counters.clone());
        };
        counted(
            "check_ins",
            "Check-in messages that were accepted",
            &self.check_ins,
        );
        counted(
            "connects",
            "Reports of devices, by what they said",
            &self.connects,
        );
        counted("commands_queued", "Commands queued", &self.queued);
        counted(
            "commands_answered",
            "Answers of devices to commands, repetitions left out",
            &self.answered,
        );
        counted("pushes", "Pushes, by what became of them", &self.pushes);
        counted(
            "certificates_issued",
            "Certificates issued",
            &self.certificates,
        );
        counted("sign_ins", "Steps of sign-ins", &self.sign_ins);
        counted(
            "events_told",
            "Events told to bindings, by what became of it",
            &self.events,
        );
        registry.register(
            "commands_sent",
            "Commands handed to devices, repetitions included",
            self.sent.clone(),
        );
        registry.register(
            "binary_plists_refused",
            "Binary property lists from devices, each answered 400",
            self.binary_plists.clone(),
        );
        registry.register(
            "pushes_waiting",
            "Pushes that are due and not taken, in the database that the nodes share",
            self.pushes_waiting.clone(),
        );
        registry.register(
            "events_waiting",
            "Events that are due and not told, in the database that the nodes share",
            self.events_waiting.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let statuses = [
            ResultStatus::Acknowledged,
            ResultStatus::Error,
            ResultStatus::CommandFormatError,
            ResultStatus::NotNow,
        ];
        let purposes = [
            Purpose::OtaInterim,
            Purpose::Identity,
            Purpose::Renewal,
            Purpose::Other,
        ];
        Self {
            check_ins: counters(
                "message",
                ["Authenticate", "TokenUpdate", "CheckOut", "other"],
            ),
            connects: counters("said", ["idle", "answered", "not_now"]),
            queued: counters("origin", ["operator", "plugin"]),
            sent: Counter::default(),
            answered: counters("status", statuses.map(status_word)),
            pushes: counters("outcome", ["accepted", "retried", "token_dead", "given_up"]),
            certificates: counters("purpose", purposes.map(Purpose::as_str)),
            sign_ins: counters(
                "outcome",
                ["authenticated", "continued", "rejected", "failed"],
            ),
            events: counters("outcome", ["heard", "retried", "given_up"]),
            binary_plists: Counter::default(),
            pushes_waiting: Rows::default(),
            events_waiting: Rows::default(),
        }
    }
}

impl Engine {
    /// Registers what this engine counts.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Looks at the database for what is not counted as it happens: call it before the registry is encoded.
    ///
    /// # Errors
    /// [`StoreError`]; the numbers stay as they were.
    pub async fn measure_backlog(&self) -> Result<(), StoreError> {
        let backlog = self.store().backlog(self.now()).await?;
        self.metrics().pushes_waiting.set(backlog.pushes);
        self.metrics().events_waiting.set(backlog.events);
        Ok(())
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

/// Counters for these words, at zero.
fn counters<const N: usize>(label: &'static str, words: [&'static str; N]) -> Counters {
    let counters = Counters::default();
    for word in words {
        drop(counters.get_or_create(&[(label, word)]));
    }
    counters
}

fn count(counters: &Counters, label: &'static str, word: &'static str) {
    counters.get_or_create(&[(label, word)]).inc();
}

fn status_word(status: ResultStatus) -> &'static str {
    match status {
        ResultStatus::Acknowledged => "acknowledged",
        ResultStatus::Error => "error",
        ResultStatus::CommandFormatError => "format_error",
        ResultStatus::NotNow => "not_now",
    }
}
