//! A WebAssembly directory, bound in `lanyard.toml` of a real server.

use std::fs;

use http::header;
use lanyard_device::{
    apns::Courier,
    enroll::{Credentials, Invitation},
    http::{Answer, Call},
    journal::Journal,
    manage::Managed,
    mischief::Told,
};
use lanyard_tests::site::{Site, USER};

use crate::browser::{
    Browser, OVER, TRY_AGAIN, WRONG, attribute, cookie_of, header_of, is_page, text,
};

const PASSWORD: &str = "correct horse battery";
/// Of `ada`, whom the plugin knows.
const ADAS_PASSWORD: &str = "correct horse";
const FILE: &str = "guest-directory.wasm";
const POLICY: &str = r#"
[[binding]]
hook = "directory"
name = "school"
plugin = "guest-directory.wasm"
grants = ["log", "secrets"]
redirect = { allow = ["https://id.example.com/authorize"] }
"#;

fn running_site() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site.apply(POLICY, &["guest-directory"]).unwrap();
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
            is_page(&answer, 403, WRONG);
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
        is_page(&answer, 503, TRY_AGAIN);
        let log = site.server_log();
        let failure = log
            .lines()
            .find(|line| line.contains(&format!("code=\"{code}\"")));
        let failure = failure.unwrap_or_else(|| panic!("{code} is not in the log: {log}"));
        assert!(failure.contains("binding=\"school\""), "{failure}");
    }
    let answer = browser.sign_in("ada", ADAS_PASSWORD).await;
    assert_eq!(answer.status, 200, "what failed before is forgotten");

    let decisions = site.lanyard(&["decisions", "list"]).unwrap();
    for outcome in [
        "failed: trapped",
        "failed: out-of-fuel",
        "failed: unavailable",
        "authenticated",
    ] {
        assert!(
            decisions.contains(outcome),
            "{outcome} is not in {decisions}"
        );
    }
    let decisions = site.lanyard(&["decisions", "list", "--json"]).unwrap();
    assert!(decisions.contains("[redacted]"), "{decisions}");
    assert!(!decisions.contains(PASSWORD) && !decisions.contains(ADAS_PASSWORD));
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
        fs::write(site.data().join(FILE), content).unwrap();
        let said = site.apply(POLICY, &[]).unwrap_err();
        for part in ["directory `school`", FILE, reason] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
    let browser = Browser::open(&site).await;
    let answer = browser.sign_in("ada", ADAS_PASSWORD).await;
    assert_eq!(answer.status, 200, "the policy before stays in force");
}

#[tokio::test]
async fn a_plugin_asks_for_a_code_and_a_ticket_is_good_once() {
    let site = running_site();
    let browser = Browser::open(&site).await;
    let mut tickets = Vec::new();
    let mut open = async || {
        let page = browser.sign_in("code", "whatever").await;
        assert_eq!(page.status, 200);
        assert!(
            text(&page).contains("The &#60;code&#62; that we sent you"),
            "{}",
            text(&page)
        );
        assert_eq!(attribute(&page, "inputmode=\""), "numeric");
        tickets.push(attribute(&page, "name=\"ticket\" value=\""));
        page
    };
    let answer = async |page: &Answer, code: &str, ticket: Option<&str>| {
        let fields = [
            ("csrf", attribute(page, "name=\"csrf\" value=\"")),
            (
                "ticket",
                ticket.map_or_else(
                    || attribute(page, "name=\"ticket\" value=\""),
                    str::to_owned,
                ),
            ),
            ("field.code", code.to_owned()),
        ];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let call = browser.form_to(&site.url("/enroll/step"), &fields, Some(cookie_of(page)));
        browser.client.send(&call).await.unwrap()
    };
    let page = open().await;
    is_page(&answer(&page, "000000", None).await, 403, WRONG);
    is_page(&answer(&page, ADAS_PASSWORD, None).await, 403, OVER);

    let page = open().await;
    is_page(
        &answer(&page, ADAS_PASSWORD, Some("made-up")).await,
        403,
        OVER,
    );
    let signed_in = answer(&page, ADAS_PASSWORD, None).await;
    assert_eq!(signed_in.status, 200);
    assert_eq!(signed_in.content_type, lanyard_mdm::profile::CONTENT_TYPE);
    is_page(&answer(&page, ADAS_PASSWORD, None).await, 403, OVER);
    assert_ne!(tickets[0], tickets[1]);
}

#[tokio::test]
async fn a_plugin_sends_the_browser_where_it_may_and_takes_it_back() {
    let site = running_site();
    let browser = Browser::open(&site).await;
    let elsewhere = POLICY.replace("id.example.com", "login.example.com");
    site.apply(&elsewhere, &[]).unwrap();
    let page = browser.sign_in("elsewhere", "whatever").await;
    is_page(&page, 503, TRY_AGAIN);
    let decisions = site.lanyard(&["decisions", "list"]).unwrap();
    assert!(decisions.contains("failed: not-granted"), "{decisions}");
    site.apply(POLICY, &[]).unwrap();
    let page = browser.sign_in("elsewhere", "whatever").await;
    assert_eq!(page.status, 200);
    assert!(
        text(&page).contains("url=https://id.example.com/authorize?client=lanyard&#38;state=1"),
        "{}",
        text(&page)
    );
    let cookie = header_of(&page, header::SET_COOKIE).to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let come_back = async |code: &str, cookie: Option<&str>| {
        let url = site.url(&format!("/enroll/callback/school?state=1&code={code}"));
        let mut call = Call::get(url);
        if let Some(cookie) = cookie {
            call = call.header(header::COOKIE, cookie);
        }
        browser.client.send(&call).await.unwrap()
    };
    is_page(&come_back("correct+horse", None).await, 403, OVER);
    let signed_in = come_back("correct+horse", Some(cookie)).await;
    assert_eq!(signed_in.content_type, lanyard_mdm::profile::CONTENT_TYPE);
    is_page(&come_back("correct+horse", Some(cookie)).await, 403, OVER);
}
