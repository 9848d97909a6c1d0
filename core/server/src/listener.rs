//! Accepts connections: TLS for devices, a Unix socket for operators.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::{http::Remote, secrets::FileError};

/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long nothing may move on a connection.
const IDLE: Duration = Duration::from_secs(60);
/// How long requests under way may take once the server is told to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// Request heads: an `Mdm-Signature` has up to 16 KiB, a SCEP message in a query 4.
const HEAD: usize = 64 * 1024;

/// The TLS side of the device listener.
///
/// # Errors
/// [`FileError::Content`]
pub(crate) fn tls(
    certificate: &Path,
    certificate_pem: &[u8],
    key: &Path,
    key_pem: &[u8],
) -> Result<TlsAcceptor, FileError> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| FileError::content(certificate, &error))?;
    let private =
        PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| FileError::content(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::content(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| FileError::content(certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections that one address may have: a school's devices share one.
const SHARE: usize = 512;

/// Who has how many connections.
#[derive(Clone, Default)]
struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address, given back when it is dropped.
struct Share(Shares, IpAddr);

impl Shares {
    fn take(&self, address: IpAddr) -> Option<Share> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count == SHARE {
            return None;
        }
        *count += 1;
        Some(Share(self.clone(), address))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Self(Shares(counts), address) = self;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

/// Serves devices until `stop` turns true, and then lets requests under way finish.
pub(crate) async fn serve_devices(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    router: Router,
    connections: usize,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(connections));
    let shares = Shares::default();
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed, so that there always comes a place.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream, remote) = tokio::select! {
            () = told_to_stop(&mut stop) => break,
            accepted = accepted => match accepted {
                (Ok(place), Ok((stream, remote))) => (place, stream, remote),
                (_, Err(error)) => {
                    pause_after(&error).await;
                    continue;
                }
                (Err(_), _) => break,
            },
        };
        let Some(share) = shares.take(remote.ip()) else {
            tracing::debug!(%remote, "too many connections from one address");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _share = share;
            match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, remote, router, watcher, place).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    remote: SocketAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
    place: OwnedSemaphorePermit,
) {
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Remote(remote.ip()));
        request
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD as u32)
        .max_concurrent_streams(16);
    // A connection on which nothing moves gives its place up, whatever it is in the middle of.
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(IDLE));
    stream.set_write_timeout(Some(IDLE));
    let stream = TokioIo::new(Box::pin(stream));
    let connection = builder
        .serve_connection(stream, TowerToHyperService::new(router))
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%remote, error, "connection ended");
    }
    drop(place);
}

/// Serves operators until `stop` turns true.
pub(crate) async fn serve_operators(
    listener: UnixListener,
    socket: PathBuf,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { told_to_stop(&mut stop).await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the administration's socket failed");
    }
    let _ = fs::remove_file(socket);
}

/// Makes the operators' socket, which is its owner's alone. One that a killed server left is replaced.
///
/// # Errors
/// Another server answers there, or the socket cannot be made.
pub(crate) async fn bind_socket(socket: &Path) -> io::Result<UnixListener> {
    if tokio::net::UnixStream::connect(socket).await.is_ok() {
        let text = format!("{}: another server answers here", socket.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Waits until the server is to stop; a server that is gone counts as stopping.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Out of file descriptors, say: trying again at once would only burn the processor.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let shares = Shares::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut held: Vec<Share> = (0..SHARE).filter_map(|_| shares.take(one)).collect();
        assert_eq!(held.len(), SHARE);
        assert!(shares.take(one).is_none() && shares.take(other).is_some());
        held.pop();
        assert!(shares.take(one).is_some());
        held.clear();
        assert!(shares.0.lock().unwrap().is_empty());
    }
}
