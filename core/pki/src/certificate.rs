//! X.509 certificates as they are read, and what they say of their keys (RFC 5280).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use der::Tag;
use x509_parser::{
    extensions::ParsedExtension,
    pem::Pem,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{Digest, Name, ObjectIdentifier, PublicKey, SignatureError, Strength, asn1::Walk};

/// A certificate could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 certificate.
    #[error("not an X.509 certificate in DER: {0}")]
    Malformed(String),
    /// PEM without a certificate in it.
    #[error("no certificate found: PEM text with -----BEGIN CERTIFICATE----- is expected")]
    NoCertificate,
}

/// What a key may be used for (RFC 5280, 4.2.1.3): a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Signing anything but certificates and CRLs.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Encrypting keys, as CMS envelopes do.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Signing certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// Signing CRLs.
    pub const CRL_SIGN: Self = Self(1 << 6);

    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An X.509 certificate, read leniently: its octets are kept, and of its fields only what is needed here.
///
/// Serial numbers may be of any length, unknown extensions are passed over, nothing is checked beyond the structure.
/// Two certificates are equal when their octets are. A clone shares them.
#[derive(Clone)]
pub struct Certificate(Arc<Fields>);

struct Fields {
    der: Vec<u8>,
    /// Where the signed part begins and ends.
    tbs: (usize, usize),
    signature_algorithm: ObjectIdentifier,
    signature: Vec<u8>,
    serial: Vec<u8>,
    issuer: Name,
    subject: Name,
    not_before: SystemTime,
    not_after: SystemTime,
    public_key: PublicKey,
    key_usage: Option<KeyUsage>,
    subject_key_id: Option<Vec<u8>>,
    authority: bool,
}

impl Certificate {
    /// Reads one certificate in DER; nothing may follow it.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`]
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |reason: &dyn fmt::Display| CertificateError::Malformed(reason.to_string());
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        if !rest.is_empty() {
            return Err(malformed(&"bytes follow it"));
        }
        let outer = outer(der, &parsed).map_err(|error| malformed(&error))?;
        let public_key =
            PublicKey::from_spki(parsed.public_key().raw).map_err(|error| malformed(&error))?;
        let extension = |wanted: fn(&ParsedExtension<'_>) -> bool| {
            parsed
                .extensions()
                .iter()
                .map(|extension| extension.parsed_extension())
                .find(|found| wanted(found))
        };
        let key_usage = match extension(|found| matches!(found, ParsedExtension::KeyUsage(_))) {
            Some(ParsedExtension::KeyUsage(usage)) => Some(KeyUsage::from_bits(usage.flags)),
            _ => None,
        };
        let subject_key_id =
            match extension(|found| matches!(found, ParsedExtension::SubjectKeyIdentifier(_))) {
                Some(ParsedExtension::SubjectKeyIdentifier(id)) => Some(id.0.to_vec()),
                _ => None,
            };
        Ok(Self(Arc::new(Fields {
            tbs: outer.tbs,
            signature_algorithm: outer.signature_algorithm,
            signature: outer.signature.to_vec(),
            serial: parsed.raw_serial().to_vec(),
            issuer: Name::from_der(parsed.issuer().as_raw()),
            subject: Name::from_der(parsed.subject().as_raw()),
            not_before: system_time(parsed.validity().not_before.timestamp()),
            not_after: system_time(parsed.validity().not_after.timestamp()),
            key_usage,
            subject_key_id,
            authority: parsed.is_ca(),
            public_key,
            der: der.to_vec(),
        })))
    }

    /// Reads every certificate of a PEM text, in order; other blocks are passed over.
    ///
    /// # Errors
    /// [`CertificateError`]; a text without any certificate is one.
    pub fn many_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let mut certificates = Vec::new();
        for block in Pem::iter_from_buffer(pem) {
            let block = block.map_err(|error| CertificateError::Malformed(error.to_string()))?;
            if block.label == "CERTIFICATE" {
                certificates.push(Self::from_der(&block.contents)?);
            }
        }
        if certificates.is_empty() {
            Err(CertificateError::NoCertificate)
        } else {
            Ok(certificates)
        }
    }

    /// The encoded certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate in PEM, with lines of 64 characters.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("CERTIFICATE", &self.0.der)
    }

    /// The contents of the serial number's INTEGER, as they came.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// From when it is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before
    }

    /// Until when it is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after
    }

    /// Whether it is valid at this time.
    #[must_use]
    pub fn is_valid_at(&self, time: SystemTime) -> bool {
        self.0.not_before <= time && time <= self.0.not_after
    }

    /// Its key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// What its key may be used for, if it says so.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.key_usage
    }

    /// The subject key identifier, if it has one.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.subject_key_id.as_deref()
    }

    /// Whether basicConstraints says that it is a certificate authority's.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.0.authority
    }

    /// SHA-256 of the encoded certificate.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Digest::sha256(&self.0.der)
    }

    /// Checks that `key` signed it. Nothing else is checked: neither names, nor times, nor that `key` is an authority's.
    ///
    /// # Errors
    /// [`SignatureError`]
    pub fn verify_signed_by(
        &self,
        key: &PublicKey,
        strength: Strength,
    ) -> Result<(), SignatureError> {
        let (start, end) = self.0.tbs;
        key.verify_as(
            self.0.signature_algorithm,
            None,
            &self.0.der[start..end],
            &self.0.signature,
            strength,
        )
    }
}

struct Outer<'a> {
    tbs: (usize, usize),
    signature_algorithm: ObjectIdentifier,
    signature: &'a [u8],
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
///
/// The algorithm stands inside tbsCertificate, too; the two must be the same (RFC 5280, 4.1.1.2), so that nothing of a
/// certificate is outside its signature.
fn outer<'a>(der: &'a [u8], inner: &X509Certificate<'_>) -> Result<Outer<'a>, String> {
    let read = || {
        let certificate = Walk::only(der)?.expect(Tag::Sequence)?;
        let mut fields = certificate.children()?;
        let tbs = fields.expect(Tag::Sequence)?;
        let algorithm = fields.next()?.algorithm()?;
        let signature = fields.next()?.whole_bits()?;
        fields.end()?;
        let start = certificate.raw.len() - certificate.contents.len();
        Ok(Outer {
            tbs: (start, start + tbs.raw.len()),
            signature_algorithm: algorithm.kind,
            signature,
        })
    };
    let outer = read().map_err(|error: der::Error| error.to_string())?;
    if inner.signature_algorithm == inner.tbs_certificate.signature {
        Ok(outer)
    } else {
        Err("its two signature algorithms differ".to_owned())
    }
}

/// Times before 1970 are shown as 1970: no certificate that is still of use has one.
fn system_time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Certificate({}, issued by {})",
            self.0.subject, self.0.issuer
        )
    }
}
/// RFC 7468, with lines of 64 characters.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
