//! Payloads that only one device can read.
//!
//! Innermost an array of payloads as a property list, around it CMS EnvelopedData to the certificate of the device, around
//! that the profile with `EncryptedPayloadContent`, and the server's signature outside ([`crate::signed`]).

use lanyard_pki::cms::{Cipher, Envelope, encrypt};
use lanyard_pki::{Certificate, PrivateKey};
use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::{ConfigurationProfile, Label, Payload, ProfileError};
use crate::document::{self, Fields, Limits};

impl ConfigurationProfile {
    /// The profile with its payloads encrypted (AES-256-CBC; RSA PKCS#1 v1.5, the only key transport that every device takes)
    /// to exactly this certificate.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Invalid`], [`ProfileError::Write`]; [`ProfileError::Encrypt`] for a key that is not RSA.
    pub fn to_encrypted_xml(&self, recipient: &Certificate) -> Result<Vec<u8>, ProfileError> {
        let payloads = self.checked_payloads()?;
        let payloads = Zeroizing::new(document::write_array(&payloads)?);
        let encrypted =
            encrypt(&payloads, recipient, Cipher::Aes256Cbc).map_err(ProfileError::Encrypt)?;
        let mut entries = self.envelope();
        entries.insert("IsEncrypted".to_owned(), true.into());
        entries.insert("EncryptedPayloadContent".to_owned(), Value::Data(encrypted));
        Ok(document::write(&entries)?)
    }
}

/// A profile as a device receives it (client half).
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedProfile {
    /// Its identity and names.
    pub label: Label,
    /// Its payloads, readable or not.
    pub content: Content,
}

/// The payloads of a received profile.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// In clear.
    Clear(Vec<Payload>),
    /// Encrypted: a CMS EnvelopedData.
    Encrypted(Vec<u8>),
}

impl ReceivedProfile {
    const TYPE: &'static str = "Configuration";

    /// Reads a profile whose signature has been dealt with.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Document`], [`ProfileError::Field`].
    pub fn parse(document: &[u8], limits: Limits) -> Result<Self, ProfileError> {
        let mut fields = Fields::new(Self::TYPE, document::read(document, limits)?);
        let (payload_type, label) = Label::take(&mut fields)?;
        if payload_type != Self::TYPE {
            return Err(fields
                .invalid("PayloadType", "must be Configuration")
                .into());
        }
        let encrypted = fields.data("EncryptedPayloadContent")?;
        let clear = fields.array("PayloadContent")?;
        let content = match (encrypted, clear) {
            (Some(_), Some(_)) => {
                let right = "must be absent beside EncryptedPayloadContent";
                return Err(fields.invalid("PayloadContent", right).into());
            }
            (Some(encrypted), None) => Content::Encrypted(encrypted),
            (None, Some(clear)) => Content::Clear(read_payloads(clear)?),
            (None, None) => return Err(fields.missing("PayloadContent").into()),
        };
        Ok(Self { label, content })
    }

    /// The payloads, decrypted with the identity of this device where they are encrypted.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Decrypt`] when they are encrypted to somebody else; [`ProfileError::Document`] and
    /// [`ProfileError::Field`] when what comes out is no array of payloads.
    pub fn payloads(
        self,
        certificate: &Certificate,
        key: &PrivateKey,
        limits: Limits,
    ) -> Result<Vec<Payload>, ProfileError> {
        match self.content {
            Content::Clear(payloads) => Ok(payloads),
            Content::Encrypted(encrypted) => {
                let decrypted = Envelope::parse(&encrypted)
                    .and_then(|envelope| envelope.decrypt(certificate, key))
                    .map_err(ProfileError::Decrypt)?;
                read_payloads(document::read_array(&decrypted, limits)?)
            }
        }
    }
}

fn read_payloads(values: Vec<Value>) -> Result<Vec<Payload>, ProfileError> {
    let mut payloads = Vec::with_capacity(values.len());
    for value in values {
        let found = Fields::new("PayloadContent", Dictionary::new());
        let entries = match value {
            Value::Dictionary(entries) => entries,
            other => {
                return Err(found
                    .type_error("PayloadContent", "dictionary", &other)
                    .into());
            }
        };
        payloads.push(Payload::take(entries)?);
    }
    Ok(payloads)
}
