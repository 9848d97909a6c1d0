//! The `lanyard` server: HTTP and TLS towards devices, the administration's API on a Unix socket, configuration, set-up and
//! the command line. It holds no protocol and no policy: what a request means is `lanyard-engine`'s to say.
//!
//! | what | where |
//! |---|---|
//! | everything that runs, in one function | [`serve`] |
//! | every part, put together from the configuration | [`assembly`] |
//! | paths and handlers | [`http`] |
//! | `lanyard.toml` | [`configuration`] |
//! | push certificates: read, and read again | `push` |
//! | policies: which plugins answer which hooks | `policy` |
//! | TLS, and what proxies are believed | `tls`, `proxies` |
//! | logs and traces | `observability` |
//! | `lanyard init` | [`init`] |
//! | `lanyard backup`, `lanyard restore` | `backup` |
//! | sealing keys: rotated while the server runs | `keys` |
//! | the command line, a client of the administration's API | [`cli`] |
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod assembly;
mod backup;
pub mod cli;
pub mod configuration;
pub mod http;
pub mod init;
mod keys;
mod listener;
mod observability;
mod outside;
mod policy;
mod proxies;
mod push;
pub mod secrets;
pub mod serve;
mod shares;
mod signature;
mod tls;
