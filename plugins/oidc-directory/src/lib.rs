//! Persons of an OpenID Connect provider: they sign in on the provider's page (authorization code flow with PKCE), and come back with a
//! code that becomes an ID token. The plugin reads neither a password nor the code, and the client's secret is the host's.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod claims;
mod provider;
mod settings;
#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_sdk::{
    Attribute, Directory, Input, Inquiry, Person, Plugin, Reason, Redirection, Resumption, Secret,
    SignIn, Standing, Step, Unavailable,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use claims::{Claims, Flaw};
use provider::Provider;
pub use settings::Settings;

/// The directory.
pub struct OidcDirectory(Settings);

/// What stays, sealed, until the person comes back.
#[derive(Serialize, Deserialize)]
struct Waiting {
    /// Comes back with the browser.
    state: String,
    /// Comes back in the ID token.
    nonce: String,
    /// Goes with the code: what the provider knows the digest of (RFC 7636).
    verifier: String,
    provider: Provider,
}

/// A sign-in that leads to no person.
enum Ended {
    /// They are not who should be signed in here.
    Refused(Reason),
    /// Nobody can tell now.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Ended {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl Plugin for OidcDirectory {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl Directory for OidcDirectory {
    /// Sends the browser to the provider. Nobody looks at a password that was typed.
    fn begin(&self, request: SignIn, _: &Secret) -> Result<Step, Unavailable> {
        if !self.0.covers(&request.user_name) {
            return Ok(Step::Abstain);
        }
        let waiting = Waiting {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            provider: Provider::of(&self.0)?,
        };
        let url = self.authorization_url(&waiting, &request.user_name);
        let state = serde_json::to_vec(&waiting)
            .map_err(|error| Unavailable(format!("the state cannot be written: {error}")))?;
        Ok(Step::Redirect(Redirection { url, state }))
    }

    fn resume(&self, request: Resumption) -> Result<Step, Unavailable> {
        match self.signed_in(&request) {
            Ok(person) => Ok(Step::Authenticated(person)),
            Err(Ended::Refused(reason)) => Ok(reason.deny()),
            Err(Ended::Unavailable(why)) => Err(why),
        }
    }

    /// OpenID Connect cannot be asked about a person who is not there, so whoever signed in stays active: see the README for what
    /// that means, and what to do about leavers.
    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable> {
        Ok(Standing::Active(Person {
            display_name: request.person_id.clone(),
            id: request.person_id,
            attributes: Vec::new(),
        }))
    }
}

