//! The commands that a rule may issue, as settings write them.

use lanyard_sdk::commands::{
    Command, CommandError, DeviceInformation, DeviceLock, EraseDevice, Pin, ProfileList, Query,
    RawCommand, RemoveProfile, SecurityInfo,
};
use serde::Deserialize;

/// A command with its keys.
#[derive(Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
pub(crate) enum Wanted {
    DeviceInformation {
        queries: Vec<String>,
    },
    SecurityInfo {},
    ProfileList {
        managed_only: Option<bool>,
    },
    RemoveProfile {
        identifier: String,
    },
    DeviceLock {
        message: Option<String>,
        phone_number: Option<String>,
        pin: Option<String>,
    },
    EraseDevice {
        pin: Option<String>,
        preserve_data_plan: Option<bool>,
    },
    /// Any other that has no keys: `RestartDevice`.
    Other {
        request_type: String,
    },
}

/// Not the keys: one of them may be a PIN.
impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wanted({})", self.request_type())
    }
}

impl Wanted {
    pub(crate) fn request_type(&self) -> &str {
        match self {
            Self::DeviceInformation { .. } => DeviceInformation::REQUEST_TYPE,
            Self::SecurityInfo {} => SecurityInfo::REQUEST_TYPE,
            Self::ProfileList { .. } => ProfileList::REQUEST_TYPE,
            Self::RemoveProfile { .. } => RemoveProfile::REQUEST_TYPE,
            Self::DeviceLock { .. } => DeviceLock::REQUEST_TYPE,
            Self::EraseDevice { .. } => EraseDevice::REQUEST_TYPE,
            Self::Other { request_type } => request_type,
        }
    }

    /// The command; what is wrong with it was found when the policy was applied.
    pub(crate) fn command(&self) -> Result<Command, String> {
        let wrong = |error: CommandError| error.to_string();
        Ok(match self {
            Self::DeviceInformation { queries } => {
                let queries = queries.iter().map(|name| Query::named(name.clone()));
                let queries = queries.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
                DeviceInformation::new(queries).map_err(wrong)?.into()
            }
            Self::SecurityInfo {} => SecurityInfo.into(),
            Self::ProfileList { managed_only } => ProfileList {
                managed_only: *managed_only,
            }
            .into(),
            Self::RemoveProfile { identifier } => RemoveProfile::new(identifier.clone())
                .map_err(wrong)?
                .into(),
            Self::DeviceLock {
                message,
                phone_number,
                pin,
            } => DeviceLock {
                message: message.clone(),
                phone_number: phone_number.clone(),
                pin: self::pin(pin.as_deref())?,
            }
            .into(),
            Self::EraseDevice {
                pin,
                preserve_data_plan,
            } => EraseDevice {
                pin: self::pin(pin.as_deref())?,
                preserve_data_plan: *preserve_data_plan,
                ..EraseDevice::default()
            }
            .into(),
            Self::Other { request_type } => RawCommand::new(request_type, Default::default())
                .map_err(wrong)?
                .into(),
        })
    }
}

fn pin(digits: Option<&str>) -> Result<Option<Pin>, String> {
    digits
        .map(Pin::new)
        .transpose()
        .map_err(|error| error.to_string())
}
