//! Accepts connections: TLS for devices, a Unix socket for operators.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::{
    http::{FIELDS, Remote},
    proxies::Proxies,
    shares::{Share, Shares},
};

/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long nothing may move on a connection, and how long it may carry no request.
const IDLE: Duration = Duration::from_secs(60);
/// How long requests under way may take once their connection is to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// Request heads, in bytes: an `Mdm-Signature` has up to 16 KiB, a SCEP message in a query 4.
const HEAD: usize = 24 * 1024;
/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 8;

/// Connections that one network may have: a school's devices share one.
const SHARE: usize = 512;

/// What the addresses at which devices are served have in common.
#[derive(Clone)]
pub(crate) struct Front {
    places: Arc<Semaphore>,
    shares: Shares,
    proxies: Proxies,
    stop: watch::Receiver<bool>,
}

/// How devices reach an address.
pub(crate) enum Transport {
    /// By TLS with us.
    Tls(TlsAcceptor),
    /// By TLS with one of the proxies: nobody else is let in.
    Proxied,
}

impl Front {
    /// For so many connections together, until `stop` turns true.
    pub(crate) fn new(connections: usize, proxies: Proxies, stop: watch::Receiver<bool>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections)),
            shares: Shares::of(SHARE),
            proxies,
            stop,
        }
    }

    /// Serves devices until it is told to stop, and then lets requests under way finish.
    pub(crate) async fn serve(
        mut self,
        listener: TcpListener,
        transport: Transport,
        router: Router,
    ) {
        let mut running = JoinSet::new();
        loop {
            let accepted = async {
                // The semaphore is never closed, so that there always comes a place.
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, stream, remote) = tokio::select! {
                () = told_to_stop(&mut self.stop) => break,
                // Only to forget those that ended.
                Some(_) = running.join_next() => continue,
                accepted = accepted => match accepted {
                    (Ok(place), Ok((stream, remote))) => (place, stream, remote),
                    (_, Err(error)) => {
                        pause_after(&error).await;
                        continue;
                    }
                    (Err(_), _) => break,
                },
            };
            let Some(share) = self.admit(remote.ip(), &transport) else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (router, stop, proxies) = (router.clone(), self.stop.clone(), self.proxies.clone());
            let acceptor = match &transport {
                Transport::Tls(acceptor) => Some(acceptor.clone()),
                Transport::Proxied => None,
            };
            running.spawn(async move {
                let _held = (place, share);
                let Some(acceptor) = acceptor else {
                    return serve(stream, Peer::new(remote, None, proxies), router, stop).await;
                };
                match timeout(PATIENCE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let shown = stream.get_ref().1.peer_certificates();
                        let own = shown
                            .and_then(|chain| chain.first())
                            .map(|own| own.to_vec());
                        serve(stream, Peer::new(remote, own, proxies), router, stop).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
                }
            });
        }
        drop(listener);
        while running.join_next().await.is_some() {}
    }

    /// A share of the connections for whoever may connect. Proxies carry those of many networks, and are not held to one's.
    fn admit(&self, address: IpAddr, transport: &Transport) -> Option<Option<Share>> {
        let is_proxy = self.proxies.forwarding.contain(address);
        match transport {
            _ if is_proxy => Some(None),
            Transport::Proxied => {
                tracing::debug!(%address, "server.proxies does not list who connects");
                None
            }
            Transport::Tls(_) => {
                let share = self.shares.take(address, 1);
                if share.is_none() {
                    tracing::debug!(%address, "too many connections from one network");
                }
                share.map(Some)
            }
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Peer {
    remote: SocketAddr,
    certificate: Option<Arc<[u8]>>,
    proxies: Proxies,
}

impl Peer {
    fn new(remote: SocketAddr, certificate: Option<Vec<u8>>, proxies: Proxies) -> Self {
        Self {
            remote,
            certificate: certificate.map(Arc::from),
            proxies,
        }
    }

    /// Writes into a request who sent it, and which certificate they showed.
    fn introduce(&self, mut request: Request<Incoming>) -> Request<Incoming> {
        let address = self.remote.ip();
        let headers = request.headers();
        let sender = Remote(self.proxies.forwarding.sender(headers, address));
        let shown = (self.proxies).shown(self.certificate.as_ref(), headers, address);
        request.extensions_mut().insert(sender);
        request.extensions_mut().insert(shown);
        request
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let remote = peer.remote;
    let requests = Requests::default();
    let service = {
        let requests = requests.clone();
        router
            .map_request(move |request: Request<Incoming>| peer.introduce(request))
            .map_future(move |answer| {
                let under_way = requests.one_more();
                async move {
                    let answer = answer.await;
                    drop(under_way);
                    answer
                }
            })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(FIELDS)
        .max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD as u32)
        .max_concurrent_streams(STREAMS);
    // A connection on which nothing moves gives its place up, whatever it is in the middle of.
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(IDLE));
    stream.set_write_timeout(Some(IDLE));
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = pin!(builder.serve_connection(stream, TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = told_to_stop(&mut stop) => Err("told to stop"),
        // HTTP/2 has frames that are no requests: moving is not enough.
        () = requests.none_for(IDLE) => Err("idle"),
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(reason) => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = timeout(FAREWELL, connection).await else {
                tracing::debug!(%remote, reason, "connection cut off");
                return;
            };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, error, "connection ended");
    }
}

/// How many requests of a connection are under way.
#[derive(Clone, Default)]
struct Requests(Arc<watch::Sender<usize>>);

/// One of them.
struct UnderWay(Requests);

impl Requests {
    fn one_more(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// Waits until there has been none for so long.
    async fn none_for(&self, time: Duration) {
        let mut count = self.0.subscribe();
        loop {
            // The sender lives as long as we do, so that neither wait fails.
            let _ = count.wait_for(|count| *count == 0).await;
            if timeout(time, count.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
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

/// Serves counters on an address of this machine until `stop` turns true.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { told_to_stop(&mut stop).await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the listener for counters failed");
    }
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

    /// Time is tokio's, and paused: the test takes none.
    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_given_up() {
        let requests = Requests::default();
        let start = tokio::time::Instant::now();
        let given_up = tokio::spawn({
            let requests = requests.clone();
            async move { requests.none_for(IDLE).await }
        });
        tokio::time::sleep(IDLE / 2).await;
        let under_way = requests.one_more();
        tokio::time::sleep(IDLE * 10).await;
        assert!(!given_up.is_finished(), "a request is under way");
        drop(under_way);
        given_up.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), (IDLE / 2 + IDLE * 11).as_secs());
    }
}
