//! lookup: a person who may not act any more gets no further, and it is told once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use lanyard_engine::{Clock, Hooks, RefusalKind};
use lanyard_policy::{
    Allowance, Binding, Directory, EnrollmentApproval, EnrollmentChain, EnrollmentQuestion,
    EnrollmentVerdict, Event, EventSink, HookFailure, IssuedCommand, Lookup, Occurrence, Person,
    RaApproval, RaChain, RaQuestion, RaVerdict, Reason, ResumeSignIn, SignIn, Standing, Step,
};
use lanyard_scep::client::Answer;
use tokio::sync::Notify;

use super::{
    script::{Script, known, out_of_reach},
    workshop::{USER, Workshop, key, request},
};

type Directories = Script<Lookup, Standing>;
type Sink = Script<Event, Vec<IssuedCommand>>;

fn active() -> Result<Standing, HookFailure> {
    Ok(Standing::Active(known(USER.to_owned())))
}

fn disabled() -> Result<Standing, HookFailure> {
    Ok(Standing::Disabled(Reason::new("left", "Has left.")))
}

/// An engine with a directory, somebody who hears of events, and a clock that goes as far ahead as it is told, in seconds.
struct Stage {
    workshop: Workshop,
    directory: Arc<Directories>,
    sink: Arc<Sink>,
    ahead: Arc<AtomicU64>,
}

impl Stage {
    async fn open(hooks: Hooks) -> Stage {
        let directory = Arc::new(Directories::new(active()));
        let sink = Arc::new(Sink::new(Ok(Vec::new())));
        let (hook, bound): (Arc<dyn EventSink>, Arc<dyn Directory>) =
            (Arc::clone(&sink) as _, Arc::clone(&directory) as _);
        let hooks = Hooks {
            events: vec![Binding::new("audit", hook)],
            ..hooks
        };
        let ahead = Arc::new(AtomicU64::new(0));
        let seconds = Arc::clone(&ahead);
        let clock = Clock::new(move || {
            SystemTime::now() + Duration::from_secs(seconds.load(Ordering::Relaxed))
        });
        let directories = vec![Binding::new("scripted", bound)];
        Stage {
            workshop: Workshop::open_at(hooks, directories, clock).await,
            directory,
            sink,
            ahead,
        }
    }

    /// A day later, everybody's turn has come.
    async fn next_day(&self) {
        self.ahead.fetch_add(25 * 3600, Ordering::Relaxed);
        self.workshop.engine.look_up_persons().await.unwrap();
    }

    /// What was put into the outbox about disabled persons: their enrollments.
    async fn told(&self) -> Vec<Vec<String>> {
        let now = SystemTime::now() + Duration::from_secs(10 * 365 * 86_400);
        let due = self
            .workshop
            .store
            .due_events("audit", now, 100)
            .await
            .unwrap();
        let occurrences = due.into_iter().map(|due| {
            let event: Event = serde_json::from_value(due.payload).unwrap();
            event.occurrence
        });
        occurrences
            .filter_map(|occurrence| match occurrence {
                Occurrence::PersonDisabled {
                    enrollments,
                    person,
                } => {
                    assert_eq!(
                        (person.directory.as_str(), person.id.as_str()),
                        ("scripted", USER)
                    );
                    Some(enrollments)
                }
                _ => None,
            })
            .collect()
    }
}

#[tokio::test]
async fn whoever_is_disabled_gets_no_further_and_who_cannot_be_looked_up_may_try_again() {
    for (standing, kind) in [
        (disabled(), RefusalKind::Forbidden),
        (Ok(Standing::Unknown), RefusalKind::Forbidden),
        (Ok(Standing::Unavailable), RefusalKind::Unavailable),
        (out_of_reach(), RefusalKind::Unavailable),
    ] {
        let stage = Stage::open(Hooks::default()).await;
        let newcomer = stage.workshop.newcomer().await;
        stage.directory.say(standing);
        let refused = stage
            .workshop
            .identify(&newcomer.message)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        stage.directory.say(active());
        let again = stage.workshop.identify(&newcomer.message).await;
        assert_eq!(again.is_ok(), kind == RefusalKind::Unavailable, "{again:?}");
        assert!(stage.told().await.is_empty(), "there is no device yet");
    }
}

#[tokio::test]
async fn no_identity_is_issued_to_whoever_is_disabled() {
    for (standing, pending) in [(disabled(), false), (out_of_reach(), true)] {
        let stage = Stage::open(Hooks::default()).await;
        let workshop = &stage.workshop;
        let (device, profile) = workshop.delivered().await;
        stage.directory.say(standing);
        let (authorities, key) = (workshop.authorities(), key());
        let answer = workshop
            .ask(&request(&authorities, &key, &profile.scep))
            .await;
        match answer {
            Answer::Pending => assert!(pending),
            Answer::Failed { .. } => assert!(!pending),
            other => panic!("{}: {other:?}", device.udid()),
        }
    }
}

