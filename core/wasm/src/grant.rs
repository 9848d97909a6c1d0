//! What a binding grants, and the one place where that is compared with what a plugin wants: when it is bound, and under each call.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use lanyard_policy::{Capability, HookFailure};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::address;
use crate::contract::invalid;

/// What of the host's a plugin may use, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The capabilities.
    pub capabilities: BTreeSet<Capability>,
    /// Directories that it may search, by the operator's names.
    pub directories: BTreeSet<String>,
    /// Where its HTTP requests may go.
    pub http: HttpGrant,
    /// Directories that a person's password may be bound against. They must be among [`directories`](Self::directories) too.
    pub secrets_to_directories: BTreeSet<String>,
    /// URLs that secrets may be sent to. They must be allowed in [`http`](Self::http) too.
    pub secrets_to_urls: Vec<UrlPrefix>,
    /// URLs that a directory may send a browser to. It takes no capability: a redirection is an answer, and nothing that is imported.
    pub redirections: Vec<UrlPrefix>,
}

/// Where HTTP requests may go, and how large they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    /// URLs that may be asked.
    pub allow: Vec<UrlPrefix>,
    /// Networks that are not public, and may be connected to all the same.
    pub private: Vec<IpNet>,
    /// Who vouches for the servers, PEM; `None` for the public authorities.
    pub roots: Option<Vec<u8>>,
    /// Credentials that may be put in, by the operator's names.
    pub credentials: BTreeSet<String>,
    /// The largest answer, in bytes. Default 1 MiB.
    pub response_bytes: usize,
    /// How long a request takes at most, redirections included. Default 3 s; the call's own deadline holds as well.
    pub timeout: Duration,
}

impl Default for HttpGrant {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            private: Vec::new(),
            roots: None,
            credentials: BTreeSet::new(),
            response_bytes: 1 << 20,
            timeout: Duration::from_secs(3),
        }
    }
}

impl Grants {
    /// These capabilities, and nothing that they could be used on.
    pub fn of(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self {
            capabilities: capabilities.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn capability(&self, capability: Capability) -> Result<(), HookFailure> {
        granted(self.capabilities.contains(&capability), || {
            format!("the capability `{}`", capability.as_str())
        })
    }

    pub(crate) fn directory(&self, name: &str) -> Result<(), HookFailure> {
        self.capability(Capability::Ldap)?;
        granted(self.directories.contains(name), || {
            format!("the directory {name:?}")
        })
    }

    pub(crate) fn secret_to_directory(&self, name: &str) -> Result<(), HookFailure> {
        self.directory(name)?;
        granted(self.secrets_to_directories.contains(name), || {
            format!("secrets towards the directory {name:?}")
        })
    }

    pub(crate) fn url(&self, url: &Url) -> Result<(), HookFailure> {
        self.capability(Capability::Http)?;
        granted(covered(&self.http.allow, url), || {
            format!("the URL {}", without_query(url))
        })
    }

    pub(crate) fn secret_to_url(&self, url: &Url) -> Result<(), HookFailure> {
        self.url(url)?;
        granted(covered(&self.secrets_to_urls, url), || {
            format!("secrets towards {}", without_query(url))
        })
    }

    /// Where a browser is sent: the URL as it was read here, so that nobody reads another one out of the plugin's text. A fragment
    /// would tell the page there what no server sees.
    pub(crate) fn redirection(&self, url: &str) -> Result<Url, HookFailure> {
        let url = parse_url(url)
            .and_then(|url| match url.scheme() {
                "https" => Ok(url),
                _ => Err("it is not https"),
            })
            .map_err(|why| invalid(format!("the redirection's url: {why}")))?;
        granted(covered(&self.redirections, &url), || {
            format!("a redirection to {}", without_query(&url))
        })?;
        Ok(url)
    }

    pub(crate) fn credential(&self, name: &str) -> Result<(), HookFailure> {
        granted(self.http.credentials.contains(name), || {
            format!("the credential {name:?}")
        })
    }
}

impl HttpGrant {
    /// Whether connections to this address may be opened.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address::is_public(address) || self.private.iter().any(|net| net.contains(&address))
    }
}

fn granted(is: bool, what: impl FnOnce() -> String) -> Result<(), HookFailure> {
    if is {
        return Ok(());
    }
    Err(HookFailure::NotGranted { what: what() })
}

pub(crate) fn covered(prefixes: &[UrlPrefix], url: &Url) -> bool {
    prefixes.iter().any(|prefix| prefix.covers(url))
}

/// What may be shown of a URL: a query can hold what is not for a log.
pub(crate) fn without_query(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// A URL and everything below it: same scheme, host and port, and a path that is the same or goes on after a slash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPrefix(Url);

/// Something that is no prefix of URLs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a URL such as https://login.example/api/: http or https, without user, query, fragment and dots in the path"
)]
pub struct NotAPrefix(String);

