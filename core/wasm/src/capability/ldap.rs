//! Searches and binds (RFC 4511) in the directories that the operator configured.

use std::collections::BTreeMap;

use lanyard_policy::Secret;
use ldap3::{LdapError as Failure, LdapResult, SearchEntry, SearchOptions};
use wasmtime::component::Resource;

use crate::bindings::capabilities::lanyard::policy::ldap::{
    self, Attribute, BindOutcome, Entry, FilterValue, LdapError, Scope, SearchRequest,
};
use crate::directories::LdapDirectory;
use crate::filter;
use crate::secret::HeldSecret;
use crate::state::CallState;

/// Most entries of one search.
const MOST_ENTRIES: u32 = 1000;
/// Most octets of all entries of one search.
const MOST_BYTES: usize = 1 << 20;
/// Most attributes that a search may ask for.
const MOST_ATTRIBUTES: usize = 128;

// RFC 4511, appendix A.
const SUCCESS: u32 = 0;
const TIME_LIMIT_EXCEEDED: u32 = 3;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const ADMIN_LIMIT_EXCEEDED: u32 = 11;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;

impl ldap::Host for CallState {
    async fn search(
        &mut self,
        directory: String,
        request: SearchRequest,
    ) -> wasmtime::Result<Result<Vec<Entry>, LdapError>> {
        self.count_host_call()?;
        self.grants().directory(&directory)?;
        let arguments = (directory.clone(), request.clone());
        let directory = self.directory(&directory);
        self.taped("ldap.search", &arguments, async move {
            Ok(answered(perform_search(directory, request)).await)
        })
        .await
    }

    async fn bind(
        &mut self,
        directory: String,
        dn: String,
        password: Resource<HeldSecret>,
    ) -> wasmtime::Result<Result<BindOutcome, LdapError>> {
        self.count_host_call()?;
        self.grants().secret_to_directory(&directory)?;
        self.count_verification()?;
        let arguments = (directory.clone(), dn.clone(), password.rep());
        let password = self.table.get(&password)?.0.clone();
        let directory = self.directory(&directory);
        self.taped("ldap.bind", &arguments, async move {
            Ok(answered(perform_bind(directory, dn, password)).await)
        })
        .await
    }
}

/// In a task of its own: a plugin's deadline leaves no half-read answer on a connection that others share, and whatever a server
/// makes of LDAP's encoding ends there.
async fn answered<T: Send + 'static>(
    work: impl Future<Output = Result<T, LdapError>> + Send + 'static,
) -> Result<T, LdapError> {
    match tokio::spawn(work).await {
        Ok(answer) => answer,
        Err(_) => Err(LdapError::Unavailable(
            "the server's answer cannot be read".to_owned(),
        )),
    }
}

async fn perform_search(
    directory: Option<LdapDirectory>,
    request: SearchRequest,
) -> Result<Vec<Entry>, LdapError> {
    let directory = configured(directory)?;
    let search = Search::checked(directory.base(), request)?;
    match search.run(&directory).await {
        // A connection that stood idle may have been closed without a word: a second attempt has a fresh one.
        Err(Failed::Connection(_)) => directory.forget().await,
        settled => return settled.map_err(LdapError::from),
    }
    let again = search.run(&directory).await;
    if matches!(again, Err(Failed::Connection(_))) {
        directory.forget().await;
    }
    again.map_err(LdapError::from)
}

async fn perform_bind(
    directory: Option<LdapDirectory>,
    dn: String,
    password: Secret,
) -> Result<BindOutcome, LdapError> {
    let directory = configured(directory)?;
    if dn.is_empty() {
        return Err(LdapError::Invalid(
            "the distinguished name is empty, which would be an anonymous bind".to_owned(),
        ));
    }
    if !is_at_or_below(&dn, directory.base()) {
        return Err(LdapError::Invalid(format!(
            "{dn:?} is not below the base of the directory, {:?}",
            directory.base()
        )));
    }
    // RFC 4513, 5.1.2: a bind without a password succeeds, and proves nothing.
    if password.expose().is_empty() {
        return Ok(BindOutcome::Rejected);
    }
    let bound = async {
        let mut ldap = directory.connect().await?;
        ldap.with_timeout(directory.timeout());
        let bound = ldap.simple_bind(&dn, password.expose()).await?;
        // The answer is there already: it does not matter how the farewell ends.
        let _ = ldap.unbind().await;
        Ok(bound)
    };
    let bound: LdapResult = bound.await.map_err(|error| unavailable(&error))?;
    match bound.rc {
        SUCCESS => Ok(BindOutcome::Accepted),
        INVALID_CREDENTIALS => Ok(account_state(&bound.text)),
        INAPPROPRIATE_AUTHENTICATION => Ok(BindOutcome::Rejected),
        _ => Err(LdapError::Unavailable(bound.to_string())),
    }
}

