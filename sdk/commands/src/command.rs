//! Any command, with a type or without one.

use std::fmt;

use plist::{Dictionary, Value};

use crate::{
    AccessRights, ClearPasscode, CommandError, DeviceInformation, DeviceLock, EraseDevice, Facts,
    InstallProfile, ProfileList, RemoveProfile, SecurityInfo,
};

/// The key that names a command.
const REQUEST_TYPE: &str = "RequestType";

/// A command: one of the catalogue's, or any other as its dictionary.
///
/// `Debug` shows neither secrets nor profiles, and of a [`RawCommand`] only the names of its keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[allow(missing_docs)] // each is its type
pub enum Command {
    DeviceInformation(DeviceInformation),
    SecurityInfo(SecurityInfo),
    DeviceLock(DeviceLock),
    ClearPasscode(ClearPasscode),
    EraseDevice(EraseDevice),
    ProfileList(ProfileList),
    InstallProfile(InstallProfile),
    RemoveProfile(RemoveProfile),
    /// A command that the catalogue has no type for.
    Raw(RawCommand),
}

impl Command {
    /// Reads the `Command` dictionary of a command: `RequestType` and, at the same level, its own keys. A command of the
    /// catalogue is read into its type; any other is kept whole.
    ///
    /// # Errors
    /// [`CommandError`] if there is no `RequestType`, or if a key of a catalogued command is missing, wrong or unknown. A key that
    /// this catalogue does not know yet can go to a device in a [`RawCommand`].
    pub fn from_dictionary(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let command = Self::read(dictionary)?;
        let known = command.to_dictionary();
        match dictionary.keys().find(|key| !known.contains_key(key)) {
            Some(key) => Err(CommandError::Unknown {
                request_type: command.request_type().to_owned(),
                key: key.escape_default().take(64).collect(),
            }),
            None => Ok(command),
        }
    }

    fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        Ok(match request_type(dictionary)? {
            DeviceInformation::REQUEST_TYPE => DeviceInformation::read(dictionary)?.into(),
            SecurityInfo::REQUEST_TYPE => SecurityInfo.into(),
            DeviceLock::REQUEST_TYPE => DeviceLock::read(dictionary)?.into(),
            ClearPasscode::REQUEST_TYPE => ClearPasscode::read(dictionary)?.into(),
            EraseDevice::REQUEST_TYPE => EraseDevice::read(dictionary)?.into(),
            ProfileList::REQUEST_TYPE => ProfileList::read(dictionary)?.into(),
            InstallProfile::REQUEST_TYPE => InstallProfile::read(dictionary)?.into(),
            RemoveProfile::REQUEST_TYPE => RemoveProfile::read(dictionary)?.into(),
            _ => RawCommand::from_dictionary(dictionary.clone())?.into(),
        })
    }

    /// The `Command` dictionary, `RequestType` included. Secrets are in it as they go to the device: store it sealed and
    /// keep it out of logs.
    #[must_use]
    pub fn to_dictionary(&self) -> Dictionary {
        let mut dictionary = Dictionary::new();
        dictionary.insert(REQUEST_TYPE.to_owned(), self.request_type().into());
        match self {
            Self::DeviceInformation(command) => command.write(&mut dictionary),
            Self::SecurityInfo(SecurityInfo) => {}
            Self::DeviceLock(command) => command.write(&mut dictionary),
            Self::ClearPasscode(command) => command.write(&mut dictionary),
            Self::EraseDevice(command) => command.write(&mut dictionary),
            Self::ProfileList(command) => command.write(&mut dictionary),
            Self::InstallProfile(command) => command.write(&mut dictionary),
            Self::RemoveProfile(command) => command.write(&mut dictionary),
            Self::Raw(command) => return command.dictionary.clone(),
        }
        dictionary
    }

    /// The name on the wire.
    #[must_use]
    pub fn request_type(&self) -> &str {
        match self {
            Self::DeviceInformation(_) => DeviceInformation::REQUEST_TYPE,
            Self::SecurityInfo(_) => SecurityInfo::REQUEST_TYPE,
            Self::DeviceLock(_) => DeviceLock::REQUEST_TYPE,
            Self::ClearPasscode(_) => ClearPasscode::REQUEST_TYPE,
            Self::EraseDevice(_) => EraseDevice::REQUEST_TYPE,
            Self::ProfileList(_) => ProfileList::REQUEST_TYPE,
            Self::InstallProfile(_) => InstallProfile::REQUEST_TYPE,
            Self::RemoveProfile(_) => RemoveProfile::REQUEST_TYPE,
            Self::Raw(command) => command.request_type(),
        }
    }

    /// What Apple's schema says about the command; `None` for one that it does not have.
    #[must_use]
    pub fn facts(&self) -> Option<&'static Facts> {
        Facts::of(self.request_type())
    }

    /// The rights that the command takes, those of its queries included; `None` for a command that Apple's schema does
    /// not have.
    #[must_use]
    pub fn rights(&self) -> Option<AccessRights> {
        match self {
            Self::DeviceInformation(command) => Some(command.rights()),
            other => other.facts().map(|facts| facts.right),
        }
    }

    /// Whether the command needs the caution of [`destructive`](field@Facts::destructive). One that nothing is known about does.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.facts().is_none_or(|facts| facts.destructive)
    }
}

