//! What the end-to-end tests and `cargo xtask up` stand on: programs of this workspace as processes, a whole installation on
//! loopback, many devices under load, the `openssl` command line as a second opinion, and plugins compiled on first use.

pub mod balancer;
pub mod database;
pub mod guests;
pub mod measured;
pub mod openssl;
pub mod operate;
pub mod process;
pub mod site;
pub mod slapd;
pub mod soak;
pub mod up;
