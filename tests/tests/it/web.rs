//! A web server of somebody else's, on loopback: TLS under an authority of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Router, serve::Listener};
use lanyard_pki::Certificate;
use lanyard_tests::openssl::make_certificates;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::server::TlsStream;

/// A running server. It ends with the test's runtime, or before.
pub(crate) struct Web {
    pub(crate) origin: String,
    /// Who vouches for it, PEM.
    pub(crate) ca: String,
    serving: JoinHandle<()>,
}

impl Web {
    /// Serves what is made for its own origin.
    pub(crate) async fn serve(router: impl FnOnce(&str) -> Router) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path());
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&read("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://localhost:{}", tcp.local_addr().unwrap().port());
        let router = router(&origin);
        let listener = Encrypted {
            tcp,
            tls: TlsAcceptor::from(Arc::new(config)),
        };
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            origin,
            ca: String::from_utf8(read("ca.pem")).unwrap(),
            serving,
        }
    }

    /// The authority, for a client that is to trust it.
    pub(crate) fn anchors(&self) -> Vec<Certificate> {
        Certificate::many_from_pem(self.ca.as_bytes()).unwrap()
    }

    /// Takes no connection any more.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.unwrap_err().is_cancelled());
    }

    /// What a policy says to let a plugin ask it, and hand it secrets below `secrets`.
    pub(crate) fn grants(&self, credentials: &[&str], secrets: &str) -> String {
        let (origin, ca) = (&self.origin, &self.ca);
        format!(
            "[binding.http]\nallow = [\"{origin}/\"]\nprivate = [\"127.0.0.0/8\", \"::1/128\"]\n\
             credentials = {credentials:?}\nca = \"\"\"{ca}\"\"\"\n\
             [binding.secrets]\nhttp = [\"{origin}{secrets}\"]\n"
        )
    }
}

struct Encrypted {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.tcp.accept().await else {
                continue;
            };
            // Whoever does not trust us hangs up; the next may.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
