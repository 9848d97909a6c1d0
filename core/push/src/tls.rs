//! TLS towards APNs: the client's configuration, and what the server's alerts mean.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::certificate::{CertificateError, PushCertificate};
use crate::endpoint::Endpoint;

/// TLS 1.2 or 1.3 with the push certificate, and HTTP/2 as the only protocol.
pub(crate) fn config(
    endpoint: &Endpoint,
    certificate: &PushCertificate,
) -> Result<Arc<ClientConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificate
        .chain()
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect();
    let key = certificate
        .key()
        .to_pkcs8()
        .map_err(CertificateError::Key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Unusable)?
        .with_root_certificates(endpoint.roots())
        .with_client_auth_cert(chain, key)
        .map_err(CertificateError::Unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The alert of the peer that `error` comes from, if any.
pub(crate) fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Whether an alert says that the client's certificate is what the server objects to.
pub(crate) fn concerns_certificate(alert: AlertDescription) -> bool {
    use AlertDescription::*;
    matches!(
        alert,
        BadCertificate
            | UnsupportedCertificate
            | CertificateRevoked
            | CertificateExpired
            | CertificateUnknown
            | CertificateRequired
            | UnknownCA
            | AccessDenied
            | DecryptError
            | NoCertificate
    )
}

/// A TLS stream that remembers the alert which ended it: HTTP/2 turns the error into text before it passes it on.
pub(crate) struct AlertWatch<T> {
    stream: T,
    alert: Arc<OnceLock<AlertDescription>>,
}

impl<T> AlertWatch<T> {
    pub(crate) fn new(stream: T, alert: Arc<OnceLock<AlertDescription>>) -> AlertWatch<T> {
        AlertWatch { stream, alert }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for AlertWatch<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if let Err(error) = &result
            && let Some(alert) = alert(error)
        {
            // Only the first alert says why; a second one changes nothing.
            let _ = self.alert.set(alert);
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for AlertWatch<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
