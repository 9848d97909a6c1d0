//! The operator's log. What goes beyond a call's budget is left out.

pub use crate::bindings::capabilities::lanyard::policy::log::Level;

/// Writes one line.
pub fn write(level: Level, line: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::capabilities::lanyard::policy::log::write(level, line);
    #[cfg(not(target_family = "wasm"))]
    {
        // A test reads the lines; their level is for who operates the host.
        let _ = level;
        crate::test::logged(line);
    }
}

/// Writes one line for everybody who reads the log.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// Writes one line for somebody who should do something.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}
