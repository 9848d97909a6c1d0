//! event: what happened, told until it is heard, and what comes of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lanyard_engine::Hooks;
use lanyard_mdm::connect::Status;
use lanyard_policy::{
    Binding, CommandRequest, Event, EventSink, HookFailure, IssuedCommand, Occurrence, Purpose,
    Reason,
};

use super::workshop::{USER, Workshop};

/// Hears of nothing at first, and asks for SecurityInfo once a device is enrolled.
#[derive(Default)]
struct Sink {
    told: Mutex<Vec<Event>>,
}

#[async_trait]
impl EventSink for Sink {
    async fn handle(&self, event: Event) -> Result<Vec<IssuedCommand>, HookFailure> {
        let mut told = self.told.lock().unwrap();
        told.push(event.clone());
        if told.len() == 1 {
            return Err(HookFailure::OutOfFuel { limit: 1 });
        }
        let Occurrence::Enrolled { enrollment, .. } = event.occurrence else {
            return Ok(Vec::new());
        };
        let command =
            "<plist><dict><key>RequestType</key><string>SecurityInfo</string></dict></plist>";
        Ok(vec![IssuedCommand {
            enrollment,
            request: CommandRequest {
                dedupe_key: "after enrollment".to_owned(),
                request_type: "SecurityInfo".to_owned(),
                command_plist: command.to_owned(),
                reason: Reason::new("new", "A device is new."),
            },
        }])
    }
}

/// Never comes to an end with what it is told.
struct Stuck;

#[async_trait]
impl EventSink for Stuck {
    async fn handle(&self, _: Event) -> Result<Vec<IssuedCommand>, HookFailure> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_binding_that_is_slow_holds_up_no_other() {
    let sink = Arc::new(Sink::default());
    let quick: Arc<dyn EventSink> = Arc::clone(&sink) as _;
    let stuck: Arc<dyn EventSink> = Arc::new(Stuck);
    let hooks = Hooks {
        events: vec![Binding::new("stuck", stuck), Binding::new("quick", quick)],
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    let device = workshop.enroll().await;
    let engine = workshop.engine.clone();
    let work = tokio::spawn(async move { engine.work_until(std::future::pending()).await });
    // Two certificates and the enrollment.
    while sink.told.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What the quick one wants is queued once it has said so.
    while device.idle().await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    work.abort();
}

#[tokio::test]
async fn what_happens_is_told_until_it_is_heard_and_may_lead_to_commands() {
    let sink = Arc::new(Sink::default());
    let hook: Arc<dyn EventSink> = Arc::clone(&sink) as _;
    let hooks = Hooks {
        events: vec![Binding::new("audit", hook)],
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    let device = workshop.enroll().await;

    let (engine, (done, stop)) = (
        workshop.engine.clone(),
        tokio::sync::oneshot::channel::<()>(),
    );
    let work = tokio::spawn(async move {
        let stop = async {
            let _ = stop.await;
        };
        engine.work_until(stop).await;
    });
    // The first telling fails and comes again after seconds; the command comes of another event, and at once.
    let command = loop {
        match device.idle().await {
            Some(command) => break command,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(command.request_type(), "SecurityInfo");
    device.answer(&command, Status::Acknowledged).await;
    let finished = |event: &Event| matches!(event.occurrence, Occurrence::CommandFinished { .. });
    loop {
        let told = sink.told.lock().unwrap().clone();
        let again = told.iter().filter(|event| **event == told[0]).count();
        if told.iter().any(finished) && again == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(done);
    work.await.unwrap();

    let mut told = sink.told.lock().unwrap().clone();
    let first = told.remove(0);
    assert_eq!(
        told.iter().filter(|event| **event == first).count(),
        1,
        "it comes again as it was"
    );
    let certificates = told.iter().filter_map(|event| match &event.occurrence {
        Occurrence::CertificateIssued {
            purpose,
            person,
            udid,
            ..
        } => {
            assert_eq!(person.as_ref().unwrap().id, USER);
            assert_eq!(udid.as_deref(), Some(device.udid()));
            Some(*purpose)
        }
        _ => None,
    });
    let mut certificates: Vec<_> = certificates.collect();
    certificates.sort_by_key(|purpose| purpose.as_str());
    assert_eq!(certificates, [Purpose::Identity, Purpose::OtaInterim]);
    let result = told.iter().find_map(|event| match &event.occurrence {
        Occurrence::CommandFinished { result, .. } => Some(result.uuid.clone()),
        _ => None,
    });
    assert_eq!(result.as_deref(), Some(command.uuid()));
}
