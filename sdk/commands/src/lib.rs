//! The typed catalogue of Apple's MDM commands: what a server asks of a device, what the device answers, and what is
//! known about each command beforehand. It turns commands into property-list dictionaries and back; it does **not** read
//! or write property-list files, wrap commands in their envelope, queue or send them (that is `lanyard-mdm` and what
//! stands on it), so it has no I/O, no clock and no randomness, and builds for WebAssembly.
//!
//! A value of a command type is a command that Apple's schema allows: what would be wrong cannot be made.
//!
//! ```
//! use lanyard_commands::{Answer, Command, DeviceInformation, DeviceLock, MessageResult, Pin, Query};
//!
//! let command = Command::from(DeviceLock {
//!     message: Some("Please return to the front desk".to_owned()),
//!     pin: Some(Pin::new("135790")?),
//!     ..DeviceLock::default()
//! });
//! assert_eq!(command.request_type(), "DeviceLock");
//! assert!(command.is_destructive());
//! // What goes under the key `Command` of the envelope:
//! let dictionary = command.to_dictionary();
//! assert_eq!(dictionary["PIN"].as_string(), Some("135790"));
//!
//! // And what comes back:
//! let mut response = plist::Dictionary::new();
//! response.insert("Status".to_owned(), "Acknowledged".into());
//! response.insert("MessageResult".to_owned(), "Success".into());
//! let Answer::DeviceLock(answer) = Answer::read(command.request_type(), &response)? else {
//!     unreachable!("the catalogue has a type for this answer");
//! };
//! assert_eq!(answer.message_result, Some(MessageResult::Success));
//!
//! // An impossible command is an error that says what would be right.
//! let error = DeviceInformation::new([]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "DeviceInformation: `Queries` must be an array of 1 to 128 strings",
//! );
//! let asked = DeviceInformation::new([Query::DEVICE_NAME, Query::WIFI_MAC])?;
//! assert_eq!(asked.rights().bits(), 16 | 32);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sources: Apple's schema (github.com/apple/device-management, release iOS 18.1 / macOS 15.1) and the pages of "Device
//! Management" that the types name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod clear_passcode;
mod command;
mod device_information;
mod device_lock;
mod erase_device;
mod error;
mod facts;
mod fields;
mod install_profile;
mod profile_list;
mod remove_profile;
mod rights;
mod secret;
mod security_info;

pub use answer::Answer;
pub use clear_passcode::ClearPasscode;
pub use command::{Command, RawCommand};
pub use device_information::{
    DeviceInformation, DeviceInformationAnswer, Query, ServiceSubscription,
};
pub use device_lock::{DeviceLock, DeviceLockAnswer, MessageResult};
pub use erase_device::{EraseDevice, ObliterationBehavior, ReturnToService};
pub use error::{AnswerError, CommandError};
pub use facts::{Availability, Facts, Platform};
pub use install_profile::InstallProfile;
pub use profile_list::{InstalledPayload, InstalledProfile, ProfileList, ProfileListAnswer};
pub use remove_profile::RemoveProfile;
pub use rights::AccessRights;
pub use secret::{NotAPin, Pin, UnlockToken};
pub use security_info::{
    FirewallApplication, FirewallSettings, FirmwarePasswordStatus, ManagementStatus, SecureBoot,
    SecurityInfo, SecurityInfoAnswer,
};
