//! Keeps everything Lanyard must remember: people, enrollment sessions, certificates, enrollments, command queues and the
//! push outbox, in SQLite or PostgreSQL through SeaORM, each use one transaction with a typed outcome.
//! It does **not** decide anything: no protocol, no policy, no clock and no randomness; times, ids and verdicts are arguments.
//!
//! Where to look: what a use case may do is one method of [`Store`], grouped by file (`users`, `sessions`, `issuance`, `challenges`,
//! `transactions`, `approvals`, `certificates`, `callers`, `authenticate`, `tokens`, `enrollments`, `queue`, `batches`, `delivery`, `commands`,
//! `outbox`, `events`, `leases`, `backlog`, `policies`, `decisions`, `sign_ins`, `standings`, `schedules`, `settings`, `resealing`); the tables
//! are in `entity/`, how they came about in `migration/`; how a database is opened is in `connect`, and how transactions wait for each other in
//! `turn`.
//!
//! Times are [`std::time::SystemTime`] here and whole milliseconds since the Unix epoch in the database. Device tokens, push
//! magic, unlock tokens, command payloads and results, what the host answered plugins, and requests that wait
//! are sealed with the current key of the [`KeyRing`](lanyard_pki::seal::KeyRing)
//! that the store was opened with; they leave it as [`Unsealed`], which is wiped when dropped and prints nothing.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod approvals;
mod authenticate;
mod backlog;
mod batches;
mod callers;
mod certificates;
mod challenges;
mod commands;
mod connect;
mod decisions;
mod delivery;
mod enrollments;
mod entity;
mod error;
mod events;
mod instant;
mod issuance;
mod leases;
mod migration;
mod outbox;
#[cfg(test)]
mod plans;
mod policies;
mod queue;
mod resealing;
mod schedules;
mod sealed;
mod sessions;
mod settings;
mod sign_ins;
mod standings;
mod tokens;
mod transactions;
mod turn;
mod users;
mod word;

pub use approvals::{
    APPROVAL_STANDS, AnswerOutcome, Approval, ApprovalAnswer, ApprovalState, ApprovalSubject,
    AskOutcome, NewApproval, RequestKey, Shown, TooManyPending,
};
pub use authenticate::{AuthenticateOutcome, AuthenticateRow, EnrollmentFacts, Occasion};
pub use backlog::Backlog;
pub use batches::{BatchCommand, NewBatch};
pub use callers::{Caller, CallingDevice};
pub use certificates::{Certificate, CertificatePurpose, IdentityRow, RevokeOutcome};
pub use challenges::Challenge;
pub use commands::{Command, CommandFilter, CommandPlace, CommandState, CommandSummary, NoPlace};
pub use connect::Store;
pub use decisions::{DecisionFilter, DecisionRecord};
pub use delivery::{CancelOutcome, CommandAnswer, CommandStatus, SentNote, Settled};
pub use enrollments::{Enrollment, EnrollmentState, PushTarget};
pub use error::StoreError;
pub use events::{DueEvent, NewEvent};
pub use issuance::{IssueOutcome, NewIssuance, SessionStep, Standing};
pub use outbox::{DuePush, NextPush, PushOutcome, ScheduleOutcome};
pub use policies::{NewPlugin, PolicyRevision, StoredPlugin};
pub use queue::{EnqueueOutcome, NewCommand, PendingWork, QueueHead};
pub use resealing::{Resealing, Sealed};
pub use schedules::Scheduled;
pub use sealed::Unsealed;
pub use sessions::{
    DeviceFacts, Identification, IdentifyOutcome, NewSession, Session, SessionState, Transition,
};
pub use standings::{PersonKey, StandingNoted};
pub use tokens::{CheckOutOutcome, MAX_USER_CHANNELS, TokenUpdate, TokenUpdateOutcome};
pub use transactions::{
    DeferOutcome, Deferral, DenyOutcome, Transaction, TransactionKey, TransactionState,
};
pub use users::{AddUserOutcome, PasswordHash, User, UserChange};

/// The most rows that one list returns, whatever limit was asked for: a page is read into memory whole.
pub const MAX_PAGE: u64 = 1_000;

/// What a caller's limit comes to.
pub(crate) fn page(limit: u64) -> u64 {
    limit.min(MAX_PAGE)
}
