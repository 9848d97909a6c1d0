//! command-selection: which command next?

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use lanyard_engine::{Ceilings, Engine, Hooks};
use lanyard_mdm::connect::Status;
use lanyard_policy::{
    Binding, Called, Ceiling, CommandRequest, CommandSelection, HookFailure, HookPoint, Reason,
    ResultStatus, SelectionChain, SelectionQuestion, SelectionVerdict,
};
use lanyard_store::{CommandState, DecisionFilter, NextPush, PushOutcome};
use plist::{Dictionary, Value};

use super::{
    script::{Script, out_of_reach},
    workshop::{Managed, USER, Workshop},
};

type Verdict = Result<SelectionVerdict, HookFailure>;
type Selection = Script<SelectionQuestion, SelectionVerdict>;

async fn workshop(answers: &[Verdict]) -> (Workshop, Vec<Arc<Selection>>) {
    let scripts = answers.iter().cloned().map(Script::new).map(Arc::new);
    let scripts: Vec<_> = scripts.collect();
    let bindings = scripts.iter().enumerate().map(|(number, script)| {
        let hook: Arc<dyn CommandSelection> = Arc::clone(script) as _;
        Binding::new(format!("selection-{number}"), hook)
    });
    let hooks = Hooks {
        selection: SelectionChain::new(bindings.collect()),
        ..Hooks::default()
    };
    (Workshop::open(hooks, Vec::new()).await, scripts)
}

/// Queues a command as an operator does; its UUID.
async fn queue(workshop: &Workshop, device: &Managed<'_>, request_type: &str) -> String {
    let request = [("RequestType".to_owned(), Value::from(request_type))];
    let request = Dictionary::from_iter(request);
    let uuid = workshop
        .engine
        .send_command(device.udid(), &request, false)
        .await;
    uuid.unwrap().uuid.to_string()
}

fn wait(seconds: u32) -> Verdict {
    Ok(SelectionVerdict::Wait { seconds })
}

/// A wish for this command, announced as `announced`.
fn issue(announced: &str, request_type: &str) -> Verdict {
    let key = "<key>RequestType</key>";
    let command = format!("<plist><dict>{key}<string>{request_type}</string></dict></plist>");
    Ok(SelectionVerdict::Issue(CommandRequest {
        dedupe_key: "once".to_owned(),
        request_type: announced.to_owned(),
        command_plist: command,
        reason: Reason::new("told-to", "Told to."),
    }))
}

#[tokio::test]
async fn the_question_shows_the_queue_the_person_and_the_last_result() {
    let (workshop, scripts) = workshop(&[Ok(SelectionVerdict::Abstain)]).await;
    let device = workshop.enroll().await;
    let first = queue(&workshop, &device, "ProfileList").await;
    let second = queue(&workshop, &device, "SecurityInfo").await;
    let command = device.idle().await.unwrap();
    assert_eq!(command.uuid(), first);
    device.answer(&command, Status::Acknowledged).await;
    let questions = scripts[0].asked();
    let uuids = |question: &SelectionQuestion| -> Vec<String> {
        question
            .queue
            .iter()
            .map(|each| each.uuid.clone())
            .collect()
    };
    assert_eq!(uuids(&questions[0]), [first.clone(), second.clone()]);
    assert_eq!(questions[0].queue_length, 2);
    assert_eq!(questions[0].last_result, None);
    assert_eq!(questions[0].enrollment, device.udid());
    assert_eq!(questions[0].person.as_ref().unwrap().id, USER);
    assert_eq!(uuids(&questions[1]), [second]);
    let result = questions[1].last_result.as_ref().unwrap();
    assert_eq!(
        (&result.uuid, result.status),
        (&first, ResultStatus::Acknowledged)
    );
}

#[tokio::test]
async fn what_is_queued_comes_in_the_chosen_order() {
    let (workshop, scripts) = workshop(&[Ok(SelectionVerdict::Abstain)]).await;
    let device = workshop.enroll().await;
    let first = queue(&workshop, &device, "ProfileList").await;
    let second = queue(&workshop, &device, "SecurityInfo").await;
    scripts[0].say(Ok(SelectionVerdict::Deliver(second.clone())));
    let command = device.idle().await.unwrap();
    assert_eq!(command.uuid(), second);
    // What it chose is done: its choice is none any more, and queue order goes on.
    let command = device.answer(&command, Status::Acknowledged).await.unwrap();
    assert_eq!(command.uuid(), first);
}

