//! The host, as far as a plugin's native tests need one: makes secrets, and keeps what was logged. There is one for each thread, and so
//! for each test.

use std::cell::RefCell;

use crate::Secret;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A secret that says this.
#[must_use]
pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}

pub(crate) fn logged(line: &str) {
    LOG.with_borrow_mut(|log| log.push(line.to_owned()));
}

/// The lines that were logged since the last time, and forgets them.
#[must_use]
pub fn take_log() -> Vec<String> {
    LOG.take()
}
