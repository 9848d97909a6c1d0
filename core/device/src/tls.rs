//! What all TLS here has in common: ring, TLS 1.2 and 1.3, and no trust but in the authorities that are named.

use std::sync::Arc;

use lanyard_pki::Certificate;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::certificates::Identity;

/// A client that trusts these authorities, and shows this identity to servers that ask for one.
pub(crate) fn client<'a>(
    trusted: impl IntoIterator<Item = &'a Certificate>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(trusted)?);
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = identity.full_chain().into_iter();
    let chain = chain.map(|each| CertificateDer::from(each.der().to_vec()));
    let key = identity.key.to_pkcs8();
    let key = key.map_err(|error| rustls::Error::General(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(key.to_vec());
    builder.with_client_auth_cert(chain.collect(), key.into())
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
