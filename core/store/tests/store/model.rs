//! The queue beside a model of it: whatever operators, a device, a network and crashes do, in whatever order, both say the same.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use lanyard_store::{
    CancelOutcome, CommandState, CommandStatus, EnqueueOutcome, SentNote, Settled, Store,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::database::{TestDatabase, answer, at, command, enroll, new_database};

const LONGEST_CASE: usize = 24;

/// Cases, by what a database takes for them.
const ON_SQLITE: u32 = 200;
const ON_POSTGRES: u32 = 80;

/// One thing that happens. `cut` says how often what is asked of the store is polled before the node dies under it.
#[derive(Debug, Clone)]
enum Step {
    Enqueue {
        cut: Option<u8>,
    },
    EnqueueAgain(Index),
    Cancel {
        which: Index,
        cut: Option<u8>,
    },
    /// The device says Idle.
    Ask {
        lost: bool,
    },
    /// The device answers what it has, or repeats an answer of which it has not heard that it was taken.
    Answer {
        status: CommandStatus,
        cut: Option<u8>,
        lost: bool,
    },
    /// That commands were sent is noted a moment later.
    Note,
    /// The node dies between two requests, with its notes.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = prop_oneof![
        4 => Just(CommandStatus::Acknowledged),
        1 => Just(CommandStatus::Error),
        1 => Just(CommandStatus::CommandFormatError),
        3 => Just(CommandStatus::NotNow),
    ];
    let cut = || prop::option::weighted(0.1, 0..4_u8);
    let lost = || prop::bool::weighted(0.2);
    let which = any::<Index>;
    let step = prop_oneof![
        5 => cut().prop_map(|cut| Step::Enqueue { cut }),
        1 => which().prop_map(Step::EnqueueAgain),
        2 => (which(), cut()).prop_map(|(which, cut)| Step::Cancel { which, cut }),
        4 => lost().prop_map(|lost| Step::Ask { lost }),
        7 => (status, cut(), lost()).prop_map(|(status, cut, lost)| Step::Answer { status, cut, lost }),
        2 => Just(Step::Note),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..LONGEST_CASE)
}

/// What the queue should hold, in its order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model(Vec<Entry>);

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    uuid: String,
    state: CommandState,
    not_now: i32,
}

impl Model {
    fn entry(&mut self, uuid: &str) -> &mut Entry {
        let mut entries = self.0.iter_mut();
        entries.find(|entry| entry.uuid == uuid).unwrap()
    }

    fn enqueue(&mut self, uuid: &str) {
        self.0.push(Entry {
            uuid: uuid.to_owned(),
            state: CommandState::Queued,
            not_now: 0,
        });
    }

    fn next(&self, skip_not_now: bool) -> Option<String> {
        let offered = |entry: &&Entry| match entry.state {
            CommandState::Queued | CommandState::Sent => true,
            CommandState::NotNow => !skip_not_now,
            _ => false,
        };
        self.0.iter().find(offered).map(|entry| entry.uuid.clone())
    }

    fn cancel(&mut self, uuid: &str) -> CancelOutcome {
        let entry = self.entry(uuid);
        match entry.state {
            CommandState::Queued | CommandState::NotNow => {
                entry.state = CommandState::Cancelled;
                CancelOutcome::Cancelled
            }
            CommandState::Cancelled => CancelOutcome::AlreadyCancelled,
            state => CancelOutcome::AlreadyDelivered { state },
        }
    }

    fn settle(&mut self, uuid: &str, status: CommandStatus) -> Settled {
        use CommandState::{Acknowledged, Cancelled, Error, FormatError, NotNow, Queued, Sent};
        let entry = self.entry(uuid);
        match (entry.state, status) {
            (Queued | Sent | NotNow, CommandStatus::NotNow) => {
                entry.state = NotNow;
                entry.not_now += 1;
            }
            (Queued | Sent | NotNow | Cancelled, CommandStatus::Acknowledged) => {
                entry.state = Acknowledged;
            }
            (Queued | Sent | NotNow | Cancelled, CommandStatus::Error) => entry.state = Error,
            (Queued | Sent | NotNow | Cancelled, CommandStatus::CommandFormatError) => {
                entry.state = FormatError;
            }
            _ => return Settled::Duplicate,
        }
        Settled::Recorded
    }

    fn note_sent(&mut self, uuid: &str) {
        let entry = self.entry(uuid);
        if entry.state == CommandState::Queued {
            entry.state = CommandState::Sent;
        }
    }
}

/// A queue, its model, and the device that it is for.
struct Case<'a> {
    database: &'a TestDatabase,
    store: Store,
    udid: String,
    model: Model,
    /// What the device was sent last, and has not answered.
    has: Option<String>,
    /// An answer of which the device has not heard that it was taken.
    unsent: Option<(String, CommandStatus)>,
    /// What is yet to be noted as sent.
    notes: Vec<SentNote>,
    clock: u64,
}

impl<'a> Case<'a> {
    async fn open(database: &'a TestDatabase, number: u32) -> Self {
        let udid = format!("00008110-{number:016X}");
        enroll(database, &udid, number).await;
        Case {
            store: connect(database).await,
            database,
            udid,
            model: Model::default(),
            has: None,
            unsent: None,
            notes: Vec::new(),
            clock: 10,
        }
    }

