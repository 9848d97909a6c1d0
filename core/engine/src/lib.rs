//! The use cases of device management: a person signs in, a device identifies itself, certificates are issued, profiles
//! delivered, devices check in, take commands and are woken. Each is one method of [`Engine`], which puts the protocol
//! crates, the hooks and the store together. It speaks no HTTP, knows no octets of a protocol and runs no plugin itself.
//!
//! | what happens | where |
//! |---|---|
//! | phase 1: sign-in, Profile Service document | `sign_in`, [`Engine::sign_in`] |
//! | phases 2 and 3: the device's signed messages | `enrollment`, [`Engine::enrollment_message`] |
//! | SCEP | `issuance`, [`Engine::pki_operation`] |
//! | what the two profiles say | `profiles` |
//! | who is speaking: the certificate behind a request | `identity` |
//! | whose identity ends soon | `reminders` |
//! | check-in | `check_in`, [`Engine::check_in`] |
//! | the command loop | `connect`, [`Engine::connect`] |
//! | pushes, from the outbox | `pushes` |
//! | push certificates and what is wrong with them | `topics`, [`Engine::replace_push`] |
//! | events, from theirs | `events` |
//! | whether persons may still act | `standing`, [`Engine::look_up_persons`] |
//! | ticks | `schedule`, [`Engine::tell_ticks`] |
//! | what is done without being asked | `background`, [`Engine::work_until`] |
//! | what plugins may issue | `ceilings` |
//! | decision records | `records` |
//! | what waits for a person's answer | `approvals` |
//! | what is counted | `metrics`, [`Engine::register_metrics`] |
//! | why a device is where it is | `obstacles`, [`Engine::situation`] |
//! | what operators do | `administration`, `batches`, `persons` |
//! | who answers the hooks natively | [`LocalUsers`] |
//!
//! Every method goes the same way: bytes become a typed request, hooks are asked with no transaction open,
//! the outcome is committed in one transaction that compares what was read, and only then is the answer written.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod administration;
mod approvals;
mod background;
mod batches;
mod ceilings;
mod check_in;
mod clock;
mod computing;
mod connect;
mod decision;
mod enrollment;
mod events;
mod identity;
mod issuance;
mod local_users;
mod metrics;
mod notes;
mod obstacles;
mod password;
mod persons;
mod profiles;
mod pushes;
mod records;
mod refusal;
mod reminders;
mod resealing;
mod schedule;
mod setup;
mod sign_in;
mod stable_uuid;
mod standing;
mod throttle;
mod topics;

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Instant, SystemTime},
};

use lanyard_push::schedule::Pace;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

pub use administration::{CommandRefused, Sent};
pub use approvals::ApprovalRefused;
pub use batches::{BatchSent, Recipients};
pub use ceilings::{CeilingReached, Ceilings};
pub use check_in::CheckInAnswer;
pub use clock::Clock;
pub use identity::Proof;
pub use issuance::PkiAnswer;
pub use local_users::LocalUsers;
pub use obstacles::{Obstacle, Situation};
pub use password::{PasswordError, hash_password};
pub use persons::UserRefused;
pub use refusal::{ErrorChain, Refusal, RefusalKind};
pub use schedule::{NoSchedule, Schedule};
pub use setup::{
    DeviceAuthority, Hooks, Lifetimes, ProfileSigner, Setup, SetupError, Shadow, Urls,
};
pub use sign_in::{NextStep, SignInAttempt, SignInRefused, SignedIn, Ticket};
pub use throttle::{Rates, network};
pub use topics::{PushTopic, PushTrouble};

/// The use cases, over one store and one set of hooks. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<State>);

struct State {
    /// Which of the nodes on one database this one is, until it ends.
    node: Uuid,
    setup: Setup,
    hooks: RwLock<Arc<Hooks>>,
    topics: RwLock<Vec<Arc<topics::Topic>>>,
    /// How fast pushes go, by the time since `started`.
    pace: Mutex<Pace>,
    started: Instant,
    exchanges: ceilings::Exchanges,
    throttle: throttle::Throttle,
    computing: computing::Computing,
    notes: notes::Notes,
    /// Places for asking those on trial.
    shadows: Arc<Semaphore>,
    clock: Clock,
    /// Rung when the outbox of pushes has something new.
    outbox: Notify,
    /// Rung when that of events has.
    events: Notify,
    metrics: metrics::Metrics,
}

impl Engine {
    /// Puts the engine together, and refuses a push topic other than the one that devices enrolled with.
    ///
    /// # Errors
    /// [`SetupError`]
    pub async fn new(setup: Setup) -> Result<Self, SetupError> {
        Self::with_clock(setup, Clock::default()).await
    }

    /// The same by another clock than the system's.
    ///
    /// # Errors
    /// [`SetupError`]
    pub async fn with_clock(mut setup: Setup, clock: Clock) -> Result<Self, SetupError> {
        let push = std::mem::take(&mut setup.push);
        let topics = topics::checked(push, &[], &setup.store).await?;
        let pace = Pace::new(setup.pushes_per_second.get());
        let hooks = std::mem::take(&mut setup.hooks);
        let throttle = throttle::Throttle::new(setup.rates);
        let engine = Self(Arc::new(State {
            node: Uuid::new_v4(),
            setup,
            hooks: RwLock::new(Arc::new(hooks)),
            topics: RwLock::new(topics),
            pace: Mutex::new(pace),
            started: Instant::now(),
            exchanges: ceilings::Exchanges::default(),
            throttle,
            computing: computing::Computing::default(),
            notes: notes::Notes::default(),
            shadows: Arc::new(Semaphore::new(records::TRIALS)),
            clock,
            outbox: Notify::new(),
            events: Notify::new(),
            metrics: metrics::Metrics::default(),
        }));
        engine.remind_of_certificates();
        Ok(engine)
    }

    /// The refusal of a message that could not be read.
    fn unreadable(&self, error: &(dyn std::error::Error + 'static)) -> Refusal {
        let mut cause = Some(error);
        while let Some(each) = cause {
            if each.downcast_ref() == Some(&lanyard_mdm::document::DocumentError::Binary) {
                self.metrics().binary_plists.inc();
            }
            cause = each.source();
        }
        Refusal::bad_request(refusal::chain(error))
    }

    /// Refuses a message, before it is read, of an address that sends too many.
    fn admit_message(&self, address: std::net::IpAddr) -> Result<(), Refusal> {
        if self.0.throttle.admit_message(address) {
            return Ok(());
        }
        Err(Refusal::too_many(format!(
            "{address} sends too many messages that cost private-key operations"
        )))
    }

    fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// From now on, these hooks are asked. What is being decided is decided by those before.
    pub fn replace_hooks(&self, hooks: Hooks) {
        let mut current = self.0.hooks.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(hooks);
    }

    /// The policy revision that is in force here.
    #[must_use]
    pub fn policy_revision(&self) -> Option<i64> {
        self.hooks().revision
    }

    /// The hooks of this moment.
    fn hooks(&self) -> Arc<Hooks> {
        let current = self.0.hooks.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn setup(&self) -> &Setup {
        &self.0.setup
    }

    fn store(&self) -> &lanyard_store::Store {
        &self.0.setup.store
    }
}