/// Active Directory says why in the text: `80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data 533, v2580`.
fn account_state(text: &str) -> BindOutcome {
    let code = text
        .split_once("data ")
        .and_then(|(_, rest)| rest.split([',', ' ']).next());
    match code {
        Some("533") => BindOutcome::Disabled,
        Some("775") => BindOutcome::Locked,
        Some("532" | "701" | "773") => BindOutcome::Expired,
        _ => BindOutcome::Rejected,
    }
}

fn configured(directory: Option<LdapDirectory>) -> Result<LdapDirectory, LdapError> {
    directory.ok_or_else(|| {
        LdapError::Unavailable("this server has no directory of that name".to_owned())
    })
}

/// A search that was looked at.
struct Search {
    base: String,
    scope: ldap3::Scope,
    filter: String,
    attributes: Vec<String>,
    size_limit: u32,
}

enum Failed {
    /// The connection is worth nothing any more.
    Connection(Failure),
    /// The server answered.
    Answer(LdapError),
}

impl From<Failed> for LdapError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Connection(error) => unavailable(&error),
            Failed::Answer(error) => error,
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::LdapResult { result } => {
                let said = format!("the service account is refused: {result}");
                Self::Answer(LdapError::Unavailable(said))
            }
            Failure::FilterParsing => Self::Answer(LdapError::Invalid(
                "the filter is not one as RFC 4515 has them".to_owned(),
            )),
            other => Self::Connection(other),
        }
    }
}

impl Search {
    fn checked(base: &str, request: SearchRequest) -> Result<Self, LdapError> {
        let invalid = |why: String| Err(LdapError::Invalid(why));
        if !(1..=MOST_ENTRIES).contains(&request.size_limit) {
            return invalid(format!(
                "the size limit is not between 1 and {MOST_ENTRIES}"
            ));
        }
        if request.attributes.len() > MOST_ATTRIBUTES {
            return invalid(format!("more than {MOST_ATTRIBUTES} attributes are wanted"));
        }
        if !request.base.is_empty() && !is_at_or_below(&request.base, base) {
            return invalid(format!(
                "the base {:?} is not below that of the directory, {base:?}",
                request.base
            ));
        }
        let values: BTreeMap<String, String> = request
            .values
            .into_iter()
            .map(|FilterValue { name, value }| (name, value))
            .collect();
        let filter = match filter::fill_in(&request.filter, &values) {
            Ok(filter) => filter,
            Err(malformed) => return invalid(malformed.to_string()),
        };
        Ok(Self {
            base: if request.base.is_empty() {
                base.to_owned()
            } else {
                request.base
            },
            scope: match request.scope {
                Scope::Base => ldap3::Scope::Base,
                Scope::OneLevel => ldap3::Scope::OneLevel,
                Scope::Subtree => ldap3::Scope::Subtree,
            },
            filter,
            attributes: request.attributes,
            size_limit: request.size_limit,
        })
    }

    async fn run(&self, directory: &LdapDirectory) -> Result<Vec<Entry>, Failed> {
        let mut ldap = directory.searching().await?;
        let most = self.size_limit as usize;
        let limit = i32::try_from(self.size_limit).unwrap_or(i32::MAX);
        ldap.with_timeout(directory.timeout());
        ldap.with_search_options(SearchOptions::new().sizelimit(limit));
        let mut stream = ldap
            .streaming_search(
                &self.base,
                self.scope,
                &self.filter,
                self.attributes.as_slice(),
            )
            .await?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(item) = stream.next().await? {
            if item.is_ref() || item.is_intermediate() {
                continue;
            }
            let entry = entry(SearchEntry::construct(item));
            bytes += size(&entry);
            // Not every server keeps to the size limit.
            if entries.len() == most || bytes > MOST_BYTES {
                let id = stream.ldap_handle().last_id();
                stream.ldap_handle().abandon(id).await?;
                return Err(Failed::Answer(LdapError::TooMany));
            }
            entries.push(entry);
        }
        let result = stream.finish().await;
        Err(Failed::Answer(match result.rc {
            SUCCESS => return Ok(entries),
            SIZE_LIMIT_EXCEEDED | ADMIN_LIMIT_EXCEEDED => LdapError::TooMany,
            BUSY | UNAVAILABLE | TIME_LIMIT_EXCEEDED => LdapError::Unavailable(result.to_string()),
            _ => LdapError::Refused(result.to_string()),
        }))
    }
}

