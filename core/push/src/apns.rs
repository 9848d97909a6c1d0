//! Sending wake-ups.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use lanyard_pki::Certificate;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::certificate::{CertificateError, PushCertificate};
use crate::connection::{Connection, Link};
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::outcome::{Outcome, Rejection};
use crate::reason;
use crate::request::request;
use crate::tls;
use crate::wake::Wake;

/// An error body is some 50 octets long; what is longer is not read, and is then a refusal without a reason.
const LONGEST_BODY: usize = 4096;

/// What one client may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For TCP, TLS and HTTP/2 together. Default 10 s.
    pub connect: Duration,
    /// From a request to its whole answer, without the wait for a place in flight. Default 20 s.
    pub answer: Duration,
    /// Wake-ups that await their answer at the same time; further callers of [`Apns::send`] wait. APNs allows about
    /// 1000 streams a connection, and 100 suffice for 40,000 wake-ups a second on a fast path. Default 500.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            in_flight: 500,
        }
    }
}

/// A client of one APNs server with one push certificate, and so for one topic.
///
/// It holds at most one connection, which all concurrent calls share. When the certificate is replaced, make a new client
/// and drop this one: what is under way finishes, then the connection closes.
pub struct Apns {
    link: Link,
    topic: String,
    certificate: Certificate,
    in_flight: Semaphore,
    answer_within: Duration,
}

impl Apns {
    /// A client that connects on its first [`Apns::send`].
    ///
    /// # Errors
    /// [`CertificateError::Unusable`] if TLS cannot work with the certificate's key.
    pub fn new(
        endpoint: Endpoint,
        certificate: &PushCertificate,
        limits: &Limits,
    ) -> Result<Apns, CertificateError> {
        let tls = tls::config(&endpoint, certificate)?;
        Ok(Apns {
            link: Link::new(endpoint, tls, limits.connect),
            topic: certificate.topic().to_owned(),
            certificate: certificate.certificate().clone(),
            in_flight: Semaphore::new(limits.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            answer_within: limits.answer,
        })
    }

    /// The topic that this client pushes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The push certificate that this client shows.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Sends one wake-up and waits for the answer. If a connection that had worked breaks meanwhile, the wake-up is sent once
    /// more on a new one: APNs keeps only the last notification, so twice is as good as once.
    ///
    /// # Errors
    /// No answer was had; see [`SendError`]. A refusal is an answer: [`Outcome::Rejected`].
    pub async fn send(&self, wake: &Wake) -> Result<Outcome, SendError> {
        // The semaphore is never closed, so a failure to acquire does not happen; its permit is all that matters.
        let _place = self.in_flight.acquire().await;
        match self.attempt(wake).await? {
            Ok(outcome) => Ok(outcome),
            Err(_) => self
                .attempt(wake)
                .await?
                .map_err(|source| SendError::Broken {
                    endpoint: self.link.authority(),
                    source,
                }),
        }
    }

    /// The inner error says that a connection broke which had worked before.
    async fn attempt(&self, wake: &Wake) -> Result<Result<Outcome, Arc<hyper::Error>>, SendError> {
        let request = request(&self.link.authority(), &self.topic, wake)
            .map_err(|error| SendError::Request(Arc::new(error)))?;
        let connection = self.link.connection().await?;
        let exchange = async {
            let response = connection.send(request).await?;
            self.link.answered(&connection).await;
            read(response).await
        };
        match timeout(self.answer_within, exchange).await {
            Ok(Ok(outcome)) => {
                self.heed(&connection, &outcome).await;
                Ok(Ok(outcome))
            }
            Ok(Err(error)) => Ok(Err(self.link.broke(&connection, error).await?)),
            Err(_) => {
                self.link.retire(&connection).await;
                Err(SendError::TimedOut {
                    endpoint: self.link.authority(),
                    after: self.answer_within,
                })
            }
        }
    }

    async fn heed(&self, connection: &Connection, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { apns_id } => tracing::debug!(?apns_id, "push accepted"),
            Outcome::Rejected(rejection) => {
                tracing::info!(
                    status = rejection.status,
                    reason = %rejection.reason,
                    apns_id = ?rejection.apns_id,
                    "push refused"
                );
                if reason::ends_connection(&rejection.reason) {
                    self.link.retire(connection).await;
                }
            }
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Outcome, hyper::Error> {
    let status = response.status();
    let apns_id = response
        .headers()
        .get("apns-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    if status == StatusCode::OK {
        return Ok(Outcome::Accepted { apns_id });
    }
    let body = match Limited::new(response.into_body(), LONGEST_BODY)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        // Either the body is too long or it broke off; the status says enough.
        Err(_) => Bytes::new(),
    };
    Ok(Outcome::Rejected(Rejection::read(
        status.as_u16(),
        apns_id,
        &body,
    )))
}
