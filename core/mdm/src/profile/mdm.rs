//! `com.apple.mdm`: puts the device under management (Apple, "MDM" payload).

use plist::{Dictionary, Value};
use thiserror::Error;
use uuid::Uuid;

use super::label::{UUID_RULE, parse, spell};
use crate::document::{FieldError, Fields};

/// Settings of the management payload. [`super::ConfigurationProfile`] checks them against each other when it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdmPayload {
    /// `IdentityCertificateUUID`: the PayloadUUID of the identity payload in the same profile.
    pub identity: Uuid,
    /// `Topic`: the UID of the push certificate's subject, `com.apple.mgmt.…`. Changing it loses every device.
    pub topic: String,
    /// `ServerURL`, https.
    pub server_url: String,
    /// `CheckInURL`, https; `None` means the same as `server_url`.
    pub check_in_url: Option<String>,
    /// `SignMessage`: the device adds `Mdm-Signature` to every request.
    pub sign_message: bool,
    /// `AccessRights`; `None` under account-driven enrollment.
    pub access_rights: Option<AccessRights>,
    /// `ServerCapabilities`.
    pub capabilities: Vec<Capability>,
    /// `CheckOutWhenRemoved`.
    pub check_out_when_removed: bool,
    /// `EnrollmentMode` of an account-driven enrollment.
    pub enrollment_mode: Option<EnrollmentMode>,
    /// `AssignedManagedAppleID` of an account-driven enrollment.
    pub assigned_account: Option<String>,
    /// `ServerURLPinningCertificateUUIDs`: PayloadUUIDs of certificates in the same profile.
    pub server_pins: Vec<Uuid>,
    /// `CheckInURLPinningCertificateUUIDs`: PayloadUUIDs of certificates in the same profile.
    pub check_in_pins: Vec<Uuid>,
    /// `PinningRevocationCheckRequired`.
    pub pinning_revocation_check: bool,
}

/// What the server can do beyond the basics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// User channels of Macs and Shared iPads. May neither come nor go on an update.
    PerUserConnections,
    /// The device escrows a bootstrap token.
    BootstrapToken,
    /// The device may send GetToken.
    Token,
    /// One that this server does not know.
    Other(String),
}

/// How an account-driven enrollment treats the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrollmentMode {
    /// `BYOD`: the person owns it.
    Byod,
    /// `ADDE`: the organization owns it.
    Adde,
}

/// What the profile lets the server do: a set of bits. Never empty; may only shrink when a profile is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRights(u16);

/// Bits that are no set of access rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessRightsError {
    /// Nothing, or a bit above 4096.
    #[error("access rights must be between 1 and 8191, found {0}")]
    Range(i64),
    /// Bit 2 without 1, or 128 without 64.
    #[error("access right {0} needs {1} as well")]
    Needs(u16, u16),
}

impl AccessRights {
    /// Every right: what a server that manages whole devices asks for.
    pub const ALL: Self = Self(8191);
    /// 1: list profiles and certificates.
    pub const INSPECTION: u16 = 1;
    /// 2: install and remove profiles.
    pub const PROFILES: u16 = 2;
    /// 4: lock, clear the passcode, restart, shut down.
    pub const LOCK: u16 = 4;
    /// 8: erase.
    pub const ERASE: u16 = 8;
    /// 1024: security facts.
    pub const SECURITY: u16 = 1024;

    /// Makes a set out of the sum of its bits.
    ///
    /// # Errors
    ///
    /// [`AccessRightsError`] where a device would refuse the profile.
    pub fn from_bits(bits: i64) -> Result<Self, AccessRightsError> {
        let rights = u16::try_from(bits)
            .ok()
            .filter(|bits| (1..=Self::ALL.0).contains(bits))
            .ok_or(AccessRightsError::Range(bits))?;
        for (right, needed) in [(2, 1), (128, 64)] {
            if rights & right != 0 && rights & needed == 0 {
                return Err(AccessRightsError::Needs(right, needed));
            }
        }
        Ok(Self(rights))
    }

    /// The sum of the bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl Capability {
    const KNOWN: [Self; 3] = [Self::PerUserConnections, Self::BootstrapToken, Self::Token];

    fn as_str(&self) -> &str {
        match self {
            Self::PerUserConnections => "com.apple.mdm.per-user-connections",
            Self::BootstrapToken => "com.apple.mdm.bootstraptoken",
            Self::Token => "com.apple.mdm.token",
            Self::Other(name) => name,
        }
    }

    fn from_protocol(name: String) -> Self {
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == name);
        known.unwrap_or(Self::Other(name))
    }
}

impl EnrollmentMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Byod => "BYOD",
            Self::Adde => "ADDE",
        }
    }
}

impl MdmPayload {
    pub(super) const TYPE: &'static str = "com.apple.mdm";

