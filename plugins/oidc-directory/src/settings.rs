//! What an operator sets.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider, as it calls itself.
    pub(crate) issuer: String,
    /// What the provider calls this server.
    pub(crate) client_id: String,
    /// Name of `[credentials.NAME]` in the configuration, of the scheme `basic`. Without one, the client is a public one.
    pub(crate) credential: Option<String>,
    /// Where the provider sends the browser back to: this server's `/enroll/callback/NAME`, with the binding's own name. The server takes
    /// no answer of this sign-in elsewhere, which keeps two providers apart (RFC 9700, 4.4.2.2).
    pub(crate) redirect_uri: String,
    /// What is asked for, `openid` among it.
    #[serde(default = "usual_scopes")]
    pub(crate) scopes: Vec<String>,
    /// What the provider shows even to somebody who is signed in there: `login`, `select_account`.
    pub(crate) prompt: Option<String>,
    /// Who types a name that ends in `@` and one of these is sent to the provider. Default: everybody is.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
    /// Claim that names a person for ever.
    #[serde(default = "subject")]
    pub(crate) id_claim: String,
    /// Claim with the name to show.
    #[serde(default = "name")]
    pub(crate) name_claim: String,
    /// Attributes of the person, each by its claim.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    /// Claim with the groups, which become the attribute `groups`.
    pub(crate) groups_claim: Option<String>,
    /// Who is in none of these may not enroll. Default: everybody may.
    #[serde(default)]
    pub(crate) allowed_groups: Vec<String>,
    /// Whether claims are asked of the userinfo endpoint as well.
    #[serde(default)]
    pub(crate) userinfo: bool,
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn subject() -> String {
    "sub".to_owned()
}

fn name() -> String {
    "name".to_owned()
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.issuer.starts_with("https://") || self.issuer.contains(['?', '#']) {
            return Err(format!(
                "`issuer` is {:?}; expected an https URL without query and fragment",
                self.issuer
            ));
        }
        if self.client_id.is_empty() {
            return Err("`client_id` is empty: the provider hands it out".to_owned());
        }
        let binding = self.redirect_uri.rsplit_once("/enroll/callback/");
        let is_callback = binding.is_some_and(|(server, name)| {
            server.starts_with("https://")
                && !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        });
        if !is_callback {
            return Err(format!(
                "`redirect_uri` is {:?}; expected this server's https://…/enroll/callback/NAME, with the binding's name",
                self.redirect_uri
            ));
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Err("`scopes` lacks \"openid\", without which there is no ID token".to_owned());
        }
        if !self.allowed_groups.is_empty() && self.groups_claim.is_none() {
            return Err(
                "`allowed_groups` needs `groups_claim`, or nobody would be in any".to_owned(),
            );
        }
        Ok(())
    }

    /// Whether whoever typed this name is one of the provider's.
    pub(crate) fn covers(&self, user_name: &str) -> bool {
        let domain = user_name.rsplit_once('@').map(|(_, domain)| domain);
        self.domains.is_empty()
            || domain.is_some_and(|domain| {
                let mut known = self.domains.iter();
                known.any(|known| known.eq_ignore_ascii_case(domain))
            })
    }
}
