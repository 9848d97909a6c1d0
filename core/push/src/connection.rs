//! One HTTP/2 connection to APNs, made when it is needed and made anew when it breaks.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::endpoint::Endpoint;
use crate::error::{ConnectError, SendError};
use crate::tls::{self, AlertWatch};

/// Apple asks for no more than one PING an hour.
const PING_EVERY: Duration = Duration::from_secs(3600);
const PING_ANSWER: Duration = Duration::from_secs(20);

/// Waits between attempts to connect double from the one to the other.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long the end of a connection may lag behind the request that it failed.
const END_LAG: Duration = Duration::from_secs(1);

/// The way to one endpoint: the current connection, and how long not to try another.
pub(crate) struct Link {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    connect_within: Duration,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    failures: u32,
    /// Set after a failure: when the next attempt is due, and what the last one ran into.
    waiting: Option<(Instant, Arc<ConnectError>)>,
}

/// A handle on one multiplexed connection.
#[derive(Clone)]
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    ended: watch::Receiver<Option<Arc<hyper::Error>>>,
    /// The TLS alert that ended it. In TLS 1.3 a refused client certificate shows only after the handshake.
    alert: Arc<OnceLock<AlertDescription>>,
    /// Whether it answered anything yet.
    proven: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(
        endpoint: Endpoint,
        tls: Arc<ClientConfig>,
        connect_within: Duration,
    ) -> Link {
        Link {
            endpoint,
            tls,
            connect_within,
            slot: Mutex::default(),
        }
    }

    /// The current connection, or a new one. Concurrent callers share one attempt; while the wait after a failed one lasts,
    /// all fail at once.
    pub(crate) async fn connection(&self) -> Result<Connection, SendError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection
            && !connection.requests.is_closed()
        {
            return Ok(connection.clone());
        }
        slot.connection = None;
        if let Some((due, error)) = &slot.waiting {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(self.unreachable(left, Arc::clone(error)));
            }
        }
        match timeout(self.connect_within, self.connect()).await {
            Ok(Ok(connection)) => {
                slot.waiting = None;
                slot.connection = Some(connection.clone());
                Ok(connection)
            }
            Ok(Err(error)) => Err(self.failed(&mut slot, error)),
            Err(_) => {
                let after = self.connect_within;
                Err(self.failed(&mut slot, ConnectError::TimedOut { after }))
            }
        }
    }

    /// Takes note that a connection answered, so its end will be no reason to wait.
    pub(crate) async fn answered(&self, connection: &Connection) {
        if !connection.proven.swap(true, Ordering::Relaxed) {
            let mut slot = self.slot.lock().await;
            slot.failures = 0;
            slot.waiting = None;
        }
    }

    /// Uses this connection for no further request; those under way on it may finish.
    pub(crate) async fn retire(&self, connection: &Connection) {
        let mut slot = self.slot.lock().await;
        if let Some(current) = &slot.connection
            && Arc::ptr_eq(&current.proven, &connection.proven)
        {
            slot.connection = None;
        }
    }

    /// Finds out what a request that failed on `connection` means: `Ok` with the cause if the connection had worked, so that
    /// another one is worth a try; an error if it never did.
    pub(crate) async fn broke(
        &self,
        connection: &Connection,
        error: hyper::Error,
    ) -> Result<Arc<hyper::Error>, SendError> {
        self.retire(connection).await;
        let cause = connection.end().await.unwrap_or_else(|| Arc::new(error));
        if connection.proven.load(Ordering::Relaxed) {
            return Ok(cause);
        }
        let mut slot = self.slot.lock().await;
        // Many requests fail together on one connection; it counts as one failure.
        if let Some((due, error)) = &slot.waiting
            && slot.connection.is_none()
        {
            let left = due.saturating_duration_since(Instant::now());
            return Err(self.unreachable(left, Arc::clone(error)));
        }
        let error = match connection.alert.get() {
            Some(alert) if tls::concerns_certificate(*alert) => refused(*alert),
            _ => ConnectError::Closed(cause),
        };
        Err(self.failed(&mut slot, error))
    }

    /// Host and port, for messages.
    pub(crate) fn authority(&self) -> String {
        self.endpoint.authority()
    }

    fn failed(&self, slot: &mut Slot, error: ConnectError) -> SendError {
        let wait = FIRST_WAIT
            .saturating_mul(1 << slot.failures.min(10))
            .min(LONGEST_WAIT);
        slot.failures = slot.failures.saturating_add(1);
        let error = Arc::new(error);
        slot.waiting = Some((Instant::now() + wait, Arc::clone(&error)));
        tracing::warn!(
            endpoint = %self.endpoint.authority(),
            failures = slot.failures,
            error = &*error as &dyn Error,
            "no connection to APNs"
        );
        self.unreachable(wait, error)
    }

    fn unreachable(&self, retry_in: Duration, source: Arc<ConnectError>) -> SendError {
        SendError::Unreachable {
            endpoint: self.endpoint.authority(),
            retry_in,
            source,
        }
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let address = (self.endpoint.host(), self.endpoint.port());
        let tcp = TcpStream::connect(address)
            .await
            .map_err(ConnectError::Tcp)?;
        // Without it, Nagle's algorithm and delayed acknowledgements hold each push back for 40 ms.
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(self.endpoint.name(), tcp)
            .await
            .map_err(|error| match tls::alert(&error) {
                Some(alert) if tls::concerns_certificate(alert) => refused(alert),
                _ => ConnectError::Tls(error),
            })?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NotHttp2);
        }
        self.start_http2(tls).await
    }

    async fn start_http2(&self, tls: TlsStream<TcpStream>) -> Result<Connection, ConnectError> {
        let alert = Arc::default();
        let stream = AlertWatch::new(tls, Arc::clone(&alert));
        let (requests, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            // One stream until the server's first SETTINGS says how many it allows.
            .initial_max_send_streams(1)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Http2)?;
        let (end, ended) = watch::channel(None);
        let endpoint = self.endpoint.authority();
        tokio::spawn(async move {
            let error = driver.await.err().map(Arc::new);
            tracing::debug!(%endpoint, error = ?error, "connection to APNs ended");
            end.send_replace(error);
        });
        Ok(Connection {
            requests,
            ended,
            alert,
            proven: Arc::default(),
        })
    }
}

impl Connection {
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.requests.clone().send_request(request).await
    }

    /// The error with which the connection ended, if it has ended with one.
    async fn end(&self) -> Option<Arc<hyper::Error>> {
        if !self.requests.is_closed() {
            return None;
        }
        let mut ended = self.ended.clone();
        // An error of `changed` says that the driver is gone, and then the last value stands.
        let _ = timeout(END_LAG, ended.changed()).await;
        ended.borrow().clone()
    }
}

fn refused(alert: AlertDescription) -> ConnectError {
    ConnectError::CertificateRefused {
        alert: format!("{alert:?}"),
    }
}
