//! The host, as far as a plugin's tests need one: makes secrets, keeps what was logged, and answers for directories and web servers
//! as the test says. There is one for each thread, and so for each test.
//!
//! It is there natively; and with the feature `test`, which a plugin names among its `dev-dependencies`, also in tests that run inside
//! of the real host: `cargo test --target wasm32-wasip2`. The SDK answers alike in both.

mod secret;

use std::cell::RefCell;

pub use secret::Secret;

use crate::http::{HttpError, RawRequest, Response, SecretPlace};
use crate::ldap::{BindOutcome, Entry, LdapError, SearchRequest};
use crate::log::Level;

type Search = dyn Fn(&str, &SearchRequest) -> Result<Vec<Entry>, LdapError>;
type Bind = dyn Fn(&str, &str, &str) -> Result<BindOutcome, LdapError>;
type Http = dyn Fn(&RawRequest, &[(SecretPlace, String)]) -> Result<Response, HttpError>;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static SEARCH: RefCell<Option<Box<Search>>> = const { RefCell::new(None) };
    static BIND: RefCell<Option<Box<Bind>>> = const { RefCell::new(None) };
    static HTTP: RefCell<Option<Box<Http>>> = const { RefCell::new(None) };
}

/// A secret that says this.
#[must_use]
pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// A test reads the lines; their level is for who operates the host.
pub(crate) fn write(_: Level, line: &str) {
    LOG.with_borrow_mut(|log| log.push(line.to_owned()));
}

/// The lines that were logged since the last time, and forgets them.
#[must_use]
pub fn take_log() -> Vec<String> {
    LOG.take()
}

/// Answers searches from now on: told the directory's name and the request. Without this, every directory is away.
pub fn answer_search(
    answer: impl Fn(&str, &SearchRequest) -> Result<Vec<Entry>, LdapError> + 'static,
) {
    SEARCH.set(Some(Box::new(answer)));
}

/// Answers binds from now on: told the directory's name, the distinguished name and the password, which is never empty. Without this,
/// every directory is away.
pub fn answer_bind(answer: impl Fn(&str, &str, &str) -> Result<BindOutcome, LdapError> + 'static) {
    BIND.set(Some(Box::new(answer)));
}

/// Answers HTTP requests from now on: told the request as the plugin made it, and the secrets with their places. Without this, every
/// server is away.
pub fn answer_http(
    answer: impl Fn(&RawRequest, &[(SecretPlace, String)]) -> Result<Response, HttpError> + 'static,
) {
    HTTP.set(Some(Box::new(answer)));
}

fn away() -> String {
    "the test says nothing of it".to_owned()
}

pub(crate) fn search(directory: &str, request: &SearchRequest) -> Result<Vec<Entry>, LdapError> {
    SEARCH.with_borrow(|answer| match answer {
        Some(answer) => answer(directory, request),
        None => Err(LdapError::Unavailable(away())),
    })
}

pub(crate) fn bind(directory: &str, dn: &str, password: &Secret) -> Result<BindOutcome, LdapError> {
    if password.text().is_empty() {
        return Ok(BindOutcome::Rejected);
    }
    BIND.with_borrow(|answer| match answer {
        Some(answer) => answer(directory, dn, password.text()),
        None => Err(LdapError::Unavailable(away())),
    })
}

pub(crate) fn send(
    request: &RawRequest,
    secrets: &[(SecretPlace, &Secret)],
) -> Result<Response, HttpError> {
    let secrets: Vec<(SecretPlace, String)> = secrets
        .iter()
        .map(|(place, secret)| (place.clone(), secret.text().to_owned()))
        .collect();
    HTTP.with_borrow(|answer| match answer {
        Some(answer) => answer(request, &secrets),
        None => Err(HttpError::Unavailable(away())),
    })
}
