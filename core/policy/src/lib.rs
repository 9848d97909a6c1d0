//! The questions that differ between organisations, the verdicts that answer them, and the hook traits through which they are
//! asked and chained. This crate does **not** answer anything itself, does no I/O, reads no clock and draws no randomness:
//! native answers live in `lanyard-engine`, sandboxed ones in `lanyard-wasm`.
//!
//! Everything is owned, serialisable data, so that a decision can be recorded as it was made. Three shapes recur:
//!
//! - a *question* carries a [`Decision`] (id, time, seed): a hook has no other source of time or randomness;
//! - a *verdict* carries a [`Reason`] where it refuses or defers, and the [`Facts`] it relied upon where it allows;
//! - a *failure* ([`HookFailure`]) is not a verdict: each hook point states what happens then.
//!
//! | hook point | trait | chain | no hook bound |
//! |---|---|---|---|
//! | directory | [`Directory`] | [`DirectoryChain`]: first answer that is not abstain | abstain |
//! | enrollment-approval | [`EnrollmentApproval`] | [`EnrollmentChain`]: any deny, else any pending, else allow | allow |
//! | ra-approval | [`RaApproval`] | [`RaChain`]: the same | approve when the challenge holds |
//! | command-selection | [`CommandSelection`] | [`SelectionChain`]: first answer that is not abstain | abstain |
//! | event | [`EventSink`] | none: each binding is fed from the outbox on its own | – |
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ceiling;
mod chain;
mod device;
mod directory;
mod enrollment;
mod event;
mod fact;
mod failure;
mod hook;
mod meter;
mod person;
mod point;
mod ra;
mod secret;
mod selection;
mod tape;

pub use ceiling::Ceiling;
pub use chain::{
    Answer, Answers, Binding, ChainFailure, Decided, DirectoryChain, EnrollmentChain, FailureSide,
    Opinion, RaChain, SelectionChain,
};
pub use device::DeviceFacts;
pub use directory::{
    Directory, Field, FieldKind, Lookup, MAX_STATE_BYTES, ResumeSignIn, SignIn, Standing, Step,
};
pub use enrollment::{
    Allowance, Attestation, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict,
};
pub use event::{Event, EventSink, IssuedCommand, Occurrence};
pub use fact::{Conflict, Decision, Facts, Reason, Value};
pub use failure::HookFailure;
pub use hook::{AnyHook, NoQuestion};
pub use meter::{Called, Meter, Used};
pub use person::{Person, PersonRef};
pub use point::{Capability, HookPoint};
pub use ra::{
    Amendments, Approval, ChallengeFacts, ChallengeOutcome, CsrFacts, KeyType, KeyUsage, Purpose,
    RaApproval, RaQuestion, RaVerdict,
};
pub use secret::Secret;
pub use selection::{
    CommandRequest, CommandResult, CommandSelection, QueuedCommand, ResultStatus,
    SHOWN_QUEUE_LENGTH, SelectionQuestion, SelectionVerdict,
};
pub use tape::{HostCall, Tape};
