//! Requests to what the binding grants.
//!
//! ```
//! use lanyard_sdk::http::{Request, Response};
//! use lanyard_sdk::test;
//!
//! test::answer_http(|request, secrets| {
//!     assert_eq!(request.url, "https://login.example/session");
//!     assert_eq!(secrets.len(), 1);
//!     Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
//! });
//! let password = test::secret("correct horse");
//! let response = Request::post("https://login.example/session")
//!     .form([("user", "ada")])
//!     .secret_field("password", &password)
//!     .send();
//! assert_eq!(response.unwrap().status, 204);
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Secret, Unavailable, host};

pub use crate::bindings::capabilities::lanyard::policy::http::{
    Header, HttpError, Request as RawRequest, Response, SecretPlace,
};

/// A request. It follows no redirection unless it says so.
#[derive(Debug)]
#[must_use]
pub struct Request<'a> {
    request: RawRequest,
    secrets: Vec<(SecretPlace, &'a Secret)>,
}

impl<'a> Request<'a> {
    /// Any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            request: RawRequest {
                method: method.into(),
                url: url.into(),
                headers: Vec::new(),
                body: Vec::new(),
                credential: None,
                redirects: 0,
            },
            secrets: Vec::new(),
        }
    }

    /// `GET`
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `POST`
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// One more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.push(Header {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// The body as it is, at most 256 KiB.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// A JSON body.
    ///
    /// # Panics
    /// If the value has no form in JSON, such as a map whose keys are no texts.
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the value has a form in JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// A body as of an HTML form.
    pub fn form<'f>(self, fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let fields = fields.into_iter();
        let pairs: Vec<String> = fields
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&"))
    }

    /// A credential that the operator configured, by name.
    pub fn credential(mut self, name: impl Into<String>) -> Self {
        self.request.credential = Some(name.into());
        self
    }

    /// A secret as the value of a header.
    pub fn secret_header(self, name: impl Into<String>, secret: &'a Secret) -> Self {
        self.secret(SecretPlace::Header(name.into()), secret)
    }

    /// A secret as one more field of a [`form`](Self::form).
    pub fn secret_field(self, name: impl Into<String>, secret: &'a Secret) -> Self {
        self.secret(SecretPlace::FormField(name.into()), secret)
    }

    /// A secret within a [`json`](Self::json) body, where this JSON Pointer (RFC 6901) points to.
    pub fn secret_at(self, pointer: impl Into<String>, secret: &'a Secret) -> Self {
        self.secret(SecretPlace::JsonPointer(pointer.into()), secret)
    }

    fn secret(mut self, place: SecretPlace, secret: &'a Secret) -> Self {
        self.secrets.push((place, secret));
        self
    }

    /// Follows so many redirections, at most 5.
    pub fn redirects(mut self, most: u8) -> Self {
        self.request.redirects = most;
        self
    }

    /// Sends it and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`HttpError`]; `?` turns it into [`Unavailable`].
    pub fn send(self) -> Result<Response, HttpError> {
        host::send(&self.request, &self.secrets)
    }
}

/// As `application/x-www-form-urlencoded` has it: everything but letters, digits and four signs as its octets.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

impl Response {
    /// Whether the status is of the kind 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.as_str())
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Unavailable`]: a server that answers something else is as good as away.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unavailable> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Unavailable(format!("the answer is not the JSON expected: {error}")))
    }
}

impl From<HttpError> for Unavailable {
    fn from(error: HttpError) -> Self {
        Self(match error {
            HttpError::Invalid(why) => format!("the HTTP request is not valid: {why}"),
            HttpError::Refused(why) => format!("the HTTP request leads where it may not: {why}"),
            HttpError::TooLarge => "the HTTP answer is too large".to_owned(),
            HttpError::Unavailable(why) => format!("the HTTP server is not available: {why}"),
        })
    }
}
