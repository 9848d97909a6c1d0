//! All end-to-end tests, in one binary. Each starts what it needs on free loopback ports and ends it.

#![allow(clippy::unwrap_used)]

mod architecture;
mod main_job;
mod push;
mod scep_clients;
mod sign_in;
