//! Check-in and the command loop, against a server process.

mod check_in;
mod exchange;
mod hostile;
mod races;
mod typed;

use std::io::Write as _;

use lanyard_tests::site::Site;

/// A server and a simulated APNs that run.
fn running() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site
}

/// Says a number that somebody may want to read, past the capture of what tests print.
fn measured(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
