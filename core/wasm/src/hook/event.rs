//! A component that answers for the hook point *event*.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lanyard_policy::{
    DeviceFacts, Event, EventSink, HookFailure, IssuedCommand, Occurrence, Person, PersonRef,
};

use super::EventHook;
use crate::bindings::event::exports::lanyard::policy::event as wit;
use crate::bindings::types;
use crate::call::Callable;
use crate::contract::{self, NAME_BYTES, counted, fact, line};

/// Commands that one event may lead to.
const COMMANDS: usize = 1_000;

/// A plugin bound as an event sink. A call must be made within a Tokio runtime.
pub struct WasmEventSink {
    callable: Callable<EventHook>,
}

impl WasmEventSink {
    pub(crate) fn new(callable: Callable<EventHook>) -> Self {
        Self { callable }
    }
}

#[async_trait]
impl EventSink for WasmEventSink {
    async fn handle(&self, event: Event) -> Result<Vec<IssuedCommand>, HookFailure> {
        let decision = event.decision.clone();
        let happening = happening(event);
        let issued = self
            .callable
            .call(&decision, async |store, plugin| {
                let hook = plugin.lanyard_policy_event();
                hook.call_handle(store, &happening).await
            })
            .await?;
        counted("issued commands", &issued, 0..=COMMANDS)?;
        issued
            .into_iter()
            .map(|issued| {
                Ok(IssuedCommand {
                    enrollment: line(
                        "issued command's enrollment",
                        issued.enrollment,
                        1,
                        NAME_BYTES,
                    )?,
                    request: contract::command_request(issued.command)?,
                })
            })
            .collect()
    }
}

fn happening(event: Event) -> wit::Happening {
    let nothing = |kind: &str| wit::Happening {
        decision: contract::decision(&event.decision),
        kind: kind.to_owned(),
        enrollment: None,
        person: None,
        device: None,
        command: None,
        facts: Vec::new(),
    };
    match event.occurrence {
        Occurrence::Enrolled {
            enrollment,
            person,
            device,
        } => wit::Happening {
            enrollment: Some(enrollment),
            person: person.map(contract::known_person),
            device: Some(contract::device(device)),
            ..nothing("enrolled")
        },
        Occurrence::CheckedOut { enrollment } => wit::Happening {
            enrollment: Some(enrollment),
            ..nothing("checked-out")
        },
        Occurrence::CommandFinished {
            enrollment,
            result,
            device,
        } => wit::Happening {
            enrollment: Some(enrollment),
            device: device.map(contract::device),
            command: Some(contract::command_result(result)),
            ..nothing("command-finished")
        },
        Occurrence::CertificateIssued {
            serial,
            purpose,
            person,
            udid,
        } => wit::Happening {
            person: person.map(by_reference),
            device: udid.map(|udid| {
                contract::device(DeviceFacts {
                    udid,
                    ..DeviceFacts::default()
                })
            }),
            facts: vec![fact("serial", serial), fact("purpose", purpose.as_str())],
            ..nothing("certificate-issued")
        },
        Occurrence::PersonDisabled {
            person,
            enrollments,
        } => wit::Happening {
            person: Some(by_reference(person)),
            facts: vec![types::Fact {
                name: "enrollments".to_owned(),
                value: types::Value::Texts(enrollments),
            }],
            ..nothing("person-disabled")
        },
        Occurrence::Tick { schedule } => wit::Happening {
            facts: vec![fact("schedule", schedule)],
            ..nothing("tick")
        },
    }
}

fn by_reference(person: PersonRef) -> types::KnownPerson {
    contract::known_person(Person {
        directory: person.directory,
        id: person.id,
        display_name: String::new(),
        attributes: BTreeMap::new(),
    })
}
