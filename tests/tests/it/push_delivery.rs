//! Pushes on their way from a queued command to a device process: nothing else wakes it, and none is lost.

use std::time::{Duration, SystemTime};

use lanyard_device::apns::{Event, PushAuthority};
use lanyard_tests::{
    process::{Process, wait_until},
    site::Site,
};
use serde_json::Value;

const UDID: &str = "00008120-0000000000000A95";

/// A device process under management that has done what there was after its enrollment.
fn enrolled(site: &Site) -> Process {
    let password = site.add_user("correct horse battery").unwrap();
    let mut device = site.start_device(&password, &["--udid", UDID]).unwrap();
    device.wait_for("check-in (TokenUpdate)").unwrap();
    // The first TokenUpdate is followed by a push.
    device.wait_for("woken").unwrap();
    device
}

fn running() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site
}

fn acknowledged(site: &Site, uuid: &str) {
    let command = site.completed(uuid).unwrap();
    assert_eq!(command["state"], "acknowledged", "{command}");
}

fn count(site: &Site, event: Event) -> usize {
    let events = site.pushes(UDID).unwrap();
    events.into_iter().filter(|each| *each == event).count()
}

fn wakes(site: &Site) -> usize {
    site.device_state(UDID).unwrap().wakes.len()
}

/// Waits until a push has failed since the last one that did not.
fn push_failed(site: &Site) {
    wait_until("a push that fails", || {
        let result = site.device(UDID).ok()?["last_push_result"].take();
        (result.is_string() && result != "accepted").then_some(())
    })
    .unwrap();
}

#[test]
fn without_apns_nothing_is_delivered_and_with_it_again_everything() {
    let mut site = running();
    let device = enrolled(&site);
    site.stop_apns();
    let before = wakes(&site);
    let uuids = ["DeviceInformation", "DeviceLock"].map(|kind| site.send(UDID, kind, &[]).unwrap());
    push_failed(&site);
    for uuid in &uuids {
        let command = site.command(uuid).unwrap();
        assert_eq!(command["state"], "queued", "{command}");
        assert_eq!(command["sent_at"], Value::Null, "{command}");
    }
    assert_eq!(wakes(&site), before);
    assert!(!site.device_state(UDID).unwrap().locked);

    // Nobody does anything but switching it on.
    site.start_apns().unwrap();
    for uuid in &uuids {
        acknowledged(&site, uuid);
    }
    assert!(wakes(&site) > before, "{}", device.said());
    assert!(site.device_state(UDID).unwrap().locked);
    assert_eq!(site.device(UDID).unwrap()["last_push_result"], "accepted");
}

#[test]
fn lanyard_push_wakes_a_device_that_has_nothing_to_do() {
    let site = running();
    let _device = enrolled(&site);
    for _ in 0..2 {
        let (before, delivered) = (wakes(&site), count(&site, Event::Delivered));
        site.lanyard(&["push", UDID]).unwrap();
        wait_until("a wake-up", || (wakes(&site) > before).then_some(())).unwrap();
        wait_until("its confirmation", || {
            (count(&site, Event::Delivered) > delivered).then_some(())
        })
        .unwrap();
    }
    let state = site.device_state(UDID).unwrap();
    assert!(state.wakes.iter().all(|wake| wake.believed));
    assert!(state.model.answered.is_empty());
    let error = site
        .lanyard(&["push", "00008120-FFFFFFFFFFFFFFFF"])
        .unwrap_err();
    assert!(error.contains("there is no enrolled device"), "{error}");
}

#[test]
fn a_pkcs12_push_certificate_does_what_one_in_pem_does() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    let said = site.apns().unwrap().clone();
    let password = &said.push_pkcs12_password;
    let password = site.secret_file("p12-password", password).unwrap();
    let quoted = |path: &std::path::Path| format!("\"{}\"", path.display());
    site.set("LANYARD_PUSH_CERTIFICATE", quoted(&said.push_pkcs12));
    site.set("LANYARD_PUSH_PASSWORD_FILE", quoted(&password));
    site.start_server().unwrap();
    let _device = enrolled(&site);
    acknowledged(&site, &site.send(UDID, "DeviceInformation", &[]).unwrap());
    assert_eq!(site.device(UDID).unwrap()["topic"], said.topic);
    assert_eq!(count(&site, Event::Refused), 0);
}

