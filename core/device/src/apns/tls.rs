//! TLS of the two listeners and of the devices that connect to one of them.

use std::sync::Arc;

use lanyard_pki::Certificate;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::simulator::StartError;
use crate::certificates::Identity;

/// HTTP/2 with a push certificate that `authority` issued.
pub(super) fn providers(
    server: &Identity,
    authority: &Certificate,
) -> Result<Arc<ServerConfig>, StartError> {
    let roots = Arc::new(roots([authority])?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(server), key(server)?)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The device side: a certificate of the server's only.
pub(super) fn devices(server: &Identity) -> Result<Arc<ServerConfig>, StartError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain(server), key(server)?)?;
    Ok(Arc::new(config))
}

/// A device, which trusts these authorities.
pub(super) fn device<'a>(
    trusted: impl IntoIterator<Item = &'a Certificate>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(trusted)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots<'a>(
    certificates: impl IntoIterator<Item = &'a Certificate>,
) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from(certificate.der().to_vec()))?;
    }
    Ok(roots)
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(identity.certificate.der().to_vec())]
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, StartError> {
    let key = identity
        .key
        .to_pkcs8()
        .map_err(crate::certificates::AuthorityError::from)?;
    Ok(PrivatePkcs8KeyDer::from(key.to_vec()).into())
}
