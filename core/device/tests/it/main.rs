//! The device against a stand-in for the server: it says what a server should, or what none should.

#![allow(clippy::unwrap_used)]

mod enrollment;
mod management;
mod stand_in;
mod trust;
