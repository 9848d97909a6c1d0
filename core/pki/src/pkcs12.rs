//! PKCS#12 files (RFC 7292): how operators get a push certificate out of a keychain.

use openssl::pkcs12::Pkcs12;

use crate::{Certificate, CertificateError, KeyError, PrivateKey};

/// A PKCS#12 file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs12Error {
    /// Not PKCS#12, a wrong password, or the RC2 encryption that old keychains export.
    #[error(
        "the PKCS#12 file does not open: wrong password, or an old RC2-encrypted export (re-export it with `openssl pkcs12 -legacy -in old.p12 -nodes`, and use the PEM file)"
    )]
    Open(#[source] openssl::error::ErrorStack),
    /// No key or no certificate inside.
    #[error("the PKCS#12 file has no {0} in it")]
    Missing(&'static str),
    /// The key inside is of no use here.
    #[error("the key in the PKCS#12 file is unusable")]
    Key(#[from] KeyError),
    /// A certificate inside cannot be read.
    #[error("a certificate in the PKCS#12 file is unreadable")]
    Certificate(#[from] CertificateError),
    /// Writing failed.
    #[error("the PKCS#12 file could not be written")]
    Write(#[source] openssl::error::ErrorStack),
}

/// Opens a PKCS#12 file: the key, and the certificates, the key's own first.
///
/// # Errors
/// [`Pkcs12Error`]
pub fn open(file: &[u8], password: &str) -> Result<(PrivateKey, Vec<Certificate>), Pkcs12Error> {
    let contents = Pkcs12::from_der(file)
        .and_then(|file| file.parse2(password))
        .map_err(Pkcs12Error::Open)?;
    let key = PrivateKey::new(contents.pkey.ok_or(Pkcs12Error::Missing("private key"))?)?;
    let certificate = contents
        .cert
        .ok_or(Pkcs12Error::Missing("certificate for its key"))?;
    let chain = contents.ca.into_iter().flatten();
    let certificates = std::iter::once(certificate)
        .chain(chain)
        .map(|certificate| {
            Ok(Certificate::from_der(
                &certificate.to_der().map_err(Pkcs12Error::Open)?,
            )?)
        })
        .collect::<Result<_, Pkcs12Error>>()?;
    Ok((key, certificates))
}

/// Writes a key and its certificate as a PKCS#12 file.
///
/// # Errors
/// [`Pkcs12Error::Write`]
pub fn write(
    key: &PrivateKey,
    certificate: &Certificate,
    password: &str,
) -> Result<Vec<u8>, Pkcs12Error> {
    let certificate =
        openssl::x509::X509::from_der(certificate.der()).map_err(Pkcs12Error::Write)?;
    Pkcs12::builder()
        .name("identity")
        .pkey(key.openssl())
        .cert(&certificate)
        .build2(password)
        .and_then(|file| file.to_der())
        .map_err(Pkcs12Error::Write)
}
