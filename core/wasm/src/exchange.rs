//! One HTTP request over a connection of its own: the name is resolved here, every address is held against the grant, and the
//! connection goes to the very address that was.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::bindings::capabilities::lanyard::policy::http::{Header, HttpError, Response};
use crate::grant::HttpGrant;

/// Largest head of an answer, in bytes.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// A request as it goes out.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Which of the headers hold secrets.
    pub(crate) secret_headers: Vec<HeaderName>,
    /// Which of them holds the credential.
    pub(crate) credential_header: Option<HeaderName>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Sends the request and reads the whole answer.
pub(crate) async fn perform(
    outgoing: &Outgoing,
    grant: &HttpGrant,
    tls: &Arc<ClientConfig>,
) -> Result<Response, HttpError> {
    let stream = connect(&outgoing.url, grant).await?;
    if outgoing.url.scheme() == "http" {
        return converse(stream, outgoing, grant).await;
    }
    let name = match outgoing.url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::IpAddress(address.into())),
        Some(Host::Ipv6(address)) => Some(ServerName::IpAddress(address.into())),
        None => None,
    };
    let name = name.ok_or_else(|| HttpError::Invalid("the URL's host is no name".to_owned()))?;
    let secured = TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await;
    converse(secured.map_err(away)?, outgoing, grant).await
}

async fn connect(url: &Url, grant: &HttpGrant) -> Result<TcpStream, HttpError> {
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(away)?
            .collect(),
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        None => Vec::new(),
    };
    // All of them: a name that leads to one forbidden address is not to be trusted with another.
    if let Some(forbidden) = addresses.iter().find(|address| !grant.covers(address.ip())) {
        return Err(HttpError::Refused(format!(
            "{} leads to {}, which is not public and not granted",
            url.host_str().unwrap_or_default(),
            forbidden.ip()
        )));
    }
    let mut last = HttpError::Unavailable("the name has no address".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(away)?;
                return Ok(stream);
            }
            Err(error) => last = away(error),
        }
    }
    Err(last)
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    outgoing: &Outgoing,
    grant: &HttpGrant,
) -> Result<Response, HttpError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(away)?;
    // Ends with this function, whatever the server still sends.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let response = sender
        .send_request(request(outgoing)?)
        .await
        .map_err(away)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, grant.response_bytes).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            HttpError::TooLarge
        } else {
            HttpError::Unavailable(error.to_string())
        }
    })?;
    let headers = head.headers.iter();
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers
            .filter_map(|(name, value)| {
                Some(Header {
                    name: name.as_str().to_owned(),
                    value: value.to_str().ok()?.to_owned(),
                })
            })
            .collect(),
        body: body.to_bytes().into(),
    })
}

fn request(outgoing: &Outgoing) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let Outgoing {
        method,
        url,
        headers,
        body,
        ..
    } = outgoing;
    let invalid = || HttpError::Invalid("the URL cannot be sent".to_owned());
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = http::Request::new(Full::new(Bytes::copy_from_slice(body)));
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| invalid())?;
    *request.headers_mut() = headers.clone();
    let host = HeaderValue::from_str(host).map_err(|_| invalid())?;
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

fn away(error: impl std::fmt::Display) -> HttpError {
    HttpError::Unavailable(error.to_string())
}