/// A command as its dictionary, for everything that the catalogue has no type for.
#[derive(Clone, PartialEq)]
pub struct RawCommand {
    dictionary: Dictionary,
}

impl RawCommand {
    /// The longest `RequestType`, in bytes.
    pub const MAX_REQUEST_TYPE: usize = 127;

    /// The command for a dictionary with `RequestType`; all other keys go to the device as they are.
    ///
    /// # Errors
    /// [`CommandError::RequestType`] if it is not there, or not 1 to 127 printable ASCII characters.
    pub fn from_dictionary(dictionary: Dictionary) -> Result<Self, CommandError> {
        request_type(&dictionary)?;
        Ok(Self { dictionary })
    }

    /// The command `request_type` with the given keys. A `RequestType` among them is replaced.
    ///
    /// # Errors
    /// [`CommandError::RequestType`] if the name is not 1 to 127 printable ASCII characters.
    pub fn new(request_type: &str, mut dictionary: Dictionary) -> Result<Self, CommandError> {
        dictionary.insert(REQUEST_TYPE.to_owned(), request_type.into());
        Self::from_dictionary(dictionary)
    }

    /// The name on the wire.
    #[must_use]
    pub fn request_type(&self) -> &str {
        // Looked at when the value was made; an empty name names no command.
        request_type(&self.dictionary).unwrap_or_default()
    }

    /// All keys, `RequestType` included.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }
}

/// Any value may be a secret, so only the keys are shown.
impl fmt::Debug for RawCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.dictionary.keys().collect();
        f.debug_struct("RawCommand")
            .field("request_type", &self.request_type())
            .field("keys", &keys)
            .finish()
    }
}

fn request_type(dictionary: &Dictionary) -> Result<&str, CommandError> {
    dictionary
        .get(REQUEST_TYPE)
        .and_then(Value::as_string)
        .filter(|name| (1..=RawCommand::MAX_REQUEST_TYPE).contains(&name.len()))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(CommandError::RequestType)
}

macro_rules! from_each {
    ($($variant:ident($command:ident)),* $(,)?) => {
        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$variant(command)
                }
            }
        )*
    };
}

from_each! {
    DeviceInformation(DeviceInformation),
    SecurityInfo(SecurityInfo),
    DeviceLock(DeviceLock),
    ClearPasscode(ClearPasscode),
    EraseDevice(EraseDevice),
    ProfileList(ProfileList),
    InstallProfile(InstallProfile),
    RemoveProfile(RemoveProfile),
    Raw(RawCommand),
}
