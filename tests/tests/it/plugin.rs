//! A WebAssembly directory, bound in `lanyard.toml` of a real server.

use std::fs;

use lanyard_device::{
    apns::Courier,
    enroll::{Credentials, Invitation},
    journal::Journal,
    manage::Managed,
    mischief::Told,
};
use lanyard_tests::{
    guests,
    site::{Site, USER},
};

use crate::browser::{Browser, is_page};

const PASSWORD: &str = "correct horse battery";
/// Of `ada`, whom the plugin knows.
const ADAS_PASSWORD: &str = "correct horse";
const FILE: &str = "school-directory.wasm";

/// An installation with this file bound as the directory `school`.
/// A policy that binds one file as a directory.
fn policy(site: &Site, component: &[u8]) -> String {
    let policy = site.data().join("policy.toml");
    fs::write(site.data().join(FILE), component).unwrap();
    let text = format!(
        "[[binding]]\nhook = \"directory\"\nname = \"school\"\nplugin = \"{FILE}\"\ngrants = [\"log\", \"secrets\"]\n"
    );
    fs::write(&policy, text).unwrap();
    policy.display().to_string()
}

fn running_site() -> Site {
    let component = fs::read(guests::component("guest-directory")).unwrap();
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    let policy = policy(&site, &component);
    site.lanyard(&["policy", "apply", &policy]).unwrap();
    site
}

#[tokio::test]
async fn a_plugin_vouches_for_its_persons_and_leaves_others_to_the_next_directory() {
    let site = running_site();
    let browser = Browser::open(&site).await;
    for (user_name, password, is_right) in [
        ("ada", ADAS_PASSWORD, true),
        ("ada", "wrong horse", false),
        (USER, PASSWORD, true),
        (USER, ADAS_PASSWORD, false),
        ("nobody", PASSWORD, false),
    ] {
        let answer = browser.sign_in(user_name, password).await;
        if is_right {
            assert_eq!(answer.status, 200, "{user_name}");
        } else {
            is_page(&answer, 403, "User name or password is wrong.");
        }
    }
    let store = site.store().await.unwrap();
    for (directory, person, name) in [
        ("school", "ada", "Ada Lovelace"),
        ("local-users", USER, USER),
    ] {
        let sessions = store.sessions_of_person(directory, person, 10).await;
        let names = sessions.unwrap().into_iter().map(|each| each.person_name);
        assert_eq!(names.collect::<Vec<_>>(), [name], "{directory}");
    }
}

#[tokio::test]
async fn a_plugin_that_fails_never_says_that_the_password_is_wrong() {
    let site = running_site();
    let browser = Browser::open(&site).await;
    for (user_name, code) in [
        ("trap", "trapped"),
        ("spin", "out-of-fuel"),
        ("away", "unavailable"),
    ] {
        let answer = browser.sign_in(user_name, PASSWORD).await;
        is_page(&answer, 503, "Signing in is not possible right now.");
        let log = site.server_log();
        let failure = log
            .lines()
            .find(|line| line.contains(&format!("code=\"{code}\"")));
        let failure = failure.unwrap_or_else(|| panic!("{code} is not in the log: {log}"));
        assert!(failure.contains("binding=\"school\""), "{failure}");
    }
    let answer = browser.sign_in("ada", ADAS_PASSWORD).await;
    assert_eq!(answer.status, 200, "what failed before is forgotten");
}

#[tokio::test]
async fn a_device_is_enrolled_for_a_person_of_the_plugin() {
    let site = running_site();
    let apns = site.apns().unwrap();
    let ca = fs::read(&apns.ca).unwrap();
    let courier = Courier::new(&apns.device_address.to_string(), &ca).unwrap();
    let device = site.new_device().unwrap();
    let journal = Journal::begin(&site.devices(), &device.model, |_| {}).unwrap();
    let udid = device.udid().to_owned();
    let invitation = Invitation {
        link: &site.url("/enroll"),
        credentials: &Credentials::new("ada", ADAS_PASSWORD),
        courier: &courier,
        told: &Told::default(),
    };
    Managed::enroll(device, &invitation, journal).await.unwrap();
    let device = site.lanyard_json(&["device", "show", &udid]).unwrap();
    assert_eq!(device["state"], "enrolled");
    let ada = serde_json::json!({ "directory": "school", "id": "ada", "name": "Ada Lovelace" });
    assert_eq!(device["person"], ada);
}

#[tokio::test]
async fn a_file_that_is_no_directory_plugin_is_not_bound() {
    let site = running_site();
    let too_large = vec![0; (4 << 20) + 1];
    for (content, reason) in [
        (
            &b""[..],
            "the file is empty and not a WebAssembly component",
        ),
        (b"#!/bin/sh", "no WebAssembly at all"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "exports no hook of the contract"),
        (b"\0asm\x0d\0\x01\0broken", "the component is not valid"),
        (&too_large, "bytes, and at most"),
    ] {
        let policy = policy(&site, content);
        let said = site.lanyard(&["policy", "apply", &policy]).unwrap_err();
        for part in ["directory `school`", FILE, reason] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
    let browser = Browser::open(&site).await;
    let answer = browser.sign_in("ada", ADAS_PASSWORD).await;
    assert_eq!(answer.status, 200, "the policy before stays in force");
}
