//! Failures that are not an answer of APNs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// No answer of APNs was had. All of these may be tried again later; pushes are idempotent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No connection could be made.
    #[error("no connection to APNs at {endpoint}; the next attempt is due in {} ms", retry_in.as_millis())]
    Unreachable {
        /// Host and port.
        endpoint: String,
        /// Until then every send fails at once: rapid reconnecting counts as abuse.
        retry_in: Duration,
        /// Why the last attempt failed.
        #[source]
        source: Arc<ConnectError>,
    },
    /// The connection broke before the answer came, and so did the one that replaced it.
    #[error("the connection to APNs at {endpoint} broke before the answer came")]
    Broken {
        /// Host and port.
        endpoint: String,
        /// How it broke.
        #[source]
        source: Arc<hyper::Error>,
    },
    /// The answer did not come in time.
    #[error("APNs at {endpoint} did not answer within {} ms", after.as_millis())]
    TimedOut {
        /// Host and port.
        endpoint: String,
        /// The limit.
        after: Duration,
    },
    /// The request could not be built, which is an error in this program.
    #[error("the push request could not be built")]
    Request(#[source] Arc<a2::Error>),
}

/// Why a connection to APNs could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// TCP failed.
    #[error(
        "the TCP connection failed: check the network, and that ports 443 and 2197 are open towards Apple (17.0.0.0/8)"
    )]
    Tcp(#[source] io::Error),
    /// TLS failed, for instance because the server's certificate is not trusted.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The server's TLS does not offer HTTP/2.
    #[error("the server does not speak HTTP/2: is a proxy in between that ends TLS?")]
    NotHttp2,
    /// HTTP/2 failed to start.
    #[error("the HTTP/2 connection did not start")]
    Http2(#[source] hyper::Error),
    /// The server refused the push certificate: an alert during or right after the handshake.
    #[error(
        "the server refused the push certificate with the TLS alert {alert}: check that it has not expired or been revoked, and that it is Apple's"
    )]
    CertificateRefused {
        /// The alert's name in RFC 8446, section 6.
        alert: String,
    },
    /// The server closed a connection that had not answered a single request.
    #[error("the server closed the connection before it answered anything")]
    Closed(#[source] Arc<hyper::Error>),
    /// The limit passed.
    #[error("the connection was not there within {} ms", after.as_millis())]
    TimedOut {
        /// The limit.
        after: Duration,
    },
}
