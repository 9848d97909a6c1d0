//! `lanyard keys rotate`, and the server is killed before everything is sealed anew.

use std::{fs, time::SystemTime};

use lanyard_pki::seal::KeyRing;
use lanyard_store::{DecisionRecord, Store};
use lanyard_tests::{process::wait_until, site::Site};
use serde_json::{Value, json};

use super::{
    enroll,
    keys::{age_rotation, ids, is_postgres, keys},
    refuses, running, says,
};

/// Enough that a server is not done with them between two looks at it.
const DECISIONS: u32 = 1_000;

/// Puts decisions on record, of which each has four values that are sealed.
async fn fill(site: &Site) {
    let text = fs::read_to_string(site.data().join("sealing.key")).unwrap();
    let ring = KeyRing::from_text(&text).unwrap();
    let store = Store::connect(&site.database_url(), ring).await.unwrap();
    for n in 0..DECISIONS {
        let record = DecisionRecord {
            id: decision(n),
            hook: "ra-approval".to_owned(),
            at: SystemTime::now(),
            subject: None,
            serial: None,
            policy: None,
            question: json!({ "asked": n }),
            opinions: json!([]),
            outcome: json!({ "verdict": n }),
            used: json!([]),
            tape: b"[]".to_vec(),
            beside: None,
        };
        store.keep_decision(&record).await.unwrap();
    }
    store.close().await.unwrap();
}

fn decision(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// How many values each key seals, while no server runs.
async fn sealed(site: &Site) -> Vec<u64> {
    let store = site.store().await.unwrap();
    let sealed = store.sealed().await.unwrap();
    let ids = store.key_ring().ids();
    ids.iter()
        .map(|id| sealed.get(id).copied().unwrap_or_default())
        .collect()
}

/// Every value can be opened, whichever key it is sealed with.
async fn opens(site: &Site, udid: &str) {
    let store = site.store().await.unwrap();
    for n in 0..DECISIONS {
        let record = store.find_decision(&decision(n)).await.unwrap().unwrap();
        assert_eq!(record.question, json!({ "asked": n }));
        assert_eq!(record.outcome, json!({ "verdict": n }));
        assert_eq!(record.tape, b"[]");
    }
    assert!(store.push_target(udid).await.unwrap().is_some());
    assert!(store.unlock_token(udid).await.unwrap().is_some());
}

#[tokio::test]
async fn a_rotation_that_a_crash_ends_goes_on_with_the_next_start() {
    let mut site = running();
    let udid = enroll(&site);
    let waiting = site.post(&udid, "ProfileList").unwrap();
    site.kill_server();
    fill(&site).await;
    site.start_server().unwrap();
    let old = keys(&site)[0]["id"].as_str().unwrap().to_owned();
    if is_postgres(&site) {
        says(&site, &["keys", "add"], &["not used yet"]);
    }
    says(&site, &["keys", "rotate"], &["is current"]);
    wait_until("some of it to be sealed anew", || {
        (keys(&site)[1]["values"].as_u64()? > 0).then_some(())
    })
    .unwrap();
    site.kill_server();
    let [by_old, by_new] = sealed(&site).await[..] else {
        panic!("there are two keys");
    };
    assert!(
        by_old > 0 && by_new > 0,
        "{by_old} and {by_new}: killed in the middle"
    );
    opens(&site, &udid).await;

    site.start_server().unwrap();
    refuses(&site, &["keys", "retire", &old], &["challenges", "minutes"]);
    let listed = wait_until("everything to be sealed anew", || {
        let listed = keys(&site);
        (listed[0]["values"] == 0).then_some(listed)
    });
    let listed = listed.unwrap();
    let new = ids(&listed)[1].0.to_owned();
    assert_eq!(
        ids(&listed),
        [(old.as_str(), "older"), (new.as_str(), "current")]
    );
    let count = |key: &Value| key["values"].as_u64().unwrap();
    assert_eq!(count(&listed[1]), by_old + by_new, "none is lost");

    age_rotation(&site).await;
    says(
        &site,
        &["keys", "retire", &old],
        &[&old, "out of the key file"],
    );
    site.kill_server();
    assert_eq!(sealed(&site).await, [by_old + by_new]);
    opens(&site, &udid).await;
    site.start_server().unwrap();
    let _device = site.resume_devices().unwrap();
    assert_eq!(site.completed(&waiting).unwrap()["state"], "acknowledged");
}

/// Retiring needs no pass that went through: it makes its own, and takes the key out of the file only after that.
#[tokio::test]
async fn a_key_that_still_seals_something_is_not_taken_away() {
    let mut site = running();
    let udid = enroll(&site);
    site.kill_server();
    fill(&site).await;
    site.start_server().unwrap();
    let old = keys(&site)[0]["id"].as_str().unwrap().to_owned();
    if is_postgres(&site) {
        says(&site, &["keys", "add"], &["not used yet"]);
    }
    says(&site, &["keys", "rotate"], &["is current"]);
    site.kill_server();
    assert!(sealed(&site).await[0] > 0, "killed before it was done");
    age_rotation(&site).await;
    site.start_server().unwrap();
    says(&site, &["keys", "retire", &old], &["out of the key file"]);
    site.kill_server();
    opens(&site, &udid).await;
}
