//! What all TLS here has in common: ring, TLS 1.2 and 1.3, and no trust but in the authorities that are named.

use std::sync::Arc;

use lanyard_pki::Certificate;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A client that trusts these authorities and shows no certificate of its own.
pub(crate) fn client<'a>(
    trusted: impl IntoIterator<Item = &'a Certificate>,
) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(trusted)?)
        .with_no_client_auth();
    Ok(config)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn roots<'a>(
    certificates: impl IntoIterator<Item = &'a Certificate>,
) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from(certificate.der().to_vec()))?;
    }
    Ok(roots)
}