#[test]
fn a_device_that_is_off_gets_its_push_when_it_is_on_again() {
    let site = running();
    enrolled(&site).kill();
    let uuid = site.send(UDID, "DeviceInformation", &[]).unwrap();
    wait_until("a push that is kept", || {
        (count(&site, Event::Stored) > 0).then_some(())
    })
    .unwrap();
    assert_eq!(site.command(&uuid).unwrap()["state"], "queued");
    let _device = site.resume_devices().unwrap();
    acknowledged(&site, &uuid);
}

#[test]
fn a_push_outlives_the_server_that_was_to_send_it() {
    let mut site = running();
    let _device = enrolled(&site);
    // Killed with no push made: it is certain that only the outbox can know of it.
    site.stop_apns();
    let unsent = site.send(UDID, "DeviceInformation", &[]).unwrap();
    site.kill_server();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    acknowledged(&site, &unsent);
    // Killed at whatever moment it is in.
    let racing = site.send(UDID, "SecurityInfo", &[]).unwrap();
    site.kill_server();
    site.start_server().unwrap();
    acknowledged(&site, &racing);
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Writes a push certificate for this topic, made then, where the server looks for it.
fn write_certificate(site: &Site, topic: &str, made: SystemTime) -> String {
    let authority = PushAuthority::open(&site.apns_folder(), SystemTime::now()).unwrap();
    let issued = authority.push_certificate(topic, made).unwrap();
    let key = issued.key.to_pem().unwrap();
    let pem = format!("{}{}", issued.certificate.to_pem(), *key);
    site.secret_file("renewed.pem", &pem).unwrap();
    issued
        .certificate
        .fingerprint()
        .map(|octet| format!("{octet:02x}"))
        .concat()
}

#[test]
fn a_push_certificate_is_replaced_in_mid_run_and_its_end_is_announced() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    let topic = site.apns().unwrap().topic.clone();
    // Apple's live a year: 25 days are left of this one.
    let ending = write_certificate(&site, &topic, SystemTime::now() - 340 * DAY);
    site.set("LANYARD_PUSH_CERTIFICATE", "\"renewed.pem\"");
    site.start_server().unwrap();
    let log = site.server_log();
    assert!(log.contains("the push certificate ends soon"), "{log}");
    let status = || site.lanyard_json(&["apns", "status"]).unwrap()[0].take();
    assert_eq!(status()["certificate_sha256"], *ending);
    let _device = enrolled(&site);

    let renewed = write_certificate(&site, &topic, SystemTime::now());
    let said = site.lanyard(&["apns", "reload"]).unwrap();
    assert!(said.contains(&topic), "{said}");
    let now = status();
    assert_eq!(now["certificate_sha256"], *renewed);
    assert_eq!(
        (&now["topic"], &now["trouble"]),
        (&topic.as_str().into(), &Value::Null)
    );
    acknowledged(&site, &site.send(UDID, "DeviceInformation", &[]).unwrap());

    // Another topic would lose the device, and what is no certificate is none.
    write_certificate(&site, "com.apple.mgmt.External.other", SystemTime::now());
    let error = site.lanyard(&["apns", "reload"]).unwrap_err();
    for part in [
        "stay as they were",
        &topic,
        "not one of them could be woken again",
    ] {
        assert!(error.contains(part), "{error}");
    }
    site.secret_file("renewed.pem", "nonsense").unwrap();
    let error = site.lanyard(&["apns", "reload"]).unwrap_err();
    assert!(error.contains("renewed.pem"), "{error}");
    assert_eq!(status()["certificate_sha256"], *renewed);
    acknowledged(&site, &site.send(UDID, "SecurityInfo", &[]).unwrap());
    let shown = site.lanyard(&["apns", "status"]).unwrap();
    assert!(
        shown.contains(&topic) && shown.contains("trouble        none"),
        "{shown}"
    );
}
