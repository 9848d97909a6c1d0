//! The provider's endpoints: its own description (OpenID Connect Discovery 1.0), where codes become tokens, and userinfo.

use lanyard_sdk::{
    Secret, Unavailable,
    http::{Request, Response},
};
use serde::{Deserialize, Serialize};

use crate::{Settings, claims::Claims};

/// The endpoints, as far as they are used. They are kept, sealed, while the person is away.
#[derive(Serialize, Deserialize)]
pub(crate) struct Provider {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    /// RFC 9207: whether it says in each answer who it is.
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// What a code was changed into.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    access_token: String,
}

/// Why there are no tokens (RFC 6749, 5.2).
#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Provider {
    /// Asks the provider for its description.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Unavailable> {
        let issuer = settings.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let response = Request::get(url).send()?;
        if !response.is_success() {
            return Err(answered("the provider's description", &response));
        }
        let provider: Self = response.json()?;
        if provider.issuer != settings.issuer {
            // Another issuer's endpoints under this one's name: who believes them is signed in by somebody else (Discovery, 4.3).
            return Err(Unavailable(format!(
                "the provider calls itself {}, and `issuer` is {}",
                shown(&provider.issuer),
                settings.issuer
            )));
        }
        Ok(provider)
    }

    /// Changes a code into tokens; `None` if the provider does not take it. The code goes there as the secret that it is.
    pub(crate) fn tokens(
        &self,
        settings: &Settings,
        code: &Secret,
        verifier: &str,
    ) -> Result<Option<Tokens>, Unavailable> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", &settings.redirect_uri),
            ("code_verifier", verifier),
        ];
        let public = settings.credential.is_none();
        let client = public.then_some(("client_id", settings.client_id.as_str()));
        let mut request = Request::post(&self.token_endpoint)
            .form(fields.into_iter().chain(client))
            .header("accept", "application/json")
            .secret_field("code", code);
        if let Some(credential) = &settings.credential {
            request = request.credential(credential);
        }
        let response = request.send()?;
        if response.is_success() {
            return response.json().map(Some);
        }
        let error = response.json::<TokenError>().map(|answer| answer.error);
        match error {
            Ok(error) if response.status == 400 && error == "invalid_grant" => Ok(None),
            Ok(error) => Err(Unavailable(format!(
                "the token endpoint answers {}: {}",
                response.status,
                shown(&error)
            ))),
            Err(_) => Err(answered("the token endpoint", &response)),
        }
    }

    /// Adds what userinfo says of the same person to what the ID token says.
    pub(crate) fn complete(&self, claims: &mut Claims, tokens: &Tokens) -> Result<(), Unavailable> {
        let Some(endpoint) = &self.userinfo_endpoint else {
            let none = "`userinfo` is set, and the provider has no such endpoint";
            return Err(Unavailable(none.to_owned()));
        };
        let response = Request::get(endpoint)
            .header("authorization", format!("Bearer {}", tokens.access_token))
            .header("accept", "application/json")
            .send()?;
        if !response.is_success() {
            return Err(answered("userinfo", &response));
        }
        claims.add(response.json()?)
    }
}

fn answered(what: &str, response: &Response) -> Unavailable {
    Unavailable(format!("{what} is answered with {}", response.status))
}

/// What somebody else wrote, for a line of the log.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