    async fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.clock += 1;
        let now = at(self.clock);
        let (store, udid) = (self.store.clone(), self.udid.clone());
        match step {
            Step::Enqueue { cut } => {
                let uuid = format!("command-{}", self.model.0.len());
                let before = self.model.clone();
                self.model.enqueue(&uuid);
                let queued = store.enqueue(command(&udid, &uuid), now);
                match until_cut(queued, cut).await {
                    Some(outcome) => {
                        let is_queued = matches!(outcome.unwrap(), EnqueueOutcome::Queued { .. });
                        prop_assert!(is_queued);
                    }
                    None => self.die_under_it(before).await?,
                }
            }
            Step::EnqueueAgain(which) => {
                if let Some(uuid) = self.some(which) {
                    let outcome = store.enqueue(command(&udid, &uuid), now).await.unwrap();
                    prop_assert_eq!(outcome, EnqueueOutcome::UuidTaken);
                }
            }
            Step::Cancel { which, cut } => {
                let Some(uuid) = self.some(which) else {
                    return Ok(());
                };
                let before = self.model.clone();
                let expected = self.model.cancel(&uuid);
                let cancelled = store.cancel_command(&udid, &uuid, now);
                match until_cut(cancelled, cut).await {
                    Some(outcome) => prop_assert_eq!(outcome.unwrap(), expected),
                    None => self.die_under_it(before).await?,
                }
            }
            Step::Ask { lost } => self.offer(false, lost).await?,
            Step::Answer { status, cut, lost } => self.answer(status, cut, lost).await?,
            Step::Note => {
                let notes = std::mem::take(&mut self.notes);
                store.note_sent(&notes).await.unwrap();
                notes
                    .iter()
                    .for_each(|note| self.model.note_sent(&note.uuid));
            }
            Step::Crash => self.crash().await,
        }
        self.compare().await
    }

    async fn answer(
        &mut self,
        status: CommandStatus,
        cut: Option<u8>,
        lost: bool,
    ) -> Result<(), TestCaseError> {
        let fresh = self.has.take().map(|uuid| (uuid, status));
        let Some((uuid, status)) = self.unsent.take().or(fresh) else {
            return Ok(());
        };
        let before = self.model.clone();
        let expected = self.model.settle(&uuid, status);
        let (store, udid) = (self.store.clone(), self.udid.clone());
        let settled = store.settle(&udid, answer(&uuid, status, b"<plist/>"), at(self.clock));
        let Some(outcome) = until_cut(settled, cut).await else {
            self.unsent = Some((uuid, status));
            return self.die_under_it(before).await;
        };
        prop_assert_eq!(outcome.unwrap(), expected);
        if lost {
            self.unsent = Some((uuid, status));
        }
        self.offer(true, lost).await
    }

    /// The next command goes out; what is `lost` does not arrive.
    async fn offer(&mut self, skip_not_now: bool, lost: bool) -> Result<(), TestCaseError> {
        let expected = self.model.next(skip_not_now);
        let next = self
            .store
            .next_command(&self.udid, skip_not_now)
            .await
            .unwrap();
        let offered = next.map(|command| command.summary.uuid);
        prop_assert_eq!(&offered, &expected);
        let Some(uuid) = offered else {
            return Ok(());
        };
        if self.model.0.len().is_multiple_of(2) {
            // As one that destroys something: it is claimed before it goes out.
            let claimed = self.store.claim_command(&self.udid, &uuid, at(self.clock));
            prop_assert!(claimed.await.unwrap());
            self.model.entry(&uuid).state = CommandState::Sent;
        } else {
            self.notes.push(SentNote {
                enrollment_id: self.udid.clone(),
                uuid: uuid.clone(),
                at: at(self.clock),
            });
        }
        self.has = (!lost).then_some(uuid);
        Ok(())
    }

    fn some(&self, which: Index) -> Option<String> {
        let entries = &self.model.0;
        (!entries.is_empty()).then(|| which.get(entries).uuid.clone())
    }

    /// The process is gone, and another one opens the database.
    async fn crash(&mut self) {
        self.notes.clear();
        self.store = connect(self.database).await;
    }

    /// What was being done is done or not done, and nothing between: the model follows the store.
    async fn die_under_it(&mut self, before: Model) -> Result<(), TestCaseError> {
        // The database may still be at what it was asked.
        self.store.clone().close().await.unwrap();
        self.crash().await;
        if self.stored().await == before {
            self.model = before;
        }
        Ok(())
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(&self.stored().await, &self.model);
        Ok(())
    }

    async fn stored(&self) -> Model {
        let commands = self.store.list_commands(&self.udid, None, 100).await;
        let newest_first = commands.unwrap().into_iter();
        let entries = newest_first.rev().map(|command| Entry {
            uuid: command.uuid,
            state: command.state,
            not_now: command.not_now_count,
        });
        Model(entries.collect())
    }
}

async fn connect(database: &TestDatabase) -> Store {
    let sealing = database.sealing.clone();
    Store::connect(&database.url, sealing).await.unwrap()
}

/// Polls so often; `None` if it was not ready by then, and is dropped.
async fn until_cut<T>(future: impl Future<Output = T>, cut: Option<u8>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = cut;
    poll_fn(|context| match (future.as_mut().poll(context), &mut left) {
        (Poll::Ready(value), _) => Poll::Ready(Some(value)),
        (Poll::Pending, Some(0)) => Poll::Ready(None),
        (Poll::Pending, left) => {
            if let Some(left) = left {
                *left -= 1;
            }
            Poll::Pending
        }
    })
    .await
}

#[test]
fn whatever_happens_the_queue_is_what_its_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(new_database());
    let is_sqlite = database.url.starts_with("sqlite");
    let config = Config {
        cases: if is_sqlite { ON_SQLITE } else { ON_POSTGRES },
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases each time.
    let chance = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let number = std::cell::Cell::new(0);
    let outcome = TestRunner::new_with_rng(config, chance).run(&steps(), |steps| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let mut case = Case::open(&database, number.get()).await;
            for step in steps {
                case.take(step).await?;
            }
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