    /// Management of a whole device with every right, signed messages and CheckOut on removal.
    #[must_use]
    pub fn new(identity: Uuid, topic: impl Into<String>, server_url: impl Into<String>) -> Self {
        Self {
            identity,
            topic: topic.into(),
            server_url: server_url.into(),
            check_in_url: None,
            sign_message: true,
            access_rights: Some(AccessRights::ALL),
            capabilities: Vec::new(),
            check_out_when_removed: true,
            enrollment_mode: None,
            assigned_account: None,
            server_pins: Vec::new(),
            check_in_pins: Vec::new(),
            pinning_revocation_check: false,
        }
    }

    pub(super) fn put(&self, entries: &mut Dictionary) {
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                entries.insert(key.to_owned(), value);
            }
        };
        let uuids = |uuids: &[Uuid]| {
            let texts = uuids.iter().map(|&uuid| Value::String(spell(uuid)));
            (!uuids.is_empty()).then(|| Value::Array(texts.collect()))
        };
        put("IdentityCertificateUUID", Some(spell(self.identity).into()));
        put("Topic", Some(self.topic.as_str().into()));
        put("ServerURL", Some(self.server_url.as_str().into()));
        put("CheckInURL", self.check_in_url.as_deref().map(Value::from));
        put("SignMessage", Some(self.sign_message.into()));
        put(
            "AccessRights",
            self.access_rights.map(|rights| rights.0.into()),
        );
        let names = self
            .capabilities
            .iter()
            .map(|capability| capability.as_str().into());
        let names: Vec<Value> = names.collect();
        put(
            "ServerCapabilities",
            (!names.is_empty()).then_some(Value::Array(names)),
        );
        put(
            "CheckOutWhenRemoved",
            Some(self.check_out_when_removed.into()),
        );
        put(
            "EnrollmentMode",
            self.enrollment_mode.map(|mode| mode.as_str().into()),
        );
        put(
            "AssignedManagedAppleID",
            self.assigned_account.as_deref().map(Value::from),
        );
        put("ServerURLPinningCertificateUUIDs", uuids(&self.server_pins));
        put(
            "CheckInURLPinningCertificateUUIDs",
            uuids(&self.check_in_pins),
        );
        let check = self.pinning_revocation_check;
        put(
            "PinningRevocationCheckRequired",
            check.then_some(true.into()),
        );
    }

    pub(super) fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        fields.rename(Self::TYPE);
        let identity = fields.text("IdentityCertificateUUID")?;
        let identity = fields.required("IdentityCertificateUUID", identity)?;
        let identity =
            parse(&identity).ok_or_else(|| fields.invalid("IdentityCertificateUUID", UUID_RULE))?;
        let topic = fields.filled("Topic")?;
        let server_url = fields.filled("ServerURL")?;
        let rights = fields.integer("AccessRights")?.map(AccessRights::from_bits);
        let rights = rights.transpose().map_err(|_| {
            fields.invalid(
                "AccessRights",
                "must be between 1 and 8191, with 1 beside 2 and 64 beside 128",
            )
        })?;
        Ok(Self {
            identity,
            topic: fields.required("Topic", topic)?,
            server_url: fields.required("ServerURL", server_url)?,
            check_in_url: fields.filled("CheckInURL")?,
            sign_message: fields.boolean("SignMessage")?.unwrap_or(false),
            access_rights: rights,
            capabilities: {
                let names = fields.texts("ServerCapabilities")?;
                names.into_iter().map(Capability::from_protocol).collect()
            },
            check_out_when_removed: fields.boolean("CheckOutWhenRemoved")?.unwrap_or(false),
            enrollment_mode: take_mode(fields)?,
            assigned_account: fields.filled("AssignedManagedAppleID")?,
            server_pins: take_uuids(fields, "ServerURLPinningCertificateUUIDs")?,
            check_in_pins: take_uuids(fields, "CheckInURLPinningCertificateUUIDs")?,
            pinning_revocation_check: fields
                .boolean("PinningRevocationCheckRequired")?
                .unwrap_or(false),
        })
    }
}

fn take_mode(fields: &mut Fields) -> Result<Option<EnrollmentMode>, FieldError> {
    let Some(name) = fields.text("EnrollmentMode")? else {
        return Ok(None);
    };
    let mode = [EnrollmentMode::Byod, EnrollmentMode::Adde]
        .into_iter()
        .find(|mode| mode.as_str() == name);
    let invalid = || fields.invalid("EnrollmentMode", "must be BYOD or ADDE");
    mode.ok_or_else(invalid).map(Some)
}

fn take_uuids(fields: &mut Fields, key: &'static str) -> Result<Vec<Uuid>, FieldError> {
    let texts = fields.texts(key)?;
    let uuids: Option<Vec<Uuid>> = texts.iter().map(|text| parse(text)).collect();
    uuids.ok_or_else(|| fields.invalid(key, UUID_RULE))
}
