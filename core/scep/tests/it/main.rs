//! The server half against the client half, and against messages that no client of ours would write.

#![allow(clippy::unwrap_used)]

mod authorities;
mod challenges;
mod draft;
mod enroll;
mod envelopes;
mod lab;
mod mutated;
mod polls;
mod recorded;
mod refusals;
mod replies;
#[path = "../../../pki/tests/it/tlv.rs"]
mod tlv;