/// In a stable order, so that the same directory gives the same answer.
fn entry(found: SearchEntry) -> Entry {
    let texts = found.attrs.into_iter().map(|(name, values)| Attribute {
        name,
        values,
        octets: Vec::new(),
    });
    let others = found.bin_attrs.into_iter().map(|(name, octets)| Attribute {
        name,
        values: Vec::new(),
        octets,
    });
    let mut attributes: Vec<Attribute> = texts.chain(others).collect();
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    Entry {
        dn: found.dn,
        attributes,
    }
}

fn size(entry: &Entry) -> usize {
    let attributes = entry.attributes.iter().map(|attribute| {
        let texts: usize = attribute.values.iter().map(String::len).sum();
        let octets: usize = attribute.octets.iter().map(Vec::len).sum();
        attribute.name.len() + texts + octets
    });
    entry.dn.len() + attributes.sum::<usize>()
}

/// Compares the names' parts from the right, without case and blanks around them. A name that is written in another way than the
/// configured one does not count as below it; nor does one with a character that Active Directory gives a meaning of its own, as in
/// `<GUID=…>`, and that RFC 4514 has escaped.
fn is_at_or_below(name: &str, base: &str) -> bool {
    if has_unescaped(name, &['<', '>', ';', '"']) {
        return false;
    }
    let (name, base) = (parts(name), parts(base));
    name.ends_with(&base)
}

fn has_unescaped(name: &str, special: &[char]) -> bool {
    let mut escaped = false;
    for character in name.chars() {
        if !escaped && special.contains(&character) {
            return true;
        }
        escaped = character == '\\' && !escaped;
    }
    false
}

/// Splits at commas that are not escaped (RFC 4514, 2.4).
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in name.chars() {
        if character == ',' && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = character == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.extend(character.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
        .iter()
        .map(|part| match part.split_once('=') {
            Some((kind, value)) => format!("{}={}", kind.trim(), value.trim()),
            None => part.trim().to_owned(),
        })
        .collect()
}

fn unavailable(failure: &Failure) -> LdapError {
    LdapError::Unavailable(match failure {
        Failure::Timeout { .. } => "the server does not answer in time".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stays_at_or_below_its_base() {
        let base = "ou=People, dc=Example";
        for inside in [
            "ou=people,dc=example",
            "uid=ada,ou=People,dc=example",
            "cn=a\\,b,OU = people , DC=example",
        ] {
            assert!(is_at_or_below(inside, base), "{inside}");
        }
        for outside in [
            "dc=example",
            "ou=groups,dc=example",
            "uid=x\\,ou=people,dc=example",
            "xou=people,dc=example",
            "ou=people,dc=example,dc=evil",
            "<GUID=00>;uid=ada,ou=people,dc=example",
            "\"uid=x,\",ou=people,dc=example",
        ] {
            assert!(!is_at_or_below(outside, base), "{outside}");
        }
    }

    #[test]
    fn active_directory_says_why_a_bind_fails() {
        let said = |code: &str| {
            format!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {code}, v3839\0"
            )
        };
        for (code, outcome) in [
            ("52e", BindOutcome::Rejected),
            ("525", BindOutcome::Rejected),
            ("533", BindOutcome::Disabled),
            ("775", BindOutcome::Locked),
            ("532", BindOutcome::Expired),
            ("701", BindOutcome::Expired),
            ("773", BindOutcome::Expired),
        ] {
            assert_eq!(account_state(&said(code)), outcome, "{code}");
        }
        assert_eq!(account_state(""), BindOutcome::Rejected);
    }
}
