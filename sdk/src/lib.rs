//! What a plugin author sees: the hooks of Lanyard as traits, the capabilities of the host as functions, and one macro line that
//! makes a component of a type. It does **not** run plugins (that is the host), and has no access to anything that the host does
//! not hand out.
//!
//! ```
//! use lanyard_sdk::{EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, Plugin, Reason, Unavailable};
//!
//! /// Lets iPhones in, and nothing else.
//! struct PhonesOnly;
//!
//! impl Plugin for PhonesOnly {
//!     type Settings = lanyard_sdk::NoSettings;
//!
//!     fn new(_: Self::Settings) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl EnrollmentApproval for PhonesOnly {
//!     fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, Unavailable> {
//!         let product = question.device.fact("product").unwrap_or_default();
//!         Ok(if product.starts_with("iPhone") {
//!             EnrollmentVerdict::allow()
//!         } else {
//!             Reason::new("not-a-phone", "Only iPhones are enrolled here.")
//!                 .relying_on("product", product)
//!                 .deny()
//!         })
//!     }
//! }
//!
//! lanyard_sdk::export!(PhonesOnly: enrollment_approval);
//! ```
//!
//! Built with `cargo build --target wasm32-wasip2 --release` and `crate-type = ["cdylib", "rlib"]`, this is a plugin. The same crate is
//! tested with `cargo test`; [`test`](mod@test) is the host then.
//!
//! | hook point | trait | in [`export!`] |
//! |---|---|---|
//! | who is this person? | [`Directory`] | `directory` |
//! | may this person enroll this device? | [`EnrollmentApproval`] | `enrollment_approval` |
//! | may this certificate be issued? | [`RaApproval`] | `ra_approval` |
//! | which command next? | [`CommandSelection`] | `command_selection` |
//! | something happened | [`EventSink`] | `event` |
//!
//! What a plugin may call, if its binding grants it: [`log`], directories ([`ldap`]), web servers ([`http`]), and what [`Secret`] can do.
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate self as lanyard_sdk;

#[cfg(all(target_family = "wasm", not(feature = "test")))]
mod adapter;
#[doc(hidden)]
pub mod bindings;
mod command;
mod directory;
mod enrollment;
mod event;
mod export;
mod fact;
#[cfg(all(target_family = "wasm", not(feature = "test")))]
mod host;
pub mod http;
pub mod ldap;
pub mod log;
mod manifest;
mod pattern;
mod plugin;
mod ra;
mod selection;
#[cfg(any(not(target_family = "wasm"), feature = "test"))]
pub mod test;

#[cfg(any(not(target_family = "wasm"), feature = "test"))]
use test as host;

pub use lanyard_commands as commands;

pub use bindings::capabilities::lanyard::policy::types::{
    Attribute, CommandRequest, CommandResult, Decision, Device, Fact, KnownPerson, Person,
    PersonRef, Reason, ResultStatus, Value,
};
pub use command::CommandNotWritten;
pub use directory::{
    Directory, Field, FieldKind, Form, Input, Inquiry, Redirection, Resumption, SignIn, Standing,
    Step,
};
pub use enrollment::{
    Allowance, Attestation, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict,
};
pub use event::{EventSink, Happening, IssuedCommand};
pub use host::Secret;
pub use pattern::Patterns;
pub use plugin::{NoSettings, Plugin, Unavailable};
pub use ra::{Approval, CertificationRequest, Challenge, RaApproval, RaQuestion, RaVerdict};
pub use selection::{CommandSelection, QueuedCommand, SelectionQuestion, SelectionVerdict};

/// For the macro.
#[doc(hidden)]
pub mod __private {
    #[cfg(all(target_family = "wasm", not(feature = "test")))]
    pub use crate::adapter::Adapter;
    pub use crate::bindings;
    pub use crate::manifest::Manifest;
    pub use wit_bindgen;
}
