//! TLS towards devices: the server's certificate, and the certificates that devices show.

use std::{path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::{danger::HandshakeSignatureValid, verify_server_name},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio_rustls::TlsAcceptor;

use crate::{
    assembly::{AssemblyError, named},
    configuration::Configuration,
    secrets::{self, FileError},
};

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// They are not.
    Unasked,
    /// They are, and may come without one.
    Asked,
}

/// The TLS side of a listener, from the files that `[tls]` names.
///
/// # Errors
/// [`AssemblyError::File`]
pub(crate) fn acceptor(
    configuration: &Configuration,
    clients: Clients,
) -> Result<TlsAcceptor, AssemblyError> {
    let certificate = configuration.path(&configuration.tls.certificate);
    let key = configuration.path(&configuration.tls.key);
    let certificate_pem = secrets::read(&certificate).map_err(named("tls.certificate"))?;
    let key_pem = secrets::read_secret(&key).map_err(named("tls.key"))?;
    let config = server_config((&certificate, &certificate_pem), (&key, &key_pem), clients);
    Ok(TlsAcceptor::from(Arc::new(
        config.map_err(named("tls.certificate"))?,
    )))
}

/// Whether a chain and a key could be served with.
///
/// # Errors
/// [`FileError::Content`]
pub(crate) fn check(certificate: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<(), FileError> {
    server_config(certificate, key, Clients::Unasked).map(|_| ())
}

fn server_config(
    (certificate, certificate_pem): (&Path, &[u8]),
    (key, key_pem): (&Path, &[u8]),
    clients: Clients,
) -> Result<ServerConfig, FileError> {
    let unusable = |error: &dyn std::fmt::Display| FileError::content(certificate, error);
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&error))?;
    let private =
        PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| FileError::content(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = AnyCertificate::new(&provider);
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match clients {
        Clients::Unasked => builder.with_no_client_auth(),
        Clients::Asked => builder.with_client_cert_verifier(Arc::new(verifier)),
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whom devices trust for this server: the anchor that they are made to trust, or, without one, the public authorities.
///
/// # Errors
/// The anchor cannot be read, or be one.
pub(crate) fn trusted(configuration: &Configuration) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match &configuration.tls.anchor {
        Some(anchor) => {
            let read = secrets::certificates(&configuration.path(anchor));
            let (root, _) = read.map_err(|error| rustls::Error::General(error.to_string()))?;
            roots.add(CertificateDer::from(root.der().to_vec()))?;
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    Ok(roots)
}

/// Whether the first certificate of this PEM is for this host.
pub(crate) fn names(certificate_pem: &[u8], host: &str) -> bool {
    let Some(Ok(first)) = CertificateDer::pem_slice_iter(certificate_pem).next() else {
        return false;
    };
    let (Ok(certificate), Ok(name)) = (
        ParsedCertificate::try_from(&first),
        ServerName::try_from(host),
    ) else {
        return false;
    };
    verify_server_name(&certificate, &name).is_ok()
}

/// Takes any certificate whose key signs the handshake. Whose it is and whether it is alive is looked up with each request: a device that is
/// turned away in the handshake cannot be told from one without a network, and a connection may outlive its certificate.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Of no authority in particular: identities of an authority that was replaced are shown as well.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
