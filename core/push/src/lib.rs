//! Wakes devices through the Apple Push Notification service: a2's requests over one multiplexed HTTP/2 connection, the push
//! certificate and its topic, and what each answer of APNs means for the device token.
//! It does **not** decide whom to wake, keep a queue or store tokens: the engine does, from its outbox; and a push that APNs
//! accepted is no proof that the device woke up.
//!
//! | to find | look in |
//! |---|---|
//! | the push certificate and its topic | [`PushCertificate`] |
//! | where APNs is, and whom to trust there | [`Endpoint`], [`Roots`] |
//! | sending | [`Apns::send`] |
//! | reasons and what to do about them | [`Reason`], [`Action`] |
//! | when to try again, and how fast to go | [`schedule`] |

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apns;
mod certificate;
mod connection;
mod endpoint;
mod error;
mod outcome;
mod reason;
mod request;
pub mod schedule;
mod tls;
mod wake;

pub use apns::{Apns, Limits};
pub use certificate::{CertificateError, PushCertificate, days_left_at_most};
pub use endpoint::{Endpoint, EndpointError, Roots};
pub use error::{ConnectError, SendError};
pub use outcome::{Outcome, Rejection};
pub use reason::{Action, Reason};
pub use wake::{Urgency, Wake, WakeError};
