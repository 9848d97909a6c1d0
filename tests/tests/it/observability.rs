//! What operators see of a running server: counters, traces, the log.

mod collector;
mod metrics;
mod traces;

use lanyard_tests::site::Site;

const PASSWORD: &str = "correct horse battery";

/// Starts a server that is set up so.
fn running(settings: &[(&str, &str)]) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    for (name, value) in settings {
        site.set(name, *value);
    }
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site
}

/// A device that enrolls, and goes on being managed until the process is dropped; its UDID.
fn enroll(site: &Site) -> (lanyard_tests::process::Process, String) {
    let password = site.add_user(PASSWORD).unwrap();
    let device = site.start_device(&password, &[]).unwrap();
    (device, site.enrolled().unwrap())
}
