//! `lanyard command list`.

use lanyard_tests::site::Site;
use serde_json::Value;

use super::{PASSWORD, refuses, running, says};

/// The UUIDs that `lanyard command list` shows with these arguments.
fn listed(site: &Site, arguments: &[&str]) -> Vec<String> {
    let listed = site.lanyard_json(&[&["command", "list"], arguments].concat());
    let listed = listed.unwrap();
    let uuid = |command: &Value| command["uuid"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(uuid).collect()
}

#[test]
fn commands_are_listed_newest_first_by_device_and_by_state() {
    let site = running();
    assert_eq!(listed(&site, &[]), [""; 0]);
    let password = site.add_user(PASSWORD).unwrap();
    let further = ["--devices", "2", "--exit-after", "enroll"];
    let mut process = site.start_device(&password, &further).unwrap();
    assert!(process.wait().unwrap().success(), "{}", process.said());
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    let [one, other] = [0, 1].map(|n| devices[n]["id"].as_str().unwrap().to_owned());
    // More than one page, so that what the server says of the next one is followed.
    let sent: Vec<String> = (0..102)
        .map(|n| {
            let device = if n % 2 == 0 { &one } else { &other };
            site.post(device, "ProfileList").unwrap()
        })
        .collect();
    let cancelled = sent[7].clone();
    says(&site, &["command", "cancel", &cancelled], &["not be sent"]);
    // In which order those are that were queued in one millisecond is nobody's business.
    let newest = listed(&site, &["--limit", "102"]);
    assert_eq!(sorted(&newest), sorted(&sent));
    let shown = site.lanyard_json(&["command", "list"]).unwrap();
    let times = shown.as_array().unwrap().iter();
    assert!(
        times
            .map(|each| each["created_at"].as_u64())
            .rev()
            .is_sorted()
    );
    let of_other: Vec<String> = sent.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(
        sorted(&listed(&site, &["--device", &other])),
        sorted(&of_other)
    );

    assert_eq!(
        listed(&site, &["--state", "cancelled"]),
        [cancelled.as_str()]
    );
    let open = listed(
        &site,
        &["--state", "queued", "--device", &other, "--limit", "1000"],
    );
    assert_eq!(open.len(), 50);
    assert_eq!(listed(&site, &["--limit", "3"]), newest[..3]);
    assert_eq!(listed(&site, &[]).len(), 100, "unless it is asked for more");
    says(
        &site,
        &["command", "list", "--state", "cancelled"],
        &["STATE", &cancelled, "ProfileList", &other, "just now"],
    );

    refuses(
        &site,
        &["command", "list", "--state", "lost"],
        &["\"lost\"", "queued, sent, not_now"],
    );
    let nowhere = "00008120-00000000000000AA";
    refuses(
        &site,
        &["command", "list", "--device", nowhere],
        &["no enrolled device", nowhere],
    );
    let (status, body) = site.ask("GET", "/api/v1/commands?after=x").unwrap();
    assert!(status == 422 && body.contains("`next`"), "{status} {body}");
}

fn sorted(uuids: &[String]) -> Vec<String> {
    let mut uuids = uuids.to_vec();
    uuids.sort_unstable();
    uuids
}
