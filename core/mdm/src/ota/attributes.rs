//! What a device says about itself in phases 2 and 3.

use plist::{Dictionary, Value};

use crate::document::{FieldError, Fields};
use crate::secret::Challenge;
use crate::sender::EnrollmentId;

const UDID_RULE: &str = "must be 1 to 64 letters, digits, '-', '_' or '.'";

/// The attributes of a device. Absent and empty mean the same: the hardware has no such thing, or it was not asked.
///
/// Every text is at most 255 bytes and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceAttributes {
    /// `UDID`: 1 to 64 characters of `A–Z a–z 0–9 - _ .`
    pub udid: String,
    /// `SERIAL`
    pub serial: Option<String>,
    /// `PRODUCT`, such as `iPhone14,5`.
    pub product: Option<String>,
    /// `VERSION`: the build, such as `21F90`, not the number that people know.
    pub version: Option<String>,
    /// `IMEI`
    pub imei: Option<String>,
    /// `MEID`
    pub meid: Option<String>,
    /// `ICCID`
    pub iccid: Option<String>,
    /// `MAC_ADDRESS_EN0`
    pub mac_address: Option<String>,
    /// `DEVICE_NAME`, chosen by its owner.
    pub device_name: Option<String>,
    /// `CHALLENGE`: there in phase 2, not in phase 3.
    pub challenge: Option<Challenge>,
}

impl DeviceAttributes {
    pub(super) fn take(entries: Dictionary) -> Result<Self, FieldError> {
        let mut fields = Fields::new("device attributes", entries);
        let fields = &mut fields;
        let udid = fields.filled("UDID")?;
        let udid = fields.required("UDID", udid)?;
        if EnrollmentId::of_device(udid.as_str()).is_err() {
            return Err(fields.invalid("UDID", UDID_RULE));
        }
        Ok(Self {
            udid,
            serial: fields.label("SERIAL")?,
            product: fields.label("PRODUCT")?,
            version: fields.label("VERSION")?,
            imei: fields.label("IMEI")?,
            meid: fields.label("MEID")?,
            iccid: fields.label("ICCID")?,
            mac_address: fields.label("MAC_ADDRESS_EN0")?,
            device_name: fields.label("DEVICE_NAME")?,
            challenge: take_challenge(fields, "CHALLENGE")?,
        })
    }

    pub(super) fn to_entries(&self) -> Dictionary {
        let texts = [
            ("SERIAL", &self.serial),
            ("PRODUCT", &self.product),
            ("VERSION", &self.version),
            ("IMEI", &self.imei),
            ("MEID", &self.meid),
            ("ICCID", &self.iccid),
            ("MAC_ADDRESS_EN0", &self.mac_address),
            ("DEVICE_NAME", &self.device_name),
        ];
        let mut entries = Dictionary::new();
        entries.insert("UDID".to_owned(), self.udid.as_str().into());
        for (key, text) in texts {
            if let Some(text) = text {
                entries.insert(key.to_owned(), text.as_str().into());
            }
        }
        if let Some(challenge) = &self.challenge {
            entries.insert("CHALLENGE".to_owned(), challenge.expose().into());
        }
        entries
    }

    /// The same device without the challenge, as phase 3 sends it (client half).
    #[must_use]
    pub fn without_challenge(&self) -> Self {
        Self {
            challenge: None,
            ..self.clone()
        }
    }
}

/// A challenge comes back in the type that it was sent in: a string or data, both of text in our case.
pub(super) fn take_challenge(
    fields: &mut Fields,
    key: &'static str,
) -> Result<Option<Challenge>, FieldError> {
    let text = match fields.value(key) {
        None => return Ok(None),
        Some(Value::String(text)) => text,
        Some(Value::Data(data)) => String::from_utf8(data)
            .map_err(|_| fields.invalid(key, "must be text, as string or data"))?,
        Some(other) => return Err(fields.type_error(key, "string", &other)),
    };
    Ok((!text.is_empty()).then(|| Challenge::new(text)))
}
