//! How a device is managed.

use lanyard_mdm::profile::MdmPayload;
use serde::{Deserialize, Serialize};

/// How a device is managed: what it keeps of the `com.apple.mdm` payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// `Topic`.
    pub topic: String,
    /// `ServerURL`.
    pub connect_url: String,
    /// `CheckInURL`.
    pub check_in_url: String,
    /// `SignMessage`.
    pub sign_message: bool,
    /// `CheckOutWhenRemoved`.
    pub check_out_when_removed: bool,
}

impl From<&MdmPayload> for Management {
    fn from(mdm: &MdmPayload) -> Management {
        Management {
            topic: mdm.topic.clone(),
            connect_url: mdm.server_url.clone(),
            check_in_url: mdm.check_in_url.as_ref().unwrap_or(&mdm.server_url).clone(),
            sign_message: mdm.sign_message,
            check_out_when_removed: mdm.check_out_when_removed,
        }
    }
}
