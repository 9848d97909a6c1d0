//! An enrollment that a plugin leaves to an operator: `lanyard approvals`, with the server killed in between.

use lanyard_device::{device::Device, enroll::Credentials};
use lanyard_tests::site::{Site, USER};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery";
const POLICY: &str = r#"
[[binding]]
hook = "enrollment-approval"
name = "devices"
plugin = "example-enrollment-approval.wasm"
"#;

/// A server on which iPads wait for somebody.
fn running() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site.apply(POLICY, &["example-enrollment-approval"])
        .unwrap();
    site
}

fn tablet(site: &Site) -> Device {
    let mut device = site.new_device().unwrap();
    device.model.facts.product_name = "iPad13,1".to_owned();
    device
}

/// Signs in and identifies the device: the phase that is approved.
async fn identify(site: &Site, device: &Device) -> Result<(), String> {
    let credentials = Credentials::new(USER, PASSWORD);
    let link = site.url("/enroll");
    // The first may go to a connection that was kept, to a server that was killed.
    let signed_in = match device.sign_in(&link, &credentials).await {
        Err(_) => device.sign_in(&link, &credentials).await,
        signed_in => signed_in,
    };
    let service = signed_in.unwrap().service;
    let attributes = device.attributes(&service.attributes, service.challenge.clone());
    let message = device.phase_2_message(&attributes).unwrap();
    let identified = device.identify(&service.url, &message).await;
    identified.map(drop).map_err(|error| format!("{error:?}"))
}

/// What waits for an operator.
fn waiting(site: &Site) -> Vec<Value> {
    let approvals = site.lanyard_json(&["approvals", "list"]).unwrap();
    approvals.as_array().unwrap().clone()
}

#[tokio::test]
async fn an_operator_lets_a_device_in_after_a_crash_and_once() {
    let mut site = running();
    let device = tablet(&site);
    let refused = identify(&site, &device).await.unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    let waits = waiting(&site);
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0]["device"], device.udid());
    assert_eq!(waits[0]["person"]["id"], USER);
    assert_eq!(waits[0]["state"], "pending");
    let decision = ["decisions", "show", waits[0]["decision"].as_str().unwrap()];
    let decision = site.lanyard_json(&decision).unwrap();
    assert_eq!(decision["used"][0]["binding"], "devices");

    // A second attempt asks nobody once more.
    identify(&site, &device).await.unwrap_err();
    assert_eq!(waiting(&site).len(), 1);

    site.kill_server();
    site.start_server().unwrap();
    let id = waits[0]["id"].as_str().unwrap();
    site.lanyard(&["approvals", "approve", id, "--note", "It is hers."])
        .unwrap();
    site.kill_server();
    site.start_server().unwrap();
    identify(&site, &device).await.unwrap();
    let used = site.lanyard_json(&["approvals", "show", id]).unwrap();
    assert!(used["used_at"].is_u64(), "{used}");
    assert_eq!(used["note"], "It is hers.");

    // It was for that one enrollment.
    identify(&site, &device).await.unwrap_err();
    let again = waiting(&site);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_ne!(again[0]["id"], id);
}

#[tokio::test]
async fn a_denial_is_the_operators_word_and_stays() {
    let mut site = running();
    let device = tablet(&site);
    identify(&site, &device).await.unwrap_err();
    let id = waiting(&site)[0]["id"].as_str().unwrap().to_owned();
    let reason = ["--reason", "This one was reported stolen."];
    site.lanyard(&[&["approvals", "deny", &id][..], &reason].concat())
        .unwrap();
    site.kill_server();
    site.start_server().unwrap();
    let refused = identify(&site, &device).await.unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    // Somebody else's device is none of it.
    let other = tablet(&site);
    identify(&site, &other).await.unwrap_err();
    // Until somebody thinks better of it.
    site.lanyard(&["approvals", "approve", &id]).unwrap();
    identify(&site, &device).await.unwrap();
}

#[tokio::test]
async fn an_answer_is_for_the_device_that_the_operator_saw() {
    let site = running();
    let mut device = tablet(&site);
    identify(&site, &device).await.unwrap_err();
    let first = waiting(&site)[0]["id"].as_str().unwrap().to_owned();
    let shown = site.lanyard(&["approvals", "show", &first]).unwrap();
    let serial = format!("device.serial {}", device.model.facts.serial_number);
    assert!(shown.contains(&serial), "{shown}");
    site.lanyard(&["approvals", "approve", &first]).unwrap();
    device.model.facts.serial_number = "ANOTHER0SERIAL".to_owned();
    identify(&site, &device).await.unwrap_err();
    let waits = waiting(&site);
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0]["facts"]["device"]["serial"], "ANOTHER0SERIAL");
    let over = site.lanyard_json(&["approvals", "show", &first]).unwrap();
    assert_eq!(over["state"], "expired");
    let second = waits[0]["id"].as_str().unwrap();
    site.lanyard(&["approvals", "approve", second]).unwrap();
    identify(&site, &device).await.unwrap();
}
