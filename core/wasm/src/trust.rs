//! Who vouches for the servers that the host connects to on behalf of plugins.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Roots that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the roots are not usable: {detail}; expected CA certificates in PEM")]
pub struct RootsError {
    detail: String,
}

/// TLS that trusts these roots (PEM), or the public ones.
pub(crate) fn client_config(roots: Option<&[u8]>) -> Result<Arc<ClientConfig>, RootsError> {
    let failed = |detail: String| RootsError { detail };
    let store = match roots {
        None => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                let added = store.add(certificate);
                added.map_err(|error| failed(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(failed("there is no certificate in them".to_owned()));
            }
            store
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
