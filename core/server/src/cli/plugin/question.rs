//! Questions from files, put to a component on the terms of a server.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use lanyard_policy::{
    CommandSelection, Decision, Directory, EnrollmentApproval, EnrollmentQuestion, Event,
    EventSink, HookFailure, HookPoint, Lookup, RaApproval, RaQuestion, ResumeSignIn, Secret,
    SelectionQuestion, SignIn, Used,
};
use lanyard_wasm::{
    Plugin, Terms, WasmCommandSelection, WasmDirectory, WasmEnrollmentApproval, WasmEventSink,
    WasmRaApproval,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A question, and the hook that answers it.
pub(super) enum Question {
    Begin(WasmDirectory, SignIn),
    Resume(WasmDirectory, ResumeSignIn),
    Lookup(WasmDirectory, Lookup),
    Enrollment(WasmEnrollmentApproval, EnrollmentQuestion),
    Ra(WasmRaApproval, RaQuestion),
    Selection(WasmCommandSelection, SelectionQuestion),
    Event(WasmEventSink, Event),
}

/// What came of one question.
pub(super) struct Answer {
    /// The verdict as records show it.
    pub(super) verdict: Result<Value, HookFailure>,
    pub(super) used: Used,
}

impl Question {
    /// Binds the plugin and reads the question, which is JSON as decision records show it. `decision` may be left out. Unlike in a
    /// record, `password` and the values of `input` are taken as they stand: this is an author's desk, and they are made up.
    pub(super) async fn new(
        plugin: &Plugin,
        hook: HookPoint,
        terms: Terms,
        mut question: Value,
    ) -> Result<Self, Box<dyn Error>> {
        let Some(fields) = question.as_object_mut() else {
            return Err("a question is a JSON object".into());
        };
        let seed = vec![0_u8; 32];
        fields.entry("decision").or_insert_with(
            || json!({ "id": "desk", "at_ms": 1_750_000_000_000_i64, "seed": seed }),
        );
        Ok(match hook {
            HookPoint::Directory => {
                let directory = plugin.directory(terms).await?;
                let password = fields.get("password").and_then(Value::as_str);
                let password = password.map(Secret::new);
                let typed = fields.get("input").and_then(Value::as_object).cloned();
                if fields.contains_key("user_name") {
                    let mut sign_in: SignIn = read(question)?;
                    sign_in.password = password.unwrap_or_else(Secret::redacted);
                    Self::Begin(directory, sign_in)
                } else if fields.contains_key("state") {
                    let mut back: ResumeSignIn = read(question)?;
                    for (name, value) in typed.into_iter().flatten() {
                        let value = value.as_str().unwrap_or_default();
                        back.input.insert(name, Secret::new(value));
                    }
                    Self::Resume(directory, back)
                } else {
                    Self::Lookup(directory, read(question)?)
                }
            }
            HookPoint::EnrollmentApproval => {
                Self::Enrollment(plugin.enrollment_approval(terms).await?, read(question)?)
            }
            HookPoint::RaApproval => Self::Ra(plugin.ra_approval(terms).await?, read(question)?),
            HookPoint::CommandSelection => {
                Self::Selection(plugin.command_selection(terms).await?, read(question)?)
            }
            HookPoint::Event => Self::Event(plugin.event_sink(terms).await?, read(question)?),
        })
    }

    /// Puts it once, to a fresh instance.
    pub(super) async fn put(&self) -> Answer {
        let verdict = match self {
            Self::Begin(hook, question) => shown(hook.begin(question.clone()).await),
            Self::Resume(hook, question) => shown(hook.resume(question.clone()).await),
            Self::Lookup(hook, question) => shown(hook.lookup(question.clone()).await),
            Self::Enrollment(hook, question) => shown(hook.decide(question.clone()).await),
            Self::Ra(hook, question) => shown(hook.decide(question.clone()).await),
            Self::Selection(hook, question) => shown(hook.select(question.clone()).await),
            Self::Event(hook, question) => shown(hook.handle(question.clone()).await),
        };
        let called = self.decision().meter.take().pop().unwrap_or_default();
        Answer {
            verdict,
            used: called.used,
        }
    }

    fn decision(&self) -> &Decision {
        match self {
            Self::Begin(_, question) => &question.decision,
            Self::Resume(_, question) => &question.decision,
            Self::Lookup(_, question) => &question.decision,
            Self::Enrollment(_, question) => &question.decision,
            Self::Ra(_, question) => &question.decision,
            Self::Selection(_, question) => &question.decision,
            Self::Event(_, question) => &question.decision,
        }
    }
}

/// What many calls one after another cost.
#[derive(Serialize)]
pub(super) struct Measured {
    calls: usize,
    p50_micros: u64,
    p99_micros: u64,
    calls_per_second: u64,
    fuel: u64,
    host_calls: u64,
}

impl Measured {
    /// Puts it so many times.
    ///
    /// # Errors
    /// The first failure: what fails is not worth measuring.
    pub(super) async fn of(question: &Question, calls: usize) -> Result<Self, HookFailure> {
        let mut times = Vec::with_capacity(calls);
        let mut last = Used::default();
        let started = Instant::now();
        for _ in 0..calls {
            let answer = question.put().await;
            answer.verdict?;
            times.push(answer.used.micros);
            last = answer.used;
        }
        let took = started.elapsed().max(Duration::from_micros(1));
        times.sort_unstable();
        let at = |percent: usize| times.get((calls * percent / 100).min(calls - 1)).copied();
        Ok(Self {
            calls,
            p50_micros: at(50).unwrap_or_default(),
            p99_micros: at(99).unwrap_or_default(),
            calls_per_second: (calls as f64 / took.as_secs_f64()) as u64,
            fuel: last.fuel,
            host_calls: last.host_calls,
        })
    }

    pub(super) fn report(&self) -> String {
        format!(
            "{} calls, a fresh instance each: p50 {} µs, p99 {} µs, {} calls/s one after another\n\
             fuel {}, host calls {} a call",
            self.calls,
            self.p50_micros,
            self.p99_micros,
            self.calls_per_second,
            self.fuel,
            self.host_calls
        )
    }
}

fn read<Q: DeserializeOwned>(question: Value) -> Result<Q, String> {
    serde_json::from_value(question).map_err(|error| format!("the question: {error}"))
}

fn shown(verdict: Result<impl Serialize, HookFailure>) -> Result<Value, HookFailure> {
    verdict.map(|verdict| serde_json::to_value(verdict).unwrap_or_default())
}
