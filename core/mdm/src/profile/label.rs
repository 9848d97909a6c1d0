//! What every profile and every payload has: identity and names.

use plist::Dictionary;
use uuid::Uuid;

use crate::document::{FieldError, Fields};

/// Identity and names of a profile, a payload or a Profile Service document (Apple, "CommonPayloadKeys").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// `PayloadIdentifier`, reverse DNS.
    pub identifier: String,
    /// `PayloadUUID`. Written in upper case, as Apple does.
    pub uuid: Uuid,
    /// `PayloadDisplayName`, shown to the person.
    pub display_name: Option<String>,
    /// `PayloadDescription`, shown to the person.
    pub description: Option<String>,
    /// `PayloadOrganization`, shown to the person.
    pub organization: Option<String>,
}

impl Label {
    /// A label without texts.
    #[must_use]
    pub fn new(identifier: impl Into<String>, uuid: Uuid) -> Self {
        Self {
            identifier: identifier.into(),
            uuid,
            display_name: None,
            description: None,
            organization: None,
        }
    }

    /// The same with a name for people to read.
    #[must_use]
    pub fn named(self, display_name: impl Into<String>) -> Self {
        Self {
            display_name: Some(display_name.into()),
            ..self
        }
    }

    /// A dictionary with the label, the type and version 1, to be filled.
    pub(crate) fn envelope(&self, payload_type: &str) -> Dictionary {
        let mut entries = Dictionary::new();
        let mut put = |key: &str, text: &str| entries.insert(key.to_owned(), text.into());
        put("PayloadType", payload_type);
        put("PayloadIdentifier", &self.identifier);
        put("PayloadUUID", &spell(self.uuid));
        let texts = [
            ("PayloadDisplayName", &self.display_name),
            ("PayloadDescription", &self.description),
            ("PayloadOrganization", &self.organization),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                put(key, text);
            }
        }
        entries.insert("PayloadVersion".to_owned(), 1.into());
        entries
    }

    /// Takes type and label out of a dictionary.
    pub(crate) fn take(fields: &mut Fields) -> Result<(String, Self), FieldError> {
        let payload_type = fields.text("PayloadType")?;
        let payload_type = fields.required("PayloadType", payload_type)?;
        let version = fields.integer("PayloadVersion")?;
        if fields.required("PayloadVersion", version)? != 1 {
            return Err(fields.invalid("PayloadVersion", "must be 1"));
        }
        let identifier = fields.filled("PayloadIdentifier")?;
        let identifier = fields.required("PayloadIdentifier", identifier)?;
        let uuid = fields.text("PayloadUUID")?;
        let uuid = fields.required("PayloadUUID", uuid)?;
        let uuid = parse(&uuid).ok_or_else(|| fields.invalid("PayloadUUID", UUID_RULE))?;
        let label = Self {
            identifier,
            uuid,
            display_name: fields.text("PayloadDisplayName")?,
            description: fields.text("PayloadDescription")?,
            organization: fields.text("PayloadOrganization")?,
        };
        Ok((payload_type, label))
    }
}

pub(super) const UUID_RULE: &str = "must be a UUID of the form 8-4-4-4-12";

pub(super) fn spell(uuid: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    uuid.hyphenated().encode_upper(&mut buffer).to_owned()
}

pub(super) fn parse(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}
