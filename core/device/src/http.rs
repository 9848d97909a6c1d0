//! The device's HTTPS: HTTP/1.1 with keep-alive, as devices speak it, and trust in named authorities alone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use lanyard_pki::Certificate;
use tokio::time::{sleep, timeout};

use crate::certificates::Identity;

/// A request and its answer together.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Longest answer taken, in bytes: a profile of any size that people make fits.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// How often a repeatable request is made before its sender gives up, and the pause after the first failure; it doubles.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest part of an unexpected answer that is shown, in characters.
const SHOWN: usize = 200;

type Connector = HttpsConnector<HttpConnector>;

/// A client with its own connections.
#[derive(Clone)]
pub struct Client {
    anchors: Vec<Certificate>,
    identity: Option<Arc<Identity>>,
    connections: legacy::Client<Connector, Full<Bytes>>,
}

/// A request.
#[derive(Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// `Content-Type`, empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client that trusts servers under these authorities.
    ///
    /// # Errors
    /// A certificate that cannot be a trust anchor.
    pub fn new(anchors: Vec<Certificate>) -> Result<Client, AnchorError> {
        Client::with(anchors, None)
    }

    fn with(
        anchors: Vec<Certificate>,
        identity: Option<Arc<Identity>>,
    ) -> Result<Client, AnchorError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(10)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(crate::tls::client(&anchors, identity.as_deref())?)
            // SCEP alone may go without TLS; who may not is checked where the URL comes from.
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Client {
            anchors,
            identity,
            connections: legacy::Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// The authorities trusted.
    #[must_use]
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// A client that trusts further authorities as well; its connections are new.
    ///
    /// # Errors
    /// A certificate that cannot be a trust anchor.
    pub fn trusting(&self, further: &[Certificate]) -> Result<Client, AnchorError> {
        let mut anchors = self.anchors.clone();
        for anchor in further {
            if !anchors.contains(anchor) {
                anchors.push(anchor.clone());
            }
        }
        Client::with(anchors, self.identity.clone())
    }

    /// A client that shows this identity to servers that ask for one; its connections are new.
    ///
    /// # Errors
    /// A key that TLS cannot work with.
    pub fn showing(&self, identity: &Identity) -> Result<Client, AnchorError> {
        Client::with(self.anchors.clone(), Some(Arc::new(identity.clone())))
    }

    /// Makes a request and takes the answer, whatever its status.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, HttpError> {
        let failed = |problem| HttpError {
            url: call.url.clone(),
            problem,
        };
        match timeout(ANSWER_WITHIN, self.exchange(call)).await {
            Ok(answered) => answered.map_err(failed),
            Err(_) => Err(failed(Problem::TimedOut)),
        }
    }

    /// The same for a request that the server knows when it comes again: where an answer fails to come, it is repeated.
    ///
    /// # Errors
    /// There was no whole answer at any attempt.
    pub async fn send_repeatedly(&self, call: &Call) -> Result<Answer, HttpError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.send(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tracing::debug!(%error, "no answer: trying again"),
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.send(call).await
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Problem> {
        let uri: Uri = call.url.parse().map_err(|_| Problem::Url)?;
        let mut request = http::Request::builder().method(&call.method).uri(uri);
        for (name, value) in &call.headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| Problem::Header)?;
            value.set_sensitive(name == AUTHORIZATION);
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(call.body.clone()))
            .map_err(|_| Problem::Url)?;
        let (head, body) = self.connections.request(request).await?.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Problem::TooLong,
            Err(error) => Problem::Broken(error),
        })?;
        let content_type = head.headers.get(CONTENT_TYPE);
        Ok(Answer {
            status: head.status.as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            headers: head.headers,
            body: body.to_bytes().to_vec(),
        })
    }
}

impl Call {
    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Call {
        Call {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A POST.
    #[must_use]
    pub fn post(url: impl Into<String>, content_type: &str, body: Vec<u8>) -> Call {
        Call {
            method: Method::POST,
            body: body.into(),
            ..Call::get(url)
        }
        .header(CONTENT_TYPE, content_type)
    }

    /// A PUT.
    #[must_use]
    pub fn put(url: impl Into<String>, content_type: &str, body: Vec<u8>) -> Call {
        Call {
            method: Method::PUT,
            ..Call::post(url, content_type, body)
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Call {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same under that `User-Agent`.
    #[must_use]
    pub fn user_agent(self, name: &str) -> Call {
        self.header(USER_AGENT, name)
    }
}

impl Answer {
    /// The answer, if its status is 200.
    ///
    /// # Errors
    /// Any other status.
    pub fn ok(self) -> Result<Answer, Unexpected> {
        match self.status {
            200 => Ok(self),
            status => Err(Unexpected {
                status,
                said: shown(&self.body),
                body: self.body,
            }),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Commands carry tokens and profiles carry challenges, so the body stays out.
        write!(
            f,
            "Answer({}, {:?}, {} bytes)",
            self.status,
            self.content_type,
            self.body.len()
        )
    }
}

/// The beginning of a body on one line.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars()
        .filter(|character| !character.is_control())
        .take(SHOWN)
        .collect()
}

/// A certificate cannot be a trust anchor, or an identity not be shown.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot work with a certificate or its key")]
pub struct AnchorError(#[from] rustls::Error);

/// An answer other than 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {status}: {said:?}")]
pub struct Unexpected {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body, on one line.
    pub said: String,
    /// The body.
    pub body: Vec<u8>,
}

/// There is no whole answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}")]
pub struct HttpError {
    /// Whom the request was for.
    pub url: String,
    /// Why there is none.
    #[source]
    pub problem: Problem,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not a URL.
    #[error("this is no http:// or https:// URL")]
    Url,
    /// A header's value has characters that headers cannot have.
    #[error("a header's value cannot be sent")]
    Header,
    /// The server cannot be reached, is not trusted, or broke off.
    #[error("the request failed")]
    Request(#[from] legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is longer than is taken.
    #[error("the answer has more than {LONGEST_ANSWER} bytes")]
    TooLong,
    /// It took too long.
    #[error("{} s are over", ANSWER_WITHIN.as_secs())]
    TimedOut,
}
