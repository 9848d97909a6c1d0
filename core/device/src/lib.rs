//! Apple's side of device management, simulated: devices with their factory identities and their answers to commands, and
//! the push notification service that wakes them. It shares no state with a server, only the network and the protocol crates'
//! client halves, and it is no reference for what real devices do beyond what the modules say they imitate.
//!
//! | what | where |
//! |---|---|
//! | a device before it is managed | [`device`] |
//! | enrollment, phase by phase | [`enroll`](mod@enroll) |
//! | a managed device: woken, commanded | [`manage`] |
//! | a device's state and its answers to commands | [`model`] |
//! | what a device may be told to do wrong | [`mischief`], [`model::Behaviour`] |
//! | what a device leaves as evidence, and reads after a restart | [`journal`] |
//! | many devices at once | [`fleet`] |
//! | the push notification service, and how devices wait on it | [`apns`] |
//! | factory identities, in place of Apple's | [`factory`] |
//! | whom a device believes | [`trust`] |
//! | HTTPS | [`http`] |
//! | files that are replaced as a whole | [`file`](mod@file) |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod apns;
mod certificates;
mod credentials;
pub mod device;
pub mod enroll;
pub mod factory;
pub mod file;
pub mod fleet;
mod hex;
pub mod http;
pub mod journal;
pub mod manage;
mod management;
pub mod mischief;
pub mod model;
mod phase;
mod tls;
pub mod trust;
