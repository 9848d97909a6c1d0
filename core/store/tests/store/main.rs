//! The store through its public interface, on a database file that each test has for itself.
#![allow(clippy::unwrap_used)]

mod approvals;
mod batches;
mod checkin;
mod database;
mod decisions;
mod durability;
mod identities;
mod issuance;
mod keys;
mod model;
mod nodes;
mod outbox;
mod queue;
mod sessions;
mod sign_ins;
mod standings;
mod users;
