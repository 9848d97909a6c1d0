//! What a device says about itself.

use serde::{Deserialize, Serialize};

use crate::Facts;

/// Device attributes as the device reported them; whether anybody vouches for them is [`Attestation`](crate::Attestation).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// `UDID`.
    pub udid: String,
    /// `SERIAL`.
    pub serial: Option<String>,
    /// `PRODUCT`: `iPhone16,1`.
    pub product: Option<String>,
    /// The operating system's version as people know it: `18.5`.
    pub os_version: Option<String>,
    /// `VERSION` of the Profile Service: the operating system's build, `22F76`.
    pub build: Option<String>,
    /// `IMEI`.
    pub imei: Option<String>,
    /// `MEID`.
    pub meid: Option<String>,
    /// What else is known, by the name of the query that reported it; and the terms of the enrollment, as `setting.` and their name.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub further: Facts,
}
