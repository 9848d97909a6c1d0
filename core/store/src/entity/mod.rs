//! One entity a table, columns as they are stored: times in milliseconds, states as words, secrets sealed. The rows that
//! callers see are built from these.

pub(crate) mod approval;
pub(crate) mod certificate;
pub(crate) mod challenge_use;
pub(crate) mod command;
pub(crate) mod decision;
pub(crate) mod enrollment;
pub(crate) mod enrollment_session;
pub(crate) mod event_outbox;
pub(crate) mod event_schedule;
pub(crate) mod forgotten_command;
pub(crate) mod lease;
pub(crate) mod local_user;
pub(crate) mod person_standing;
pub(crate) mod plugin;
pub(crate) mod policy_revision;
pub(crate) mod push_outbox;
pub(crate) mod scep_transaction;
pub(crate) mod setting;
pub(crate) mod sign_in_step;
