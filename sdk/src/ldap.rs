//! Directories that the operator configured, by name.
//!
//! ```
//! use lanyard_sdk::ldap::{Entry, Search};
//! use lanyard_sdk::test;
//!
//! test::answer_search(|directory, request| {
//!     assert_eq!((directory, request.filter.as_str()), ("corp", "(uid={user})"));
//!     Ok(vec![Entry::new("uid=ada,dc=example").with("uid", ["ada"])])
//! });
//! let found = Search::new("(uid={user})").value("user", "ada").attributes(["uid"]).run("corp");
//! assert_eq!(found.unwrap()[0].first("UID"), Some("ada"));
//! ```

use crate::{Secret, Unavailable, host};

pub use crate::bindings::capabilities::lanyard::policy::ldap::{
    Attribute, BindOutcome, Entry, FilterValue, LdapError, Scope, SearchRequest,
};

/// A search: everything below the directory's base, all attributes, and at most two entries, unless it says otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct Search {
    request: SearchRequest,
}

impl Search {
    /// A search by a filter (RFC 4515). What comes from outside is a placeholder in it, `(uid={user})`, and never part of the text.
    pub fn new(filter: impl Into<String>) -> Self {
        Self {
            request: SearchRequest {
                base: String::new(),
                scope: Scope::Subtree,
                filter: filter.into(),
                values: Vec::new(),
                attributes: Vec::new(),
                size_limit: 2,
            },
        }
    }

    /// What stands for a placeholder. The host escapes it.
    pub fn value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.values.push(FilterValue {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Where to begin, and how deep to go: a distinguished name at or below the directory's base.
    pub fn below(mut self, base: impl Into<String>, scope: Scope) -> Self {
        self.request.base = base.into();
        self.request.scope = scope;
        self
    }

    /// Only these attributes.
    pub fn attributes<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.request
            .attributes
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// More entries than that are an error; the host's maximum is 1,000.
    pub fn at_most(mut self, entries: u32) -> Self {
        self.request.size_limit = entries;
        self
    }

    /// Searches the directory that the operator calls so.
    ///
    /// # Errors
    /// [`LdapError`]; `?` turns it into [`Unavailable`].
    pub fn run(self, directory: &str) -> Result<Vec<Entry>, LdapError> {
        host::search(directory, &self.request)
    }
}

/// Whether the password is that of the entry with this distinguished name.
///
/// # Errors
/// [`LdapError`]; a wrong password is none.
pub fn bind(directory: &str, dn: &str, password: &Secret) -> Result<BindOutcome, LdapError> {
    host::bind(directory, dn, password)
}

impl Entry {
    /// An entry for a test.
    pub fn new(dn: impl Into<String>) -> Self {
        Self {
            dn: dn.into(),
            attributes: Vec::new(),
        }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with<V: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.attributes.push(Attribute {
            name: name.into(),
            values: values.into_iter().map(Into::into).collect(),
            octets: Vec::new(),
        });
        self
    }

    /// The texts of an attribute, whose name has no case (RFC 4512, 2.5); none if it is not there.
    #[must_use]
    pub fn values(&self, name: &str) -> &[String] {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
            .map_or(&[], |attribute| &attribute.values)
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }
}

impl From<LdapError> for Unavailable {
    fn from(error: LdapError) -> Self {
        Self(match error {
            LdapError::Invalid(why) => format!("the LDAP request is not valid: {why}"),
            LdapError::Refused(why) => format!("the LDAP server refuses: {why}"),
            LdapError::TooMany => "the LDAP search finds too much".to_owned(),
            LdapError::Unavailable(why) => format!("the LDAP server is not available: {why}"),
        })
    }
}
