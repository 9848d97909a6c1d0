//! Throw-away authorities, for the sides of Apple that are simulated: nobody else trusts them, and their keys lie in files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lanyard_pki::pkcs12::Pkcs12Error;
use lanyard_pki::{
    Authority, Certificate, CertificateError, IssueError, KeyError, KeyUsage, Name, PrivateKey,
    SerialNumber, Template,
};

use crate::file::{self, Readers};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A key with its certificate and the certificates above it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The private key.
    pub key: PrivateKey,
    /// The certificate of that key.
    pub certificate: Certificate,
    /// The certificates above it, the issuer's first, the root last.
    pub chain: Vec<Certificate>,
}

impl Identity {
    /// The certificate and those above it, the leaf first.
    pub fn full_chain(&self) -> Vec<&Certificate> {
        std::iter::once(&self.certificate)
            .chain(&self.chain)
            .collect()
    }
}

/// A template of an authority, valid from a day ago for ten years; `below` more authorities may follow.
pub(crate) fn authority(subject: Name, below: u8, now: SystemTime) -> Template {
    Template {
        key_usage: KeyUsage::KEY_CERT_SIGN.and(KeyUsage::CRL_SIGN),
        authority: Some(below),
        ..end_entity(subject, 3650, now)
    }
}

/// A template of an end entity, valid from a day ago for that many days: clocks of devices and servers differ.
pub(crate) fn end_entity(subject: Name, days: u32, now: SystemTime) -> Template {
    Template {
        subject,
        serial: SerialNumber::from_random(rand::random()),
        not_before: now - DAY,
        not_after: now + DAY * days,
        key_usage: KeyUsage::DIGITAL_SIGNATURE,
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    }
}

/// Writes certificates as one PEM file, in the order given.
pub(crate) fn write_certificates<'a>(
    path: &Path,
    certificates: impl IntoIterator<Item = &'a Certificate>,
) -> Result<(), AuthorityError> {
    let pem: String = certificates.into_iter().map(Certificate::to_pem).collect();
    write(path, pem.as_bytes(), Readers::All)
}

/// Writes a private key as PEM that only the owner can read.
pub(crate) fn write_key(path: &Path, key: &PrivateKey) -> Result<(), AuthorityError> {
    write(path, key.to_pem()?.as_bytes(), Readers::Owner)
}

pub(crate) fn write(path: &Path, contents: &[u8], readers: Readers) -> Result<(), AuthorityError> {
    file::replace(path, contents, readers).map_err(|source| AuthorityError::File {
        path: path.to_owned(),
        source,
    })
}

/// Reads an authority's certificate (the first of the PEM file) and key back.
pub(crate) fn read_authority(
    certificate: &Path,
    key: &Path,
) -> Result<(Authority, Vec<Certificate>), AuthorityError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| AuthorityError::File {
            path: path.to_owned(),
            source,
        })
    };
    let mut certificates = Certificate::many_from_pem(&read(certificate)?)?;
    let first = certificates.remove(0);
    let key = PrivateKey::from_pem(&read(key)?)?;
    Ok((Authority::new(first, key)?, certificates))
}

/// A throw-away authority could not be made, kept or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A key could not be made or read.
    #[error("a throw-away key cannot be made or read")]
    Key(#[from] KeyError),
    /// A certificate could not be issued.
    #[error("a throw-away certificate cannot be issued")]
    Issue(#[from] IssueError),
    /// A certificate in a file cannot be read.
    #[error(
        "a throw-away certificate cannot be read back; remove its directory to have a new one made"
    )]
    Certificate(#[from] CertificateError),
    /// A PKCS#12 file could not be made.
    #[error("the throw-away PKCS#12 file cannot be made")]
    Pkcs12(#[from] Pkcs12Error),
    /// A file could not be read or written.
    #[error("the file {path} cannot be read or written", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
