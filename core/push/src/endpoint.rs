//! Where APNs listens, and which authorities may vouch for it.

use std::net::IpAddr;
use std::sync::Arc;

use lanyard_pki::{Certificate, CertificateError};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};

/// Whom to trust at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Roots {
    /// Mozilla's list, which has the "USERTrust RSA Certification Authority" that Apple uses.
    #[default]
    WebPki,
    /// Only these certificates: PEM text, for a simulated APNs or a proxy that ends TLS.
    Pem(String),
}

/// An APNs server.
#[derive(Debug, Clone)]
pub struct Endpoint {
    name: ServerName<'static>,
    host: String,
    port: u16,
    roots: Arc<RootCertStore>,
}

impl Endpoint {
    /// A server at `host` (a DNS name or an IP address) and `port`. Apple's for MDM is `api.push.apple.com`, port 443 or 2197.
    ///
    /// # Errors
    /// A host that is neither, or roots that are no PEM certificates.
    pub fn new(host: &str, port: u16, roots: &Roots) -> Result<Endpoint, EndpointError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| EndpointError::Host {
            host: host.to_owned(),
        })?;
        Ok(Endpoint {
            name,
            host: host.to_owned(),
            port,
            roots: Arc::new(store(roots)?),
        })
    }

    /// The host as it was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority part of a URI: host and port, an IPv6 address in brackets.
    pub(crate) fn authority(&self) -> String {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }
}

fn store(roots: &Roots) -> Result<RootCertStore, EndpointError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::WebPki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Pem(pem) => {
            let certificates =
                Certificate::many_from_pem(pem.as_bytes()).map_err(EndpointError::Roots)?;
            for certificate in certificates {
                store
                    .add(CertificateDer::from(certificate.der().to_vec()))
                    .map_err(EndpointError::Root)?;
            }
        }
    }
    Ok(store)
}

/// The operator's description of the APNs server is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The host is no name.
    #[error(
        "the APNs host {host:?} is neither a DNS name nor an IP address: write it without scheme and port, as in \"api.push.apple.com\""
    )]
    Host {
        /// What was given.
        host: String,
    },
    /// The trusted certificates cannot be read.
    #[error(
        "the certificates trusted for APNs cannot be read: the file must hold at least one block that begins with -----BEGIN CERTIFICATE-----"
    )]
    Roots(#[source] CertificateError),
    /// A certificate cannot serve as a trust anchor.
    #[error("a certificate trusted for APNs cannot be a trust anchor")]
    Root(#[source] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_written_for_uris() {
        for (host, authority) in [
            ("api.push.apple.com", "api.push.apple.com:2197"),
            ("127.0.0.1", "127.0.0.1:2197"),
            ("::1", "[::1]:2197"),
        ] {
            let endpoint = Endpoint::new(host, 2197, &Roots::WebPki).unwrap();
            assert_eq!(endpoint.authority(), authority);
        }
    }

    #[test]
    fn a_url_is_no_host() {
        let error = Endpoint::new("https://api.push.apple.com", 443, &Roots::WebPki).unwrap_err();
        assert!(error.to_string().contains("without scheme"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(Endpoint::new("localhost", 1, &Roots::Pem(String::new())).is_err());
        assert!(Endpoint::new("localhost", 1, &Roots::Pem("nonsense".into())).is_err());
    }
}
