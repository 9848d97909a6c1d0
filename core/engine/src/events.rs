//! The event hook: what happened is put into the outbox with what happened, and told to every binding from there.

use std::time::{Duration, SystemTime};

use lanyard_policy::{
    Decided, DeviceFacts, Event, EventSink, HookFailure, HookPoint, IssuedCommand, Occurrence,
    Opinion, Person,
};
use lanyard_push::schedule;
use lanyard_store::{DueEvent, Enrollment, NewEvent, Store, StoreError};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    Engine, Refusal,
    background::all_done,
    decision,
    enrollment::{person_of, settings_of},
    records::Asked,
    refusal::chain,
    stable_uuid::stable_uuid,
};

/// Events of one binding that one look at the outbox takes.
const BATCH: u64 = 100;
/// How long one binding is told events, before the others get their next ones.
const ROUND: Duration = Duration::from_secs(5);
/// How long one node is the one that tells a binding, from each event on: longer than a call takes.
const TELLER: Duration = Duration::from_secs(15);
/// Deliveries after which an event is given up, and kept for the operator to see.
const ATTEMPTS: i32 = 8;

impl Engine {
    /// The store, told to put this into the outbox with what it does next. With nobody bound, nothing is put there.
    pub(crate) fn noting(&self, occurrence: Occurrence, now: SystemTime) -> Result<Store, Refusal> {
        let bindings = self.hooks().event_listeners().map(str::to_owned).collect();
        self.noting_for(self.store(), bindings, occurrence, now)
    }

    /// The same for these bindings alone, beside what this store was told before.
    pub(crate) fn noting_for(
        &self,
        store: &Store,
        bindings: Vec<String>,
        occurrence: Occurrence,
        now: SystemTime,
    ) -> Result<Store, Refusal> {
        if bindings.is_empty() {
            return Ok(store.clone());
        }
        let decision = decision::new(now);
        let id = Uuid::try_parse(&decision.id).map_err(|error| Refusal::internal(&error))?;
        let event = Event {
            decision,
            occurrence,
        };
        let payload = serde_json::to_value(event).map_err(|error| Refusal::internal(&error))?;
        Ok(store.noting(NewEvent {
            id,
            bindings,
            payload,
        }))
    }

    /// What is known of an enrolled device and its person: from the device itself, and from the session that it was enrolled in.
    pub(crate) async fn known_of(
        &self,
        enrollment: &Enrollment,
    ) -> Result<(DeviceFacts, Person), Refusal> {
        let session = match enrollment.session_id {
            Some(id) => self.store().find_session(id).await?,
            None => None,
        };
        let mut device = device_of(enrollment);
        let mut person = Person {
            directory: enrollment.directory.clone(),
            id: enrollment.person_id.clone(),
            display_name: enrollment.person_name.clone(),
            attributes: Default::default(),
        };
        if let Some(session) = session {
            device.further = settings_of(&session)?;
            person.attributes = person_of(&session)?.attributes;
        }
        Ok((device, person))
    }

    /// Tells the events that are due, to each binding its own: one that is slow holds up itself.
    pub(crate) async fn deliver_events(&self) -> Result<(), StoreError> {
        let hooks = self.hooks();
        let is_bound = |binding: &String| {
            let mut bound = hooks.events.iter().map(|each| &each.name);
            bound.any(|name| name == binding)
                || hooks.event_shadows().any(|each| each.name == *binding)
        };
        let is_latest = hooks.revision == self.store().latest_policy_number().await?;
        let mut told = JoinSet::new();
        for binding in self.store().bindings_due(self.now()).await? {
            // Another node has a later policy, and tells whom this one does not know.
            if !is_bound(&binding) && !is_latest {
                continue;
            }
            let engine = self.clone();
            told.spawn(async move { engine.tell(&binding).await });
        }
        all_done("telling events", told).await
    }

