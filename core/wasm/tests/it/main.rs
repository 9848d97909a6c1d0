//! Plugins written by hand, so that nothing stands between the test and what they do: those that behave, those that do not, and
//! those that are not loaded.
#![allow(clippy::unwrap_used)]

mod cache;
mod fixture;
mod honest;
mod hostile;
mod journal;
mod load;
mod manifest;
mod room;
