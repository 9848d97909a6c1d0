//! All end-to-end tests, in one binary. Each starts what it needs on free loopback ports and ends it.

#![allow(clippy::unwrap_used)]

mod administration;
mod approvals;
mod architecture;
mod author;
mod browser;
mod capabilities;
mod client_certificates;
mod commands;
mod decisions;
mod enrollment;
mod examples;
mod first_party;
mod first_plugin;
mod fleet;
mod hooks;
mod http_directory;
mod javascript;
mod ldap_directory;
mod main_job;
mod nodes;
mod observability;
mod oidc_directory;
mod plugin;
mod policy;
mod puppet;
mod push;
mod push_delivery;
mod push_outcomes;
mod scep_clients;
mod sign_in;
mod soak;
mod takeover;
mod trapping;
mod trust;
mod web;