    /// Tells one binding, in order. What is not told in a round's time is due in the next one.
    async fn tell(&self, binding: &str) -> Result<(), StoreError> {
        let work = format!("events of {binding}");
        let until = Instant::now() + ROUND;
        for due in self.store().due_events(binding, self.now(), BATCH).await? {
            // Two nodes would tell it the same, and out of order.
            if Instant::now() >= until || !self.holds(&work, TELLER).await? {
                break;
            }
            match self.deliver_event(&due).await {
                Ok(commands) => {
                    self.issue_all(&due, commands).await;
                    self.store().event_heard(&due).await?;
                    self.metrics().event("heard");
                }
                Err(failure) => {
                    let attempts = due.attempts.saturating_add(1);
                    let failures = u32::try_from(attempts).unwrap_or_default();
                    let again = (attempts < ATTEMPTS)
                        .then(|| self.now() + schedule::retry(failures, rand::random()));
                    let (event, binding) = (due.id, &due.binding);
                    tracing::warn!(%event, binding, code = failure.code(), gives_up = again.is_none(), "event not heard");
                    self.metrics().event(if again.is_some() {
                        "retried"
                    } else {
                        "given_up"
                    });
                    let error = chain(&failure);
                    self.store().event_not_heard(&due, again, &error).await?;
                }
            }
        }
        Ok(())
    }

    #[tracing::instrument(name = "tell event", level = "debug", skip_all, fields(otel.kind = "consumer", binding = due.binding))]
    async fn deliver_event(&self, due: &DueEvent) -> Result<Vec<IssuedCommand>, HookFailure> {
        let hooks = self.hooks();
        let mut event: Event = serde_json::from_value(due.payload.clone()).map_err(|error| {
            HookFailure::Unavailable {
                detail: format!("the event on record cannot be read: {error}"),
            }
        })?;
        let asking = |event: &Event| {
            let about = event.occurrence.enrollment().map(str::to_owned);
            Asked::new(
                &hooks,
                HookPoint::Event,
                &event.decision,
                event,
                about,
                self.now(),
            )
        };
        let Some(binding) = hooks.events.iter().find(|each| each.name == due.binding) else {
            let mut on_trial = hooks.event_shadows();
            if let Some(shadow) = on_trial.find(|each| each.name == due.binding) {
                // Nobody else's decision is beside it: the event stands for one.
                self.try_shadow(shadow, &asking(&event), Vec::new());
                return Ok(Vec::new());
            }
            let detail = format!("nothing is bound as {:?}", due.binding);
            return Err(HookFailure::Unavailable { detail });
        };
        event.decision.id = decision_of(due);
        let asked = asking(&event);
        let hook: &dyn EventSink = &*binding.hook;
        let commands = hook.handle(event).await?;
        let by = (HookPoint::Event, binding.name.as_str());
        let checked = hooks.ceilings.check_fan_out(by, commands.len());
        checked.map_err(|reached| HookFailure::InvalidAnswer {
            detail: format!("it wants {} commands: {reached}", commands.len()),
        })?;
        if !commands.is_empty() {
            let answer = Ok(Decided {
                verdict: commands.clone(),
                opinions: vec![Opinion {
                    binding: binding.name.clone(),
                    verdict: commands.clone(),
                }],
                passed_over: Vec::new(),
            });
            let kept = self.keep_record(self.record(asked, &answer)).await;
            kept.map_err(|error| HookFailure::Unavailable {
                detail: format!("the decision cannot be recorded: {}", chain(&error)),
            })?;
        }
        Ok(commands)
    }

    /// Each command is checked as an operator's is; one that cannot be sent does not keep the others from being.
    async fn issue_all(&self, due: &DueEvent, commands: Vec<IssuedCommand>) {
        for IssuedCommand {
            enrollment,
            request,
        } in commands
        {
            let (event, binding) = (due.id, &due.binding);
            if let Err(error) = self
                .issue_command(
                    &enrollment,
                    (HookPoint::Event, binding),
                    &decision_of(due),
                    None,
                    &request,
                )
                .await
            {
                tracing::warn!(%event, binding, enrollment, error = chain(&error), "an event's command cannot be sent");
            }
        }
    }
}

/// Each binding that hears of an event decides for itself, and when it hears of it again, it decides the same.
fn decision_of(due: &DueEvent) -> String {
    stable_uuid(format!("{}\0{}", due.id, due.binding).as_bytes()).to_string()
}

/// What is known of an enrolled device from itself.
fn device_of(enrollment: &Enrollment) -> DeviceFacts {
    let facts = enrollment.facts.clone();
    DeviceFacts {
        udid: enrollment.device_id.clone(),
        serial: facts.serial,
        product: facts.product,
        os_version: facts.os_version,
        build: facts.build_version,
        imei: facts.imei,
        meid: facts.meid,
        further: Default::default(),
    }
}