impl UrlPrefix {
    /// Whether it is one of https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn covers(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(self.0.path());
        url.origin() == self.0.origin()
            && rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || self.0.path().ends_with('/')
            })
    }
}

impl FromStr for UrlPrefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        match parse_url(text) {
            Ok(url) if url.query().is_none() => Ok(Self(url)),
            _ => Err(NotAPrefix(text.to_owned())),
        }
    }
}

impl TryFrom<String> for UrlPrefix {
    type Error = NotAPrefix;

    fn try_from(text: String) -> Result<Self, NotAPrefix> {
        text.parse()
    }
}

impl From<UrlPrefix> for String {
    fn from(prefix: UrlPrefix) -> Self {
        prefix.0.into()
    }
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL that means the same to everybody who reads it. Dots in a path, and slashes that hide in it, mean one thing to us and
/// another to a server or a proxy before it.
pub(crate) fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
    {
        return Err("it has blanks, backslashes or control characters");
    }
    let url = Url::parse(text).map_err(|_| "it is no absolute URL")?;
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        return Err("it is not of http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it names a user");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment");
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    let hidden = path.contains("%2f") || path.contains("%5c");
    if hidden
        || path
            .split('/')
            // Some servers drop what comes after a semicolon.
            .map(|segment| segment.split(';').next().unwrap_or_default())
            .any(|segment| [".", ".."].contains(&segment))
    {
        return Err("its path has dots for segments, or encoded slashes");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_what_is_below_it_and_nothing_that_looks_like_it() {
        let prefix: UrlPrefix = "https://login.example/api".parse().unwrap();
        for inside in [
            "https://login.example/api",
            "https://LOGIN.example:443/api/session?x=1",
        ] {
            assert!(prefix.covers(&parse_url(inside).unwrap()), "{inside}");
        }
        for outside in [
            "http://login.example/api",
            "https://login.example:8443/api",
            "https://login.example/apis",
            "https://login.example/",
            "https://login.example.evil.example/api",
            "https://evil.example/https://login.example/api",
            "https://login.example./api",
        ] {
            assert!(!prefix.covers(&parse_url(outside).unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_browser_is_sent_to_what_is_granted_and_to_nothing_that_looks_like_it() {
        let grants = Grants {
            redirections: ["https://login.example/authorize", "http://plain.example/"]
                .map(|prefix| prefix.parse().unwrap())
                .to_vec(),
            ..Grants::default()
        };
        let there = "https://login.example/authorize?client=lanyard&state=%2F1";
        assert_eq!(grants.redirection(there).unwrap().as_str(), there);
        assert_eq!(
            grants
                .redirection("HTTPS:login.example:443/authorize")
                .unwrap()
                .as_str(),
            "https://login.example/authorize",
            "what was compared, and not what was written"
        );
        for url in [
            "https://login.example/",
            "https://login.example/authorized",
            "https://evil.example/authorize",
            "https://login.example:8443/authorize",
            "https://login.example.evil.example/authorize",
        ] {
            let HookFailure::NotGranted { what } = grants.redirection(url).unwrap_err() else {
                panic!("{url}")
            };
            assert_eq!(what, format!("a redirection to {url}"));
        }
        for url in [
            "http://plain.example/",
            "https://login.example/authorize#x",
            "https://login.example@evil.example/authorize",
            "https://ada@login.example/authorize",
            "https://login.example/authorize/../logout",
            "https:\\\\login.example/authorize",
            "javascript:alert(1)",
            "/authorize",
        ] {
            let failure = grants.redirection(url).unwrap_err();
            assert!(
                matches!(failure, HookFailure::InvalidAnswer { .. }),
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_that_can_be_read_in_two_ways_is_none() {
        for text in [
            "https://login.example@evil.example/",
            "https://user:pw@login.example/",
            "https://login.example/a/../b",
            "https://login.example/a/%2E%2e/b",
            "https://login.example/a/..%2fb",
            "https://login.example/a/..;/b",
            "https://login.example/a/%2e.;x=1/b",
            "https://login.example/a/%5c..",
            "https://login.example\\@evil.example/",
            "https://login.example/ x",
            "https://login.example/#x",
            "file:///etc/passwd",
            "/session",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