#[tokio::test]
async fn queue_order_goes_on_without_a_usable_choice() {
    let unknown = SelectionVerdict::Deliver("no-such-command".to_owned());
    for answer in [
        Ok(SelectionVerdict::Abstain),
        out_of_reach(),
        Ok(unknown),
        // Announced as another one, without its payload, without a name, destructive, and unknown.
        issue("ProfileList", "EraseDevice"),
        issue("InstallProfile", "InstallProfile"),
        issue("", ""),
        issue("EraseDevice", "EraseDevice"),
        issue("NewInNextRelease", "NewInNextRelease"),
    ] {
        let (workshop, _) = workshop(std::slice::from_ref(&answer)).await;
        let device = workshop.enroll().await;
        assert_eq!(device.idle().await, None, "{answer:?}: nothing is issued");
        let first = queue(&workshop, &device, "ProfileList").await;
        let second = queue(&workshop, &device, "SecurityInfo").await;
        let command = device.idle().await.unwrap();
        assert_eq!(command.uuid(), first, "{answer:?}");
        let command = device.answer(&command, Status::Acknowledged).await.unwrap();
        assert_eq!(command.uuid(), second, "{answer:?}");
        assert_eq!(device.answer(&command, Status::Acknowledged).await, None);
        let all = workshop.engine.commands(device.udid(), 10).await.unwrap();
        assert_eq!(
            all.len(),
            2,
            "{answer:?}: nothing is queued by a hook that may not"
        );
    }
}

#[tokio::test]
async fn a_wish_is_issued_once_and_goes_before_the_queue() {
    let (workshop, scripts) = workshop(&[issue("ProfileList", "ProfileList")]).await;
    let device = workshop.enroll().await;
    let queued = queue(&workshop, &device, "ProfileList").await;
    let wish = device.idle().await.unwrap();
    assert_eq!(wish.request_type(), "ProfileList");
    let command = device.answer(&wish, Status::Acknowledged).await.unwrap();
    assert_eq!(command.uuid(), queued, "the same wish is the same command");
    assert_eq!(device.answer(&command, Status::Acknowledged).await, None);
    let issued = workshop
        .engine
        .command(wish.uuid())
        .await
        .unwrap()
        .remove(0);
    assert_eq!(issued.summary.origin, "selection-0");
    assert_eq!(scripts[0].asked().len(), 3);
}

/// Wants something new each time that it is asked.
#[derive(Default)]
struct Storm(AtomicU32);

#[async_trait]
impl CommandSelection for Storm {
    async fn select(&self, _: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let SelectionVerdict::Issue(wish) = issue("ProfileList", "ProfileList")? else {
            unreachable!("a wish");
        };
        let dedupe_key = format!("wish {number}");
        Ok(SelectionVerdict::Issue(CommandRequest {
            dedupe_key,
            ..wish
        }))
    }
}

#[tokio::test]
async fn new_wishes_end_with_the_connections_ceiling() {
    let storm: Arc<dyn CommandSelection> = Arc::new(Storm::default());
    let ceiling = Ceiling {
        allow: ["ProfileList".to_owned()].into(),
        per_connection: 3,
        ..Ceiling::default()
    };
    let by = (HookPoint::CommandSelection, "storm".to_owned());
    let hooks = Hooks {
        selection: SelectionChain::new(vec![Binding::new("storm", storm)]),
        ceilings: Ceilings::new([(by, ceiling)]),
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    let device = workshop.enroll().await;
    let queued = queue(&workshop, &device, "ProfileList").await;
    let mut command = device.idle().await;
    let mut delivered = Vec::new();
    while let Some(next) = command {
        delivered.push(next.uuid().to_owned());
        command = device.answer(&next, Status::Acknowledged).await;
    }
    assert_eq!(
        delivered.len(),
        4,
        "three wishes, and what an operator queued"
    );
    assert_eq!(delivered.last(), Some(&queued));
}

/// Chooses a command that is gone by the time that it is sent; then wants the device to wait.
#[derive(Default)]
struct Late {
    engine: OnceLock<Engine>,
    asked: AtomicU32,
}

#[async_trait]
impl CommandSelection for Late {
    async fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        if self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return wait(3600);
        }
        let first = question.queue[0].uuid.clone();
        let engine = self.engine.get().unwrap();
        engine.cancel_command(&first).await.unwrap();
        Ok(SelectionVerdict::Deliver(first))
    }
}

