//! Over-the-air enrollment (Apple, "Over-the-Air Profile Delivery and Configuration").
//!
//! | phase | server half | client half |
//! |---|---|---|
//! | 1: the person has signed in | [`ProfileService::to_xml`], signed with [`crate::signed::sign`] | [`ProfileService::parse`] |
//! | 2: the device says which one it is | [`verify_message`] gives [`PhaseMessage::Device`] | [`write_message`] with the factory identity |
//! | 3: the same with its new certificate | [`verify_message`] gives [`PhaseMessage::Identity`] | [`write_message`] with that certificate |
//!
//! **The check of phases 2 and 3 is [`verify_message`].** Which Apple certificates count as a factory identity is decided by
//! [`FactoryTrust`]. Whether a challenge is the right one, and whether a session is due for the phase, is not known here.

mod attributes;
mod factory;
mod phase;
mod profile_service;

pub use attributes::DeviceAttributes;
pub use factory::{APPLE_ROOT_CA, Attestation, FactoryError, FactoryTrust, NotAttested};
pub use phase::{PhaseError, PhaseMessage, WriteMessageError, verify_message, write_message};
pub use profile_service::{ATTRIBUTES, ProfileService};

/// Content type of the device's requests. Not to be insisted on.
pub const REQUEST_CONTENT_TYPE: &str = "application/pkcs7-signature";
