//! What operators type, what they are told, and what stays out of the log.

mod apns;
mod backup;
mod devices;
mod doctor;
mod keys;
mod listed;
mod log;
mod many;
mod persons;
mod retention;
mod rotation;
mod set_up;
mod starting;

use lanyard_tests::site::Site;

const PASSWORD: &str = "correct horse battery";

fn running() -> Site {
    running_with(&[])
}

/// The same with these keys of the configuration, as the environment has them.
fn running_with(environment: &[(&str, String)]) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    for (name, value) in environment {
        site.set(name, value);
    }
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site
}

/// Enrolls a device whose process has ended; its UDID.
fn enroll(site: &Site) -> String {
    let password = site.add_user(PASSWORD).unwrap();
    let mut process = site
        .start_device(&password, &["--exit-after", "enroll"])
        .unwrap();
    assert!(process.wait().unwrap().success(), "{}", process.said());
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    devices[0]["id"].as_str().unwrap().to_owned()
}

/// `lanyard` does this and says so.
fn says(site: &Site, arguments: &[&str], parts: &[&str]) {
    let said = site.lanyard(arguments);
    let said = said.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    contains(&said, parts, arguments);
}

/// `lanyard` refuses this, with a sentence and no more than its cause.
fn refuses(site: &Site, arguments: &[&str], parts: &[&str]) {
    match site.lanyard(arguments) {
        Ok(said) => panic!("{arguments:?}: {said}"),
        Err(error) => {
            contains(&error, parts, arguments);
            assert!(!error.contains("panicked"), "{arguments:?}: {error}");
        }
    }
}

fn contains(said: &str, parts: &[&str], arguments: &[&str]) {
    for part in parts {
        assert!(
            said.contains(part),
            "{arguments:?}: {part:?} is not in {said}"
        );
    }
}
