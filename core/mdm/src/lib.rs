//! Apple's MDM protocol without any I/O: over-the-air enrollment, configuration profiles, check-in and the command loop, each
//! with the server's half and the device's, from bytes to typed messages and back. It opens no socket, reads no clock, stores
//! nothing and decides nothing: whether a challenge is right, a certificate revoked or a command due is for its callers to know.
//!
//! | what | where |
//! |---|---|
//! | the check of phases 2 and 3 of enrollment | [`ota::verify_message`] |
//! | whether a signer is an Apple factory identity | [`ota::FactoryTrust`] |
//! | the Profile Service document of phase 1 | [`ota::ProfileService`] |
//! | profiles: build, encrypt, open | [`profile`] |
//! | signed documents | [`signed`] |
//! | Authenticate, TokenUpdate, CheckOut and the rest | [`checkin`] |
//! | Idle, results, commands | [`connect`] |
//! | who speaks: the `Mdm-Signature` header | [`signature`] |
//! | letting a device go | [`unenroll`] |
//! | property lists, with limits | [`document`] |
//!
//! What devices send is read leniently where devices are known to be sloppy and never trusted to be small; what goes out is
//! checked for what devices refuse without saying why. Secrets have types of their own ([`Challenge`], [`DeviceToken`],
//! [`PushMagic`], [`UnlockToken`], …) that wipe themselves and do not print.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checkin;
pub mod connect;
pub mod document;
pub mod ota;
pub mod profile;
mod secret;
mod sender;
pub mod signature;
pub mod signed;
pub mod unenroll;

pub use secret::{
    BootstrapToken, Challenge, DeviceToken, DigestResponse, PushMagic, RawMessage, UnlockToken,
};
pub use sender::{EnrollmentId, IdentityError, Sender};
