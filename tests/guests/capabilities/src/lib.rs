//! A directory plugin that uses the host as its settings say, and reports what it got as the reason of a rejection: the code is the
//! outcome, the message what came with it. It is **not** an example to start from.

use lanyard_sdk::http::{HttpError, Request};
use lanyard_sdk::ldap::{self, LdapError, Search};
use lanyard_sdk::{
    Directory, Inquiry, Plugin, Reason, Secret, SignIn, Standing, Step, Unavailable,
};
use serde::Deserialize;

/// What to do at a sign-in.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Probe {
    /// Look for the user name with this filter.
    Search { directory: String, filter: String },
    /// Bind as the user name, which is a distinguished name, with the password.
    Bind { directory: String },
    /// Ask this URL.
    Http {
        url: String,
        #[serde(default)]
        redirects: u8,
        #[serde(default)]
        with_password: bool,
        /// The password in a header, `x-password`.
        #[serde(default)]
        with_header: bool,
        credential: Option<String>,
    },
}

impl Plugin for Probe {
    type Settings = Self;

    fn new(settings: Self) -> Result<Self, String> {
        Ok(settings)
    }
}

impl Directory for Probe {
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        let (outcome, detail) = match self {
            Self::Search { directory, filter } => {
                let search = Search::new(filter).value("user", request.user_name);
                match search.attributes(["cn"]).at_most(2).run(directory) {
                    Ok(entries) => {
                        let names: Vec<&str> =
                            entries.iter().map(|entry| entry.dn.as_str()).collect();
                        ("found", names.join("; "))
                    }
                    Err(error) => of_ldap(error),
                }
            }
            Self::Bind { directory } => match ldap::bind(directory, &request.user_name, password) {
                Ok(outcome) => ("bound", format!("{outcome:?}")),
                Err(error) => of_ldap(error),
            },
            Self::Http {
                url,
                redirects,
                with_password,
                with_header,
                credential,
            } => {
                let mut request = Request::post(url).form([("user", "ada")]);
                if *with_password {
                    request = request.secret_field("password", password);
                }
                if *with_header {
                    request = request.secret_header("x-password", password);
                }
                if let Some(name) = credential {
                    request = request.credential(name);
                }
                match request.redirects(*redirects).send() {
                    Ok(response) => (
                        "answered",
                        format!(
                            "{} {}",
                            response.status,
                            String::from_utf8_lossy(&response.body)
                        ),
                    ),
                    Err(HttpError::Invalid(why)) => ("invalid", why),
                    Err(HttpError::Refused(why)) => ("refused", why),
                    Err(HttpError::TooLarge) => ("too-large", String::new()),
                    Err(HttpError::Unavailable(why)) => ("unavailable", why),
                }
            }
        };
        Ok(Reason::new(outcome, detail).deny())
    }

    fn lookup(&self, _: Inquiry) -> Result<Standing, Unavailable> {
        Ok(Standing::Unknown)
    }
}

fn of_ldap(error: LdapError) -> (&'static str, String) {
    match error {
        LdapError::Invalid(why) => ("invalid", why),
        LdapError::Refused(why) => ("refused", why),
        LdapError::TooMany => ("too-many", String::new()),
        LdapError::Unavailable(why) => ("unavailable", why),
    }
}

lanyard_sdk::export!(Probe: directory);
