//! Where the database is, and the password that may be in it.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// The URL of a database. It is shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct DatabaseUrl(Zeroizing<String>);

impl DatabaseUrl {
    /// This URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(Zeroizing::new(url.into()))
    }

    /// Whether somebody between here and a database on another machine could take its place.
    pub(crate) fn is_unverified(&self) -> bool {
        let url = self.0.as_str();
        let Some((_, rest)) = url
            .split_once("://")
            .filter(|_| url.starts_with("postgres"))
        else {
            return false;
        };
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let is_here = ["localhost", "127.", "[::1]", "/", "%2F", "%2f"];
        !is_here.iter().any(|here| host.starts_with(here)) && !url.contains("sslmode=verify-full")
    }

    /// All of it, for whoever connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("(no URL)");
        };
        // A password in a query (`?password=…`) is one as well; and one with a question mark in it looks like a query.
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') {
            return write!(f, "{scheme}://…");
        }
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("sqlite://lanyard.db", "sqlite://lanyard.db"),
            ("sqlite::memory:", "(no URL)"),
            (
                "postgres://db.example/lanyard",
                "postgres://db.example/lanyard",
            ),
            (
                "postgres://me:hunter2@db.example/lanyard",
                "postgres://me@db.example/lanyard",
            ),
            (
                "postgres://me:hun@ter2@db.example/l",
                "postgres://me@db.example/l",
            ),
            ("postgres://me:se?cret@db.example/l", "postgres://…"),
            (
                "postgres://me@db.example/l?password=hunter2",
                "postgres://me@db.example/l",
            ),
        ] {
            let url = DatabaseUrl::new(url);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn a_database_elsewhere_has_to_prove_that_it_is_the_one() {
        for (url, unverified) in [
            ("sqlite://lanyard.db", false),
            ("postgres://me@localhost:5433/l", false),
            ("postgres://me@127.0.0.1/l", false),
            ("postgres://me@%2Frun%2Fpostgresql/l", false),
            ("postgres://me@db.example/l", true),
            ("postgresql://db.example/l?sslmode=require", true),
            ("postgres://db.example/l?sslmode=verify-full", false),
        ] {
            assert_eq!(DatabaseUrl::new(url).is_unverified(), unverified, "{url}");
        }
    }
}
