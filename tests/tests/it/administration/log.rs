//! No secret of a whole enrollment is in the server's log, however much it is told to say.

use std::fs;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use lanyard_device::{enroll::Credentials, factory::Identity};
use lanyard_mdm::profile::ScepPayload;
use lanyard_tests::site::{Site, USER};

use super::{PASSWORD, enroll};

/// A secret as a log could show it: as it is, in hexadecimal, in base64, as the numbers of its octets.
fn writings(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
    let text = String::from_utf8(secret.to_vec()).ok();
    // Of base64 only what does not depend on the octets beside it.
    let base64 = |text: String| text[..text.len() - 2].to_owned();
    let numbers = format!("{:?}", &secret[..secret.len().min(16)]);
    let numbers = numbers.trim_matches(['[', ']']).to_owned();
    let mut all = vec![
        hex.to_uppercase(),
        hex,
        base64(STANDARD_NO_PAD.encode(secret)),
        base64(URL_SAFE_NO_PAD.encode(secret)),
        numbers,
    ];
    all.extend(text);
    all
}

fn challenge(payload: &ScepPayload) -> Vec<u8> {
    payload
        .challenge
        .as_ref()
        .unwrap()
        .expose()
        .as_bytes()
        .to_vec()
}

/// The challenges of phases 1 and 2 and of the identity, from an enrollment step by step.
async fn challenges(site: &Site) -> Vec<(&'static str, Vec<u8>)> {
    let device = site.new_device().unwrap();
    let credentials = Credentials::new(USER, PASSWORD);
    let link = site.url("/enroll");
    let service = device.sign_in(&link, &credentials).await.unwrap().service;
    let first = service.challenge.clone().unwrap();
    let attributes = device.attributes(&service.attributes, service.challenge);
    let message = device.phase_2_message(&attributes).unwrap();
    let interim_payload = device.identify(&service.url, &message).await.unwrap().scep;
    let interim: Identity = device.certify(&interim_payload).await.unwrap();
    let message = device.phase_3_message(&attributes, &interim).unwrap();
    let delivered = device.fetch_profile(&service.url, &message, &interim).await;
    let identity_payload = delivered.unwrap().profile.scep;
    device.certify(&identity_payload).await.unwrap();
    vec![
        ("enrollment challenge", first.expose().as_bytes().to_vec()),
        ("interim challenge", challenge(&interim_payload)),
        ("identity challenge", challenge(&identity_payload)),
    ]
}

#[tokio::test]
async fn no_secret_of_an_enrollment_is_logged() {
    let mut site = Site::temporary(&[]).unwrap();
    site.set("LANYARD_LOG", "trace");
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let udid = enroll(&site);
    let mut secrets = challenges(&site).await;
    let refused = site.new_device().unwrap();
    let wrong = Credentials::new(USER, "wrong-battery-staple");
    refused
        .sign_in(&site.url("/enroll"), &wrong)
        .await
        .unwrap_err();
    let clear = site.send(&udid, "ClearPasscode", &[]).unwrap();
    let lock = site.send(&udid, "DeviceLock", &["PIN=735194"]).unwrap();
    let _devices = site.resume_devices().unwrap();
    for uuid in [clear, lock] {
        assert_eq!(site.completed(&uuid).unwrap()["state"], "acknowledged");
    }

    let state = site.device_state(&udid).unwrap();
    let store = site.store().await.unwrap();
    let target = store.push_target(&udid).await.unwrap().unwrap();
    let line = |file: &str, number: usize| {
        let text = fs::read_to_string(site.data().join(file)).unwrap();
        text.lines().nth(number).unwrap().as_bytes().to_vec()
    };
    secrets.extend([
        ("password", PASSWORD.as_bytes().to_vec()),
        ("wrong password", b"wrong-battery-staple".to_vec()),
        ("PIN", b"735194".to_vec()),
        ("device token", target.token.expose().clone()),
        ("push magic", target.push_magic.expose().as_bytes().to_vec()),
        ("unlock token", state.model.unlock_token.expose().to_vec()),
        ("sealing key", line("sealing.key", 0)),
        ("TLS key", line("server/tls.key", 1)),
    ]);
    let basic = |password: &str| {
        STANDARD_NO_PAD
            .encode(format!("{USER}:{password}"))
            .into_bytes()
    };
    secrets.push(("HTTP Basic", basic(PASSWORD)));

    let log = site.server_log();
    assert!(
        log.contains(&udid) && log.contains("TRACE"),
        "this is the log"
    );
    for (what, secret) in secrets {
        assert!(secret.len() >= 6, "{what}");
        for writing in writings(&secret) {
            assert!(
                !log.contains(&writing),
                "the {what} is in the log: {}",
                line_with(&log, &writing)
            );
        }
    }
}

fn line_with<'a>(log: &'a str, text: &str) -> &'a str {
    let first = text.lines().next().unwrap_or(text);
    log.lines()
        .find(|line| line.contains(first))
        .unwrap_or_default()
}
