//! Apple's side of device management, simulated: devices with their factory identities and their answers to commands, and
//! the push notification service that wakes them. It shares no state with a server, only the network and the protocol crates'
//! client halves, and it is no reference for what real devices do beyond what the modules say they imitate.
//!
//! | what | where |
//! |---|---|
//! | the push notification service, and how devices wait on it | [`apns`] |
//! | a device's state and its answers to commands | [`model`] |
//! | factory identities, in place of Apple's | [`factory`] |
//! | files that are replaced as a whole | [`file`] |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod apns;
mod certificates;
pub mod factory;
pub mod file;
mod hex;
pub mod model;
