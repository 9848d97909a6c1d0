//! Policies: which plugins answer which hooks, on what terms. Operators apply them while the server runs; each is a revision in
//! the store.

mod bound;
mod consistency;
mod document;
mod enforce;
mod follow;
mod reach;
mod recorded;
mod refusal;
mod settings;
mod trial;

pub(crate) use document::{BindingDocument, Document};
pub(crate) use enforce::{Applied, Policies};
pub(crate) use recorded::{Recorded, Replayed};
pub(crate) use refusal::PolicyRefused;
pub(crate) use settings::hold_against as hold_settings_against;
pub(crate) use trial::{Candidate, Trial};
