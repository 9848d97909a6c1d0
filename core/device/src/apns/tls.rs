//! TLS of the two listeners.

use std::sync::Arc;

use lanyard_pki::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

use super::start_error::StartError;
use crate::certificates::Identity;
use crate::tls::{provider, roots};

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
