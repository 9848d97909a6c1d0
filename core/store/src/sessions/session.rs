//! A session as it is made, identified and stored.

use std::time::SystemTime;

use serde_json::Value;
use uuid::Uuid;

use super::read_id;
use crate::StoreError;
use crate::entity::enrollment_session::Model;
use crate::instant::from_millis;
use crate::word::word_enum;

word_enum! {
    /// How far a session got.
    pub enum SessionState in "enrollment_session" {
        /// The person signed in and holds the Profile Service document.
        Authenticated = "authenticated",
        /// The device said who it is (phase 2).
        Identified = "identified",
        /// The device has its interim certificate.
        Certified = "certified",
        /// The device was given its encrypted profile (phase 3).
        Delivered = "delivered",
        /// The first TokenUpdate came: the device is enrolled.
        Completed = "completed",
        /// Enrollment was denied. Final.
        Refused = "refused",
    }
}

impl SessionState {
    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Refused)
    }
}

/// What a session starts with.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Chosen by the caller.
    pub id: Uuid,
    /// The directory that knows the person.
    pub directory: String,
    /// The person's lasting id in that directory.
    pub person_id: String,
    /// What the person is called.
    pub person_name: String,
    /// What else the directory said about the person.
    pub attributes: Value,
    /// SHA-256 of the challenge in the Profile Service document.
    pub challenge_hash: Vec<u8>,
    /// Now.
    pub created_at: SystemTime,
    /// From when on the challenge is no longer taken.
    pub expires_at: SystemTime,
}

/// What a device says about itself in phase 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// `UDID`.
    pub udid: String,
    /// `SERIAL`.
    pub serial: Option<String>,
    /// `PRODUCT`, as in `iPhone14,5`.
    pub product: Option<String>,
    /// `VERSION`, the build of the operating system.
    pub build: Option<String>,
    /// `IMEI`.
    pub imei: Option<String>,
    /// `MEID`.
    pub meid: Option<String>,
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// The directory that knows the person.
    pub directory: String,
    /// The person's lasting id in that directory.
    pub person_id: String,
    /// What the person is called.
    pub person_name: String,
    /// What else the directory said about the person.
    pub attributes: Value,
    /// How far it got.
    pub state: SessionState,
    /// Grows by one with every change; what [`Store::identify_session`](crate::Store::identify_session) and its like compare.
    pub version: i32,
    /// When the person signed in.
    pub created_at: SystemTime,
    /// From when on the challenge is no longer taken.
    pub expires_at: SystemTime,
    /// Which device it is; `None` before phase 2.
    pub device: Option<DeviceFacts>,
    /// Whether Apple's factory chain attested the device, and why not.
    pub attestation: Option<Value>,
    /// The certificate that signed the phase-2 message, DER, for audits.
    pub device_certificate: Option<Vec<u8>>,
    /// What enrollment-approval decided about the profile.
    pub settings: Option<Value>,
}

/// What phase 2 adds to a session.
#[derive(Debug, Clone)]
pub struct Identification {
    /// What the device said.
    pub device: DeviceFacts,
    /// The outcome of walking Apple's factory chain.
    pub attestation: Value,
    /// The signer's certificate, DER.
    pub device_certificate: Vec<u8>,
    /// What enrollment-approval decided.
    pub settings: Value,
}

impl TryFrom<Model> for Session {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let (serial, product, build) = (row.serial, row.product, row.build);
        let (imei, meid) = (row.imei, row.meid);
        Ok(Self {
            id: read_id("enrollment_session", &row.id)?,
            directory: row.directory,
            person_id: row.person_id,
            person_name: row.person_name,
            attributes: row.attributes,
            state: SessionState::read(&row.state)?,
            version: row.version,
            created_at: from_millis(row.created_at),
            expires_at: from_millis(row.expires_at),
            device: row.udid.map(|udid| DeviceFacts {
                udid,
                serial,
                product,
                build,
                imei,
                meid,
            }),
            attestation: row.attestation,
            device_certificate: row.device_certificate,
            settings: row.settings,
        })
    }
}
