//! Accepting connections, for both listeners.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// When accepting fails, as it does without file descriptors, the next attempt is not made at once.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts TLS connections for ever and runs `serve` on each. Dropping the future ends them all.
pub(super) async fn accept<F>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    let (acceptor, serve) = (acceptor.clone(), serve.clone());
                    connections.spawn(async move {
                        if let Some(stream) = handshake(&acceptor, tcp).await {
                            serve(stream).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the simulated APNs cannot accept a connection");
                    sleep(AFTER_FAILURE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handshake(acceptor: &TlsAcceptor, tcp: TcpStream) -> Option<TlsStream<TcpStream>> {
    let handshake = async {
        tcp.set_nodelay(true)?;
        acceptor.accept(tcp).await
    };
    match timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::info!(%error, "TLS handshake with the simulated APNs failed");
            None
        }
        Err(_) => None,
    }
}
