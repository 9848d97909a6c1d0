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
        // A password in a query (`?password=…`) is one as well.
        let rest = rest.split('?').next().unwrap_or_default();
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
}