#[tokio::test]
async fn a_person_who_is_disabled_is_told_once_each_time() {
    let stage = Stage::open(Hooks::default()).await;
    let device = stage.workshop.enroll().await;
    let udids = vec![device.udid().to_owned()];
    stage.next_day().await;
    assert!(stage.told().await.is_empty());
    let asked = stage.directory.asked().len();
    stage.workshop.engine.look_up_persons().await.unwrap();
    assert_eq!(
        stage.directory.asked().len(),
        asked,
        "not again on the same day"
    );

    for unclear in [Ok(Standing::Unavailable), out_of_reach()] {
        stage.directory.say(unclear);
        stage.next_day().await;
        assert!(stage.told().await.is_empty());
    }
    for standing in [disabled(), Ok(Standing::Unknown), disabled()] {
        stage.directory.say(standing);
        stage.next_day().await;
        assert_eq!(stage.told().await, vec![udids.clone()]);
    }
    stage.directory.say(active());
    stage.next_day().await;
    assert_eq!(stage.told().await.len(), 1);
    stage.directory.say(disabled());
    stage.next_day().await;
    assert_eq!(stage.told().await.len(), 2);
    assert!(stage.sink.asked().is_empty(), "nobody delivers here");
}

#[tokio::test]
async fn the_terms_of_an_enrollment_are_facts_of_later_questions() {
    let terms = Allowance::default().setting("tier", "high");
    let approval = Arc::new(Script::<EnrollmentQuestion, EnrollmentVerdict>::new(Ok(
        EnrollmentVerdict::Allow(terms),
    )));
    let ra = Arc::new(Script::<RaQuestion, RaVerdict>::new(Ok(
        RaVerdict::Approve(Default::default()),
    )));
    let (approval, asked): (Arc<dyn EnrollmentApproval>, Arc<dyn RaApproval>) =
        (approval, Arc::clone(&ra) as _);
    let hooks = Hooks {
        enrollment: EnrollmentChain::new(vec![Binding::new("terms", approval)]),
        ra: RaChain::new(vec![Binding::new("ra", asked)]),
        ..Hooks::default()
    };
    let stage = Stage::open(hooks).await;
    stage.workshop.enroll().await;
    let high = [("setting.tier".to_owned(), "high".into())];
    for question in ra.asked() {
        assert_eq!(question.device.unwrap().further, high.clone().into());
    }
    let now = SystemTime::now() + Duration::from_secs(60);
    let due = stage
        .workshop
        .store
        .due_events("audit", now, 100)
        .await
        .unwrap();
    let enrolled = due.into_iter().find_map(|due| {
        let event: Event = serde_json::from_value(due.payload).unwrap();
        match event.occurrence {
            Occurrence::Enrolled { device, person, .. } => Some((device, person.unwrap())),
            _ => None,
        }
    });
    let (device, person) = enrolled.unwrap();
    assert_eq!(device.further, high.into());
    assert_eq!(person.attributes["groups"], ["staff"]);
}

/// A directory that has everybody while it is open, and that may stop answering.
struct Annex {
    name: &'static str,
    open: AtomicBool,
    silent: AtomicBool,
    asked: Notify,
}

impl Annex {
    fn new(name: &'static str) -> Arc<Annex> {
        Arc::new(Annex {
            name,
            open: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            asked: Notify::new(),
        })
    }

    fn person(&self, id: String) -> Person {
        Person {
            directory: self.name.to_owned(),
            ..known(id)
        }
    }
}

#[async_trait]
impl Directory for Annex {
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure> {
        if self.open.load(Ordering::Relaxed) {
            Ok(Step::Authenticated(self.person(sign_in.user_name)))
        } else {
            Ok(Step::Abstain)
        }
    }

    async fn resume(&self, _: ResumeSignIn) -> Result<Step, HookFailure> {
        out_of_reach()
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure> {
        self.asked.notify_waiters();
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(Standing::Active(self.person(lookup.person.id)))
    }
}

#[tokio::test]
async fn a_directory_that_does_not_answer_does_not_hold_up_the_others() {
    let annexes = ["a-silent", "b-answering"].map(Annex::new);
    let bound = annexes.each_ref().map(|annex| {
        let hook: Arc<dyn Directory> = Arc::clone(annex) as _;
        Binding::new(annex.name, hook)
    });
    let ahead = Arc::new(AtomicU64::new(0));
    let seconds = Arc::clone(&ahead);
    let clock = Clock::new(move || {
        SystemTime::now() + Duration::from_secs(seconds.load(Ordering::Relaxed))
    });
    let workshop = Workshop::open_at(Hooks::default(), bound.into(), clock).await;
    for annex in &annexes {
        annex.open.store(true, Ordering::Relaxed);
        workshop.enroll().await;
        annex.open.store(false, Ordering::Relaxed);
    }
    let [silent, answering] = annexes;
    silent.silent.store(true, Ordering::Relaxed);
    ahead.fetch_add(25 * 3600, Ordering::Relaxed);
    tokio::select! {
        biased;
        () = answering.asked.notified() => {}
        _ = workshop.engine.look_up_persons() => panic!("it ended with a question open"),
    }
}
