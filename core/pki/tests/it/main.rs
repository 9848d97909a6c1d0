//! The crate through its public interface, in one binary. The `openssl` command line is a peer here: `cargo xtask`
//! installs it, and a test that needs it fails without it.

#![allow(clippy::unwrap_used)]

mod ber;
mod certificates;
mod desk;
mod enveloped;
mod identities;
mod mutated;
mod openssl_gives;
mod openssl_takes;
mod requests;
mod signed;
mod tlv;
