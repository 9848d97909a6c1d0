//! Enrollment over the network, phase by phase: what goes on after a crash, and what is refused and changes nothing.
//!
//! The server and the simulated APNs are processes; devices are stepped through by hand in the test's own process.

pub(crate) mod stage;

mod again;
mod altered;
mod crash;
mod faults;
mod foreign;
mod mischief;
mod over;
mod recorded;
mod scep;
mod sealed;
