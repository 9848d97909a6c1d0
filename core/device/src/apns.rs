//! The simulated Apple Push Notification service.
//!
//! Two listeners. Providers (MDM servers) come over HTTP/2 and TLS with a push certificate that the throw-away
//! [`PushAuthority`] issued, and their requests are checked more strictly than by Apple, so that a sloppy sender is noticed. Devices
//! come over TLS with newline-delimited JSON (a protocol of this simulator: Apple's is not public), register for a topic,
//! receive their token and wait. What is kept for a device that is away is its last notification, until that expires.
//!
//! Everything that happens is written to a record, one JSON object a line, as evidence that a device was woken through here.

mod authority;
mod check;
mod devices;
mod exchange;
mod listener;
mod providers;
mod record;
mod service;
mod simulator;
mod start_error;
mod subscription;
mod tls;
mod tokens;
mod wire;

pub use authority::{PKCS12_PASSWORD, PushAuthority, PushFiles};
pub use check::Refusal;
pub use record::{Entry, Event};
pub use simulator::{Announcement, Settings, Simulator, read_announcement};
pub use start_error::StartError;
pub use subscription::{Courier, CourierError, Subscription, SubscriptionError};
