//! Phase 1: the document that asks a device for its attributes.

use plist::{Dictionary, Value};

use crate::document::{self, Fields, Limits, WriteError};
use crate::profile::{Label, ProfileError};
use crate::secret::Challenge;

/// The attributes that this server asks for. A device leaves out, or sends empty, what it does not have.
pub const ATTRIBUTES: [&str; 7] = [
    "UDID",
    "VERSION",
    "PRODUCT",
    "SERIAL",
    "MEID",
    "IMEI",
    "DEVICE_NAME",
];

/// The Profile Service document. A bare dictionary: wrapped into a Configuration, it does not start an enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileService {
    /// Its identity and names.
    pub label: Label,
    /// Where phases 2 and 3 are posted; https.
    pub url: String,
    /// The attributes asked for, by protocol name.
    pub attributes: Vec<String>,
    /// Ties the answer to the person who signed in; the device echoes it once.
    pub challenge: Option<Challenge>,
}

impl ProfileService {
    const TYPE: &'static str = "Profile Service";

    /// A document that asks for all of [`ATTRIBUTES`].
    #[must_use]
    pub fn new(label: Label, url: impl Into<String>, challenge: Challenge) -> Self {
        Self {
            label,
            url: url.into(),
            attributes: ATTRIBUTES.map(str::to_owned).to_vec(),
            challenge: Some(challenge),
        }
    }

    /// The document, to be signed.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when a text in it has no XML form.
    pub fn to_xml(&self) -> Result<Vec<u8>, WriteError> {
        let mut content = Dictionary::new();
        content.insert("URL".to_owned(), self.url.as_str().into());
        let attributes = self.attributes.iter().map(|name| name.as_str().into());
        content.insert(
            "DeviceAttributes".to_owned(),
            Value::Array(attributes.collect()),
        );
        if let Some(challenge) = &self.challenge {
            content.insert("Challenge".to_owned(), challenge.expose().into());
        }
        let mut entries = self.label.envelope(Self::TYPE);
        entries.insert("PayloadContent".to_owned(), Value::Dictionary(content));
        document::write(&entries)
    }

    /// Reads the document, once its signature has been dealt with (client half).
    ///
    /// # Errors
    ///
    /// [`ProfileError::Document`], [`ProfileError::Field`].
    pub fn parse(document: &[u8], limits: Limits) -> Result<Self, ProfileError> {
        let mut fields = Fields::new(Self::TYPE, document::read(document, limits)?);
        let (payload_type, label) = Label::take(&mut fields)?;
        if payload_type != Self::TYPE {
            return Err(fields
                .invalid("PayloadType", "must be Profile Service")
                .into());
        }
        let content = fields.dictionary("PayloadContent")?;
        let content = fields.required("PayloadContent", content)?;
        let mut fields = Fields::new(Self::TYPE, content);
        let url = fields.filled("URL")?;
        let url = fields.required("URL", url)?;
        if !url.starts_with("https://") {
            return Err(fields.invalid("URL", "must be an https:// URL").into());
        }
        Ok(Self {
            label,
            url,
            attributes: fields.texts("DeviceAttributes")?,
            challenge: super::attributes::take_challenge(&mut fields, "Challenge")?,
        })
    }
}
