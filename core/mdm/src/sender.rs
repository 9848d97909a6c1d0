//! Who speaks: the identity keys that every check-in and connect message carries.

use std::fmt;
use std::str::FromStr;

use plist::Dictionary;
use thiserror::Error;

use crate::document::{FieldError, Fields};

/// `UserID` of every Shared iPad user channel; `UserShortName` tells the users apart there.
const SHARED_IPAD_USER: &str = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF";

const DEVICE_RULE: &str = "must be 1 to 64 letters, digits, '-', '_' or '.'";
const USER_RULE: &str = "must be 1 to 255 bytes without control characters";

/// One channel of one enrollment: a device, or one of its users.
///
/// The canonical spelling, used as a key everywhere, is `UDID` or `UDID:UserID` (with the enrollment id and its user under
/// user enrollment, and the short name for the user of a Shared iPad). It parses back with [`FromStr`].
///
/// ```
/// use lanyard_mdm::EnrollmentId;
///
/// let id: EnrollmentId = "00008030-001C2D:5E0A".parse()?;
/// assert_eq!((id.device(), id.user()), ("00008030-001C2D", Some("5E0A")));
/// assert_eq!(id.device_channel().to_string(), "00008030-001C2D");
/// # Ok::<(), lanyard_mdm::IdentityError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnrollmentId {
    device: String,
    user: Option<String>,
}

/// A string that is not the id of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The device part is out of its alphabet or length.
    #[error("the device id {DEVICE_RULE}")]
    Device,
    /// The user part is out of its alphabet or length.
    #[error("the user id {USER_RULE}")]
    User,
}

impl EnrollmentId {
    /// A device channel, by its UDID or enrollment id: 1 to 64 characters of `A–Z a–z 0–9 - _ .`
    ///
    /// # Errors
    ///
    /// [`IdentityError::Device`] for anything else.
    pub fn of_device(device: impl Into<String>) -> Result<Self, IdentityError> {
        let device = device.into();
        if !is_device(&device) {
            return Err(IdentityError::Device);
        }
        Ok(Self { device, user: None })
    }

    /// The channel of a user (1 to 255 bytes, no control characters) on the same device.
    ///
    /// # Errors
    ///
    /// [`IdentityError::User`] for anything else.
    pub fn of_user(&self, user: impl Into<String>) -> Result<Self, IdentityError> {
        let user = user.into();
        if !is_user(&user) {
            return Err(IdentityError::User);
        }
        Ok(Self {
            device: self.device.clone(),
            user: Some(user),
        })
    }

    /// The device's part: a UDID or, under user enrollment, an enrollment id. Certificates are bound to this.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The user's part, on a user channel.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether this is a user channel.
    #[must_use]
    pub fn is_user_channel(&self) -> bool {
        self.user.is_some()
    }

    /// The device channel of the same device.
    #[must_use]
    pub fn device_channel(&self) -> Self {
        Self {
            device: self.device.clone(),
            user: None,
        }
    }
}

impl fmt::Display for EnrollmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.device)?;
        match &self.user {
            Some(user) => write!(f, ":{user}"),
            None => Ok(()),
        }
    }
}

impl FromStr for EnrollmentId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        match text.split_once(':') {
            Some((device, user)) => Self::of_device(device)?.of_user(user),
            None => Self::of_device(text),
        }
    }
}

/// The identity keys of a message, as they came (spec: Apple, "Managing MDM connections").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    id: EnrollmentId,
    /// Whether the device part is an `EnrollmentID` (user enrollment) and not a UDID.
    pub user_enrollment: bool,
    /// `UserID` of a user channel.
    pub user_id: Option<String>,
    /// `UserShortName`: the login name, or the Managed Apple Account on a Shared iPad.
    pub user_short_name: Option<String>,
    /// `UserLongName`.
    pub user_long_name: Option<String>,
    /// `NotOnConsole`: the user is logged in, but not at the screen (macOS).
    pub not_on_console: Option<bool>,
}

impl Sender {
    /// The keys that [`Sender::id`] is made of.
    pub(crate) const ID_KEYS: [&str; 5] = [
        "UDID",
        "EnrollmentID",
        "UserID",
        "EnrollmentUserID",
        "UserShortName",
    ];

    /// The device itself, by UDID (client half).
    ///
    /// # Errors
    ///
    /// [`IdentityError::Device`] for a UDID that no server would accept.
    pub fn device(udid: impl Into<String>) -> Result<Self, IdentityError> {
        Ok(Self {
            id: EnrollmentId::of_device(udid)?,
            user_enrollment: false,
            user_id: None,
            user_short_name: None,
            user_long_name: None,
            not_on_console: None,
        })
    }

    /// A Mac's user on the same device (client half).
    ///
    /// # Errors
    ///
    /// [`IdentityError::User`] for a user id that no server would accept.
    pub fn user(
        &self,
        user_id: &str,
        short_name: &str,
        long_name: &str,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            id: self.id.of_user(user_id)?,
            user_enrollment: self.user_enrollment,
            user_id: Some(user_id.to_owned()),
            user_short_name: Some(short_name.to_owned()),
            user_long_name: Some(long_name.to_owned()),
            not_on_console: Some(false),
        })
    }

    /// The channel that this message belongs to.
    #[must_use]
    pub fn id(&self) -> &EnrollmentId {
        &self.id
    }

    /// Takes the identity keys out of a message. A UDID goes before an enrollment id where both are there: the certificate
    /// binding is checked against the result, so a sender gains nothing by sending both.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        let udid = fields.filled("UDID")?;
        let enrollment_id = fields.filled("EnrollmentID")?;
        let user_id = fields.filled("UserID")?;
        let enrollment_user_id = fields.filled("EnrollmentUserID")?;
        let user_short_name = fields.filled("UserShortName")?;

        let user_enrollment = udid.is_none() && enrollment_id.is_some();
        let device = fields.required("UDID", udid.or(enrollment_id))?;
        let device =
            EnrollmentId::of_device(device).map_err(|_| fields.invalid("UDID", DEVICE_RULE))?;
        let (key, user) = if user_enrollment {
            ("EnrollmentUserID", enrollment_user_id.clone())
        } else if user_id.as_deref() == Some(SHARED_IPAD_USER) {
            let name = fields.required("UserShortName", user_short_name.clone())?;
            ("UserShortName", Some(name))
        } else {
            ("UserID", user_id.clone())
        };
        let id = match user {
            Some(user) => device
                .of_user(user)
                .map_err(|_| fields.invalid(key, USER_RULE))?,
            None => device,
        };
        Ok(Self {
            id,
            user_enrollment,
            user_id: user_id.or(enrollment_user_id),
            user_short_name,
            user_long_name: fields.filled("UserLongName")?,
            not_on_console: fields.boolean("NotOnConsole")?,
        })
    }

    /// Adds the identity keys to a message (client half).
    pub(crate) fn put(&self, message: &mut Dictionary) {
        let (device_key, user_key) = if self.user_enrollment {
            ("EnrollmentID", "EnrollmentUserID")
        } else {
            ("UDID", "UserID")
        };
        message.insert(device_key.to_owned(), self.id.device.clone().into());
        let texts = [
            (user_key, &self.user_id),
            ("UserShortName", &self.user_short_name),
            ("UserLongName", &self.user_long_name),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                message.insert(key.to_owned(), text.clone().into());
            }
        }
        if let Some(not_on_console) = self.not_on_console {
            message.insert("NotOnConsole".to_owned(), not_on_console.into());
        }
    }
}

fn is_device(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_user(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}