#[tokio::test]
async fn a_choice_that_is_gone_is_made_again_and_not_passed_over() {
    let late = Arc::new(Late::default());
    let hook: Arc<dyn CommandSelection> = Arc::clone(&late) as _;
    let hooks = Hooks {
        selection: SelectionChain::new(vec![Binding::new("late", hook)]),
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    assert!(late.engine.set(workshop.engine.clone()).is_ok());
    let device = workshop.enroll().await;
    queue(&workshop, &device, "ProfileList").await;
    queue(&workshop, &device, "SecurityInfo").await;
    assert_eq!(device.idle().await, None, "the second is held back");
    assert_eq!(late.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn waiting_delivers_nothing_and_wakes_the_device_later() {
    let (workshop, scripts) = workshop(&[wait(3600)]).await;
    let device = workshop.enroll().await;
    let waiting = queue(&workshop, &device, "ProfileList").await;
    let now = SystemTime::now();
    let taken = workshop.store.take_pushes(now, now, now, 10).await.unwrap();
    let done = taken.into_iter().map(|push| PushOutcome {
        enrollment_id: push.enrollment_id,
        generation: push.generation,
        result: Some("accepted".to_owned()),
        next: NextPush::Nothing,
    });
    let done: Vec<_> = done.collect();
    workshop.store.record_pushes(&done, now).await.unwrap();
    assert_eq!(device.idle().await, None);
    let due = workshop.store.push_due(device.udid()).await.unwrap();
    let after = due.unwrap().duration_since(now).unwrap().as_secs();
    assert!((3500..3700).contains(&after), "{after} s");
    scripts[0].say(Ok(SelectionVerdict::Abstain));
    assert_eq!(device.idle().await.unwrap().uuid(), waiting);
}

#[tokio::test]
async fn nothing_stands_between_an_operator_and_a_lock() {
    for answer in [
        wait(3600),
        out_of_reach(),
        issue("SecurityInfo", "SecurityInfo"),
    ] {
        let (workshop, scripts) = workshop(&[answer]).await;
        let device = workshop.enroll().await;
        queue(&workshop, &device, "ProfileList").await;
        let lock = queue(&workshop, &device, "DeviceLock").await;
        let command = device.idle().await.unwrap();
        assert_eq!(command.uuid(), lock);
        assert!(scripts[0].asked().is_empty(), "nobody is asked about it");
        device.answer(&command, Status::Acknowledged).await;
        assert_eq!(scripts[0].asked().len(), 1);
        let answered = workshop.store.find_command(device.udid(), &lock).await;
        assert_eq!(
            answered.unwrap().unwrap().summary.state,
            CommandState::Acknowledged
        );
    }
}

#[tokio::test]
async fn the_first_selection_that_does_not_abstain_decides() {
    for (answers, delivers, second_asked) in [
        ([wait(60), Ok(SelectionVerdict::Abstain)], false, false),
        ([Ok(SelectionVerdict::Abstain), wait(60)], false, true),
        ([out_of_reach(), wait(60)], true, false),
    ] {
        let (workshop, scripts) = workshop(&answers).await;
        let device = workshop.enroll().await;
        queue(&workshop, &device, "ProfileList").await;
        assert_eq!(device.idle().await.is_some(), delivers, "{answers:?}");
        assert_eq!(!scripts[1].asked().is_empty(), second_asked, "{answers:?}");
    }
}

/// As a plugin that was called and failed.
struct Failing;

#[async_trait]
impl CommandSelection for Failing {
    async fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        question.decision.meter.note(Called::default());
        out_of_reach()
    }
}

#[tokio::test]
async fn a_device_cannot_fill_the_disk_with_selections_that_change_nothing() {
    let failing: Arc<dyn CommandSelection> = Arc::new(Failing);
    let hooks = Hooks {
        selection: SelectionChain::new(vec![Binding::new("failing", failing)]),
        ..Hooks::default()
    };
    let workshop = Workshop::open(hooks, Vec::new()).await;
    let device = workshop.enroll().await;
    // 500 an hour: one comes back in seven seconds.
    for _ in 0..600 {
        assert_eq!(device.idle().await, None);
    }
    let filter = DecisionFilter {
        hook: Some(HookPoint::CommandSelection.as_str()),
        ..DecisionFilter::default()
    };
    let kept = workshop.engine.decisions(filter, 1_000).await.unwrap();
    assert!((500..600).contains(&kept.len()), "{}", kept.len());
}
