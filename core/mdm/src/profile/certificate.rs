//! Certificates that a profile makes the device trust or know.

use plist::{Dictionary, Value};

use crate::document::{FieldError, Fields};

/// What the certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// `com.apple.security.root`: an anchor of trust.
    Root,
    /// `com.apple.security.pkcs1`: an intermediate, or a server's certificate.
    Intermediate,
}

/// One certificate (Apple, "CertificateRoot", "CertificatePKCS1").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePayload {
    /// What it is for.
    pub role: CertificateRole,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

impl CertificateRole {
    pub(super) fn payload_type(self) -> &'static str {
        match self {
            Self::Root => "com.apple.security.root",
            Self::Intermediate => "com.apple.security.pkcs1",
        }
    }

    pub(super) fn from_type(payload_type: &str) -> Option<Self> {
        [Self::Root, Self::Intermediate]
            .into_iter()
            .find(|role| role.payload_type() == payload_type)
    }
}

impl CertificatePayload {
    pub(super) fn put(&self, entries: &mut Dictionary) {
        entries.insert("PayloadContent".to_owned(), Value::Data(self.der.clone()));
    }

    pub(super) fn take(role: CertificateRole, fields: &mut Fields) -> Result<Self, FieldError> {
        fields.rename(role.payload_type());
        let der = fields.data("PayloadContent")?;
        Ok(Self {
            role,
            der: fields.required("PayloadContent", der)?,
        })
    }
}
