//! SCEP (RFC 8894): the server half, which turns a message into a request that awaits a decision and a decision into a
//! message, and the client half. No sockets, no clock, no storage, no policy: octets, times, nonces, serial numbers and
//! decisions are arguments, and whoever calls remembers what was issued.
//!
//! # A request's way
//!
//! ```text
//! octets ──Endpoint::receive──▶ Request       signature, possession of the key: proven
//!                            └─▶ Poll          the same of a client that waits; Poll::resume gives its Request back
//!          Request::authenticate ▶ Authenticated  the challenge is ours, for this endpoint, and not expired
//!          Authenticated::approve ▶ Authorized     the caller decided, and says what the certificate will say
//!          Endpoint::issue ──────▶ Certificate    nothing but an `Authorized` can be issued
//!          Endpoint::success ────▶ octets         CertRep
//! ```
//!
//! Every step that fails gives a [`Refusal`], which says whether it can be answered as a CertRep
//! ([`Endpoint::failure`]) or only by the transport. A server is these two arms:
//!
//! ```
//! # use std::{error::Error, time::SystemTime};
//! # use lanyard_scep::{Authenticated, CertificateProfile, ChallengeKey, Endpoint, Received, Refusal};
//! # fn serve(
//! #     endpoint: &Endpoint,
//! #     challenges: &ChallengeKey,
//! #     decide: impl Fn(&Authenticated) -> CertificateProfile,
//! #     message: &[u8],
//! #     (serial, nonce, now): (lanyard_pki::SerialNumber, [u8; 16], SystemTime),
//! # ) -> Result<Vec<u8>, Box<dyn Error>> {
//! let heard = endpoint
//!     .receive(message)
//!     .and_then(Received::request) // nothing waits here, so nobody polls
//!     .and_then(|request| request.authenticate(challenges, now));
//! match heard {
//!     Ok(authenticated) => {
//!         let profile = decide(&authenticated);
//!         let authorized = authenticated.approve(profile);
//!         let certificate = endpoint.issue(&authorized, serial, now)?;
//!         let exchange = authorized.request().exchange();
//!         Ok(endpoint.success(exchange, &certificate, nonce, now)?)
//!     }
//!     Err(Refusal::Failed { exchange, reason }) => {
//!         let (info, text) = (reason.fail_info(), reason.fail_text());
//!         Ok(endpoint.failure(&exchange, info, text, nonce, now)?)
//!     }
//!     Err(refusal @ Refusal::Unanswerable(_)) => Err(refusal.into()), // 400
//! }
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod challenge;
pub mod client;
mod endpoint;
mod message;
mod query;
mod request;

pub use challenge::{ChallengeError, ChallengeKey, Claims};
pub use endpoint::{AuthorityResponse, Compatibility, Endpoint, EndpointError, Identity, Mode};
pub use message::{FailInfo, MessageType, PkiStatus};
pub use query::{Operation, QueryError, operation, pki_message, posted_operation};
pub use request::{
    Authenticated, Authorized, CertificateProfile, Exchange, Poll, Received, Refusal,
    RefusalReason, Request, TransactionKey,
};
