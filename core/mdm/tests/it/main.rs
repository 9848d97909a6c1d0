//! The crate through its public interface, in one binary.

#![allow(clippy::unwrap_used)]

mod checkin;
mod connect;
mod document;
mod identities;
mod ota;
mod profile;
mod recorded;
mod signature;