impl OidcDirectory {
    fn authorization_url(&self, waiting: &Waiting, user_name: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(waiting.verifier.as_bytes()));
        let endpoint = &waiting.provider.authorization_endpoint;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.0.client_id)
            .append_pair("redirect_uri", &self.0.redirect_uri)
            .append_pair("scope", &self.0.scopes.join(" "))
            .append_pair("state", &waiting.state)
            .append_pair("nonce", &waiting.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !user_name.is_empty() {
            query.append_pair("login_hint", user_name);
        }
        if let Some(prompt) = &self.0.prompt {
            query.append_pair("prompt", prompt);
        }
        // An endpoint may have a query of its own, which stays (RFC 6749, 3.1).
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{separator}{}", query.finish())
    }

    /// Who it is that came back.
    fn signed_in(&self, request: &Resumption) -> Result<Person, Ended> {
        let waiting: Waiting = serde_json::from_slice(&request.state)
            .map_err(|error| Unavailable(format!("the state is not ours: {error}")))?;
        let code = self.code(&waiting, &request.input)?;
        let claims = self.claims(&waiting, code, request.decision.at_ms)?;
        self.admitted(&claims)
    }

    /// The code, if it is this sign-in's and from the provider that was asked.
    fn code<'a>(&self, waiting: &Waiting, input: &'a [Input]) -> Result<&'a Secret, Ended> {
        let parameter = |name: &str| {
            let found = input.iter().find(|input| input.name == name);
            found.map(|input| &input.value)
        };
        if parameter("state").is_none_or(|state| !state.equals(&waiting.state)) {
            return Err(refused("wrong-state", "This is another sign-in's answer."));
        }
        // RFC 9207: an answer of another provider than the one that was asked.
        let is_from_it = match parameter("iss") {
            Some(issuer) => issuer.equals(&self.0.issuer),
            None => {
                !waiting
                    .provider
                    .authorization_response_iss_parameter_supported
            }
        };
        if !is_from_it {
            return Err(refused(
                "wrong-issuer",
                "This is another provider's answer.",
            ));
        }
        if let Some(error) = parameter("error") {
            if error.equals("access_denied") {
                return Err(refused("denied", "The sign-in was refused or given up."));
            }
            let other =
                "the provider reports an error other than access_denied in the browser's address";
            return Err(Unavailable(other.to_owned()).into());
        }
        parameter("code").ok_or_else(|| refused("no-code", "The provider gave no code."))
    }

    /// What the provider says of whom it gave the code to.
    fn claims(&self, waiting: &Waiting, code: &Secret, now_ms: i64) -> Result<Claims, Ended> {
        let provider = &waiting.provider;
        let tokens = provider.tokens(&self.0, code, &waiting.verifier)?;
        let tokens = tokens
            .ok_or_else(|| refused("code-refused", "The provider does not take its code back."))?;
        let claims = Claims::of_id_token(&tokens.id_token, &self.0, &waiting.nonce, now_ms);
        let mut claims = claims.map_err(|flaw| match flaw {
            Flaw::WrongNonce => refused("wrong-nonce", "This is another sign-in's code."),
            Flaw::Provider(why) => Unavailable(why).into(),
        })?;
        if self.0.userinfo {
            provider.complete(&mut claims, &tokens)?;
        }
        Ok(claims)
    }

    /// The person, unless they are in none of the groups.
    fn admitted(&self, claims: &Claims) -> Result<Person, Ended> {
        let claim = &self.0.id_claim;
        let Some(id) = claims.text(claim) else {
            let missing = format!("the provider does not say `{claim}`, which `id_claim` names");
            return Err(Unavailable(missing).into());
        };
        if claim == "email" && !claims.is_true("email_verified") {
            return Err(refused(
                "email-not-verified",
                "The provider has not verified this address.",
            ));
        }
        let groups = self.0.groups_claim.as_ref();
        let groups = groups.map(|claim| claims.texts(claim));
        let allowed = &self.0.allowed_groups;
        let mut held = groups.iter().flatten();
        if !allowed.is_empty() && !held.any(|group| allowed.contains(group)) {
            return Err(Ended::Refused(
                Reason::new(
                    "not-in-group",
                    "You may not enroll devices here. Ask your administrator.",
                )
                .relying_on("groups", groups.unwrap_or_default()),
            ));
        }
        let by_claim = self.0.attributes.iter();
        let by_claim = by_claim.map(|(name, claim)| (name.clone(), claims.texts(claim)));
        let groups = groups.map(|groups| ("groups".to_owned(), groups));
        let attributes = by_claim
            .chain(groups)
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| Attribute { name, values });
        Ok(Person {
            id: id.to_owned(),
            display_name: claims.text(&self.0.name_claim).unwrap_or(id).to_owned(),
            attributes: attributes.collect(),
        })
    }
}

fn refused(code: &str, message: &str) -> Ended {
    Ended::Refused(Reason::new(code, message))
}

/// 256 bits, as text that needs no escaping.
fn random() -> Result<String, Unavailable> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Unavailable(format!("there is no randomness: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

lanyard_sdk::export! {
    OidcDirectory: directory;
    grants: {
        http: "reads the provider's description, and fetches the tokens of the person who comes back",
        secrets: "compares the state that comes back, and sends the code to the provider without reading it",
    };
    settings_schema: include_str!("../settings.schema.json");
}
