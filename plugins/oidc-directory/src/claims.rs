//! What a provider says of a person, and whether it is said to us, of this sign-in, and now.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_sdk::Unavailable;
use serde_json::{Map, Value};

use crate::Settings;

/// How far the provider's clock may be from ours, in milliseconds.
const SKEW: f64 = 60_000.0;

/// Claims of an ID token that was found to be right.
pub(crate) struct Claims(Map<String, Value>);

/// Why an ID token is not taken.
pub(crate) enum Flaw {
    /// It was issued in another sign-in: somebody brings a code that is not theirs.
    WrongNonce,
    /// The provider or the settings are wrong; the person did nothing.
    Provider(String),
}

impl Claims {
    /// The checks of OpenID Connect Core 1.0, 3.1.3.7, but for the signature: the token came from the token endpoint, over TLS
    /// that the host has verified, which takes the signature's place (point 6).
    pub(crate) fn of_id_token(
        token: &str,
        settings: &Settings,
        nonce: &str,
        now_ms: i64,
    ) -> Result<Self, Flaw> {
        let provider = |why: &str| Flaw::Provider(format!("the ID token {why}"));
        let claims = payload(token).ok_or_else(|| provider("is no JWT"))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds are exact for 285,000 years"
        )]
        let now = now_ms as f64;
        let time = |name: &str| {
            let seconds = claims.get(name).and_then(Value::as_f64);
            seconds
                .map(|seconds| seconds * 1000.0)
                .ok_or_else(|| provider(&format!("does not say `{name}`")))
        };
        if text("iss") != Some(&settings.issuer) {
            return Err(provider("is another issuer's"));
        }
        let client = Some(settings.client_id.as_str());
        let is_ours = match claims.get("aud") {
            Some(Value::String(audience)) => Some(audience.as_str()) == client,
            Some(Value::Array(audiences)) => {
                let ours = audiences.iter().any(|audience| audience.as_str() == client);
                ours && (audiences.len() == 1 || text("azp") == client)
            }
            _ => false,
        };
        let party = claims.get("azp");
        if !is_ours || party.is_some_and(|party| party.as_str() != client) {
            return Err(provider("is for another client than `client_id`"));
        }
        if time("exp")? + SKEW <= now {
            return Err(provider("has expired"));
        }
        if time("iat")? - SKEW > now {
            return Err(provider("is of the future"));
        }
        if text("sub").is_none_or(str::is_empty) {
            return Err(provider("does not say `sub`"));
        }
        if text("nonce") != Some(nonce) {
            return Err(Flaw::WrongNonce);
        }
        Ok(Self(claims))
    }

    /// Adds userinfo's claims, if they are the same person's (Core, 5.3.2). What the ID token says stays.
    pub(crate) fn add(&mut self, further: Map<String, Value>) -> Result<(), Unavailable> {
        if further.get("sub") != self.0.get("sub") {
            let other = "userinfo speaks of another person than the ID token";
            return Err(Unavailable(other.to_owned()));
        }
        for (name, value) in further {
            self.0.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// One text.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim).and_then(Value::as_str)
    }

    /// A text or a list of them; nothing else counts.
    pub(crate) fn texts(&self, claim: &str) -> Vec<String> {
        match self.0.get(claim) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(values)) => {
                let texts = values.iter().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a claim is `true`.
    pub(crate) fn is_true(&self, claim: &str) -> bool {
        self.0.get(claim) == Some(&Value::Bool(true))
    }
}

fn payload(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}
