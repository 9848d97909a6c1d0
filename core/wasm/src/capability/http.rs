//! Requests (RFC 9110) to what a binding grants.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use lanyard_policy::Secret;
use rustls::ClientConfig;
use url::Url;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use crate::bindings::capabilities::lanyard::policy::http::{
    self as wit, Header, HttpError, Request, Response, SecretPlace,
};
use crate::credential::Credential;
use crate::exchange::{self, Outgoing};
use crate::grant::{self, Grants, parse_url};
use crate::secret::HeldSecret;
use crate::state::CallState;

/// Largest body of a request, in bytes.
const MOST_BYTES: usize = 256 << 10;
/// Largest headers of a request, names and values together, in bytes.
const MOST_HEADER_BYTES: usize = 16 << 10;
/// Most redirections that are followed.
const MOST_REDIRECTS: u8 = 5;
/// What concerns the connection and the length of the body is the host's (RFC 9110, 7.6.1).
const NOT_FOR_PLUGINS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl wit::Host for CallState {
    async fn send(
        &mut self,
        request: Request,
        secrets: Vec<(SecretPlace, Resource<HeldSecret>)>,
    ) -> wasmtime::Result<Result<Response, HttpError>> {
        self.count_host_call()?;
        let url = match parse_url(&request.url) {
            Ok(url) => url,
            Err(why) => return Ok(Err(HttpError::Invalid(format!("the URL: {why}")))),
        };
        let grants = Arc::clone(self.grants());
        grants.url(&url)?;
        if !secrets.is_empty() {
            grants.secret_to_url(&url)?;
        }
        let mut placed = Vec::with_capacity(secrets.len());
        let mut handles = Vec::with_capacity(secrets.len());
        for (place, handle) in secrets {
            handles.push((place.clone(), handle.rep()));
            placed.push((place, self.table.get(&handle)?.0.clone()));
        }
        let mut credential = None;
        if let Some(name) = &request.credential {
            grants.credential(name)?;
            // What is made again reaches nothing, and needs none.
            if !self.is_replaying() {
                credential = Some(self.credential(name, &url)?);
            }
        }
        let tls = Arc::clone(self.tls());
        let arguments = (request.clone(), handles);
        self.taped("http.send", &arguments, async move {
            Ok(perform(grants, tls, url, request, placed, credential).await)
        })
        .await
    }
}

async fn perform(
    grants: Arc<Grants>,
    tls: Arc<ClientConfig>,
    url: Url,
    request: Request,
    secrets: Vec<(SecretPlace, Secret)>,
    credential: Option<Credential>,
) -> Result<Response, HttpError> {
    let limit = grants.http.timeout;
    let redirects = request.redirects;
    let mut outgoing = outgoing(url, request, secrets, credential.as_ref())?;
    let answer = async {
        let mut followed = 0;
        loop {
            let response = exchange::perform(&outgoing, &grants.http, &tls).await?;
            if redirects == 0 {
                return Ok(response);
            }
            let Some(next) = redirection(&outgoing, &response)? else {
                return Ok(response);
            };
            if followed == redirects {
                let why = format!("there are more than {redirects} redirections");
                return Err(HttpError::Refused(why));
            }
            followed += 1;
            outgoing = follow(
                &grants,
                outgoing,
                next,
                response.status,
                credential.as_ref(),
            )?;
        }
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::Unavailable(format!(
            "there is no answer within {} ms",
            limit.as_millis()
        ))),
    }
}

/// The request as it goes out: bounded, with secrets and credential in their places.
fn outgoing(
    url: Url,
    request: Request,
    secrets: Vec<(SecretPlace, Secret)>,
    credential: Option<&Credential>,
) -> Result<Outgoing, HttpError> {
    let invalid = |why: String| HttpError::Invalid(why);
    let method = match request.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        other => return Err(invalid(format!("the method {other:?} is not provided"))),
    };
    if request.redirects > MOST_REDIRECTS {
        return Err(invalid(format!(
            "at most {MOST_REDIRECTS} redirections are followed"
        )));
    }
    let mut headers = HeaderMap::new();
    let mut bytes = 0;
    for Header { name, value } in &request.headers {
        bytes += name.len() + value.len();
        let header = header_name(name)?;
        let value = HeaderValue::from_str(value).map_err(|_| {
            invalid(format!(
                "the value of the header {name:?} has other characters than visible ones"
            ))
        })?;
        headers.append(header, value);
    }
    if bytes > MOST_HEADER_BYTES {
        return Err(invalid(format!(
            "the headers have {bytes} bytes; at most {MOST_HEADER_BYTES} are sent"
        )));
    }
    let mut body = Zeroizing::new(request.body);
    let mut secret_headers = Vec::new();
    for (place, secret) in secrets {
        match place {
            SecretPlace::Header(name) => {
                let header = header_name(&name)?;
                let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
                    invalid(format!(
                        "the secret is none that the header {name:?} can carry"
                    ))
                })?;
                value.set_sensitive(true);
                headers.insert(header.clone(), value);
                secret_headers.push(header);
            }
            SecretPlace::FormField(name) => {
                body = in_form(&headers, body, &name, &secret)?;
            }
            SecretPlace::JsonPointer(pointer) => body = in_json(&body, &pointer, &secret)?,
        }
    }
    if body.len() > MOST_BYTES {
        return Err(invalid(format!(
            "the body has more than {MOST_BYTES} bytes, secrets included"
        )));
    }
    let mut credential_header = None;
    if let Some(credential) = credential {
        let (name, value) = credential.header().ok_or_else(|| {
            HttpError::Unavailable("the credential is none that a header can carry".to_owned())
        })?;
        headers.insert(name.clone(), value);
        credential_header = Some(name);
    }
    Ok(Outgoing {
        method,
        url,
        headers,
        secret_headers,
        credential_header,
        body,
    })
}

