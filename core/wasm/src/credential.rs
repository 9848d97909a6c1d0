//! Credentials that the operator configured: a plugin names one, and the host puts it into the request.

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use lanyard_policy::Secret;
use zeroize::Zeroizing;

use crate::grant::UrlPrefix;

/// Credentials, by the names that bindings grant them under.
pub type Credentials = BTreeMap<String, Credential>;

/// A credential, and where it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// How it stands in a request.
    pub scheme: CredentialScheme,
    /// The token, password or value.
    pub secret: Secret,
    /// The URLs that it is sent to, whatever else a binding allows.
    pub urls: Vec<UrlPrefix>,
}

/// How a credential stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialScheme {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617) with this user name.
    Basic(String),
    /// The value of a header of this name.
    Header(String),
}

impl Credential {
    /// The header that carries it; `None` if it is nothing that a header can carry.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let secret = self.secret.expose();
        let (name, value) = match &self.scheme {
            CredentialScheme::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {secret}"))),
            CredentialScheme::Basic(user) => {
                use base64::{Engine as _, prelude::BASE64_STANDARD};
                let pair = Zeroizing::new(format!("{user}:{secret}"));
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
                (
                    AUTHORIZATION,
                    Zeroizing::new(format!("Basic {}", encoded.as_str())),
                )
            }
            CredentialScheme::Header(name) => {
                (name.parse().ok()?, Zeroizing::new(secret.to_owned()))
            }
        };
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}
