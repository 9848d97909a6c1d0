//! `lanyard keys`: the sealing key is another one, and nobody notices.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use lanyard_pki::seal::KeyRing;
use lanyard_store::Store;
use lanyard_tests::{process::wait_until, site::Site};
use serde_json::Value;

use super::{PASSWORD, enroll, refuses, running, says};

pub(super) fn keys(site: &Site) -> Vec<Value> {
    let keys = site.lanyard_json(&["keys", "list"]).unwrap();
    keys.as_array().unwrap().clone()
}

pub(super) fn ids(keys: &[Value]) -> Vec<(&str, &str)> {
    fn word<'a>(key: &'a Value, name: &str) -> &'a str {
        key[name].as_str().unwrap()
    }
    keys.iter()
        .map(|key| (word(key, "id"), word(key, "state")))
        .collect()
}

pub(super) fn is_postgres(site: &Site) -> bool {
    site.database_url().starts_with("postgres")
}

/// Lets the last rotation be two hours ago, which is when challenges of before are over.
pub(super) async fn age_rotation(site: &Site) {
    let text = fs::read_to_string(site.data().join("sealing.key")).unwrap();
    let ring = KeyRing::from_text(&text).unwrap();
    let store = Store::connect(&site.database_url(), ring).await.unwrap();
    let current = store.key_ring().current();
    let before = SystemTime::now() - Duration::from_secs(2 * 3600);
    store.rotate_sealing_key(current, before).await.unwrap();
    store.close().await.unwrap();
}

#[test]
fn a_rotated_key_seals_everything_and_the_old_one_can_go() {
    let mut site = running();
    let udid = enroll(&site);
    let sent = site
        .lanyard_json(&["command", "send", &udid, "DeviceInformation"])
        .unwrap();
    let waiting = sent["uuid"].as_str().unwrap().to_owned();
    let before = keys(&site);
    let old = ids(&before)[0].0.to_owned();
    assert_eq!(ids(&before), [(old.as_str(), "current")]);
    assert_ne!(before[0]["values"], 0);
    // Those of the authority, its registration authority, the server's own root, and profile signing.
    assert_eq!(before[0]["files"].as_array().unwrap().len(), 4);
    refuses(
        &site,
        &["keys", "retire", &old],
        &[&old, "current", "rotate"],
    );
    refuses(
        &site,
        &["keys", "retire", "00000000"],
        &["no sealing key 00000000"],
    );
    refuses(&site, &["keys", "retire", "x"], &["eight hex digits"]);

    if is_postgres(&site) {
        refuses(
            &site,
            &["keys", "rotate"],
            &["no spare key", "lanyard keys add"],
        );
        says(&site, &["keys", "add"], &["not used yet"]);
        assert_eq!(ids(&keys(&site))[1].1, "spare");
    }
    says(&site, &["keys", "rotate"], &["is current"]);
    let sealed = wait_until("everything to be sealed anew", || {
        let keys = keys(&site);
        (keys[0]["values"] == 0).then_some(keys)
    });
    let sealed = sealed.unwrap();
    let new = ids(&sealed)[1].0.to_owned();
    assert_eq!(
        ids(&sealed),
        [(old.as_str(), "older"), (new.as_str(), "current")]
    );
    assert_eq!(sealed[0]["files"].as_array().unwrap().len(), 0);
    assert_eq!(sealed[1]["files"].as_array().unwrap().len(), 4);

    refuses(&site, &["keys", "retire", &old], &["challenges", "minutes"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(age_rotation(&site));
    says(
        &site,
        &["keys", "retire", &old],
        &[&old, "out of the key file"],
    );
    assert_eq!(ids(&keys(&site)), [(new.as_str(), "current")]);
    let file = fs::read_to_string(site.data().join("sealing.key")).unwrap();
    assert_eq!(
        KeyRing::from_text(&file).unwrap().current().to_string(),
        new
    );

    // The one key that is left is enough for a server that starts, for devices of before and for new ones.
    site.kill_server();
    site.start_server().unwrap();
    let resumed = site.resume_devices().unwrap();
    let done = wait_until("the command to be done", || {
        let shown = site.lanyard_json(&["command", "show", &waiting]).unwrap();
        (shown["commands"][0]["state"] == "acknowledged").then_some(())
    });
    done.unwrap_or_else(|error| panic!("{error}: {}", site.server_log()));
    drop(resumed);
    let password = site.add_user(PASSWORD).unwrap();
    let mut process = site
        .start_device(&password, &["--exit-after", "enroll"])
        .unwrap();
    assert!(process.wait().unwrap().success(), "{}", process.said());
}