fn header_name(name: &str) -> Result<HeaderName, HttpError> {
    let header: HeaderName = name
        .parse()
        .map_err(|_| HttpError::Invalid(format!("{name:?} is no header's name")))?;
    if NOT_FOR_PLUGINS.contains(&header.as_str()) {
        return Err(HttpError::Invalid(format!(
            "the header {name:?} is the host's"
        )));
    }
    Ok(header)
}

fn in_form(
    headers: &HeaderMap,
    body: Zeroizing<Vec<u8>>,
    name: &str,
    secret: &Secret,
) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    if headers
        .get(CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes() != FORM)
    {
        return Err(HttpError::Invalid(
            "a form field needs a body of the type application/x-www-form-urlencoded".to_owned(),
        ));
    }
    let written = String::from_utf8(body.to_vec())
        .map_err(|_| HttpError::Invalid("the form is not UTF-8".to_owned()))?;
    let mut form = url::form_urlencoded::Serializer::new(written);
    form.append_pair(name, secret.expose());
    Ok(Zeroizing::new(form.finish().into_bytes()))
}

fn in_json(body: &[u8], pointer: &str, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let mut document: serde_json::Value = serde_json::from_slice(body)
        .map_err(|_| HttpError::Invalid("a JSON Pointer needs a body of JSON".to_owned()))?;
    let place = document.pointer_mut(pointer).ok_or_else(|| {
        HttpError::Invalid(format!(
            "the JSON Pointer {pointer:?} leads nowhere in the body"
        ))
    })?;
    *place = secret.expose().into();
    Ok(Zeroizing::new(document.to_string().into_bytes()))
}

/// Where a response sends us, if it does (RFC 9110, 15.4). What would need the body once more is for the plugin to decide.
fn redirection(sent: &Outgoing, response: &Response) -> Result<Option<Url>, HttpError> {
    let repeats = matches!(sent.method, Method::GET | Method::HEAD);
    let follows = match response.status {
        301..=303 => true,
        307 | 308 => repeats,
        _ => false,
    };
    let mut headers = response.headers.iter();
    let location = headers.find(|header| header.name == "location");
    let Some(Header { value, .. }) = location.filter(|_| follows) else {
        return Ok(None);
    };
    let refused = |why: &str| HttpError::Refused(format!("the redirection's URL: {why}"));
    let mut joined = sent.url.join(value).map_err(|_| refused("it is no URL"))?;
    joined.set_fragment(None);
    parse_url(joined.as_str()).map(Some).map_err(refused)
}

/// The request that a redirection asks for: never with a body, and with nothing secret for another origin.
fn follow(
    grants: &Grants,
    sent: Outgoing,
    next: Url,
    status: u16,
    credential: Option<&Credential>,
) -> Result<Outgoing, HttpError> {
    if grants.url(&next).is_err() {
        return Err(HttpError::Refused(format!(
            "a redirection leads to {}, which is not granted",
            grant::without_query(&next)
        )));
    }
    let mut headers = sent.headers;
    let (mut secret_headers, mut credential_header) = (sent.secret_headers, sent.credential_header);
    let same_origin = next.origin() == sent.url.origin();
    if !same_origin || grants.secret_to_url(&next).is_err() {
        for name in secret_headers.drain(..) {
            headers.remove(name);
        }
    }
    let goes_on = credential.is_some_and(|credential| grant::covered(&credential.urls, &next));
    if !(same_origin && goes_on)
        && let Some(name) = credential_header.take()
    {
        headers.remove(name);
    }
    if !same_origin {
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
    }
    headers.remove(CONTENT_TYPE);
    let repeats = sent.method == Method::HEAD && status != StatusCode::SEE_OTHER.as_u16();
    Ok(Outgoing {
        method: if repeats { Method::HEAD } else { Method::GET },
        url: next,
        headers,
        secret_headers,
        credential_header,
        body: Zeroizing::default(),
    })
}
