//! The operator's log. What goes beyond a call's budget is left out.

use crate::host;

pub use crate::bindings::capabilities::lanyard::policy::log::Level;

/// Writes one line.
pub fn write(level: Level, line: &str) {
    host::write(level, line);
}

/// Writes one line for everybody who reads the log.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// Writes one line for somebody who should do something.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}
