//! `lanyard command send` to many devices.

use std::{collections::BTreeSet, fs};

use lanyard_tests::site::Site;
use serde_json::Value;

use super::{PASSWORD, refuses, running, says};

const NOWHERE: &str = "00008120-00000000000000AA";

/// A server with three devices, whose process has ended; their UDIDs.
fn with_devices() -> (Site, Vec<String>) {
    let site = running();
    let password = site.add_user(PASSWORD).unwrap();
    let further = ["--devices", "3", "--exit-after", "enroll"];
    let mut process = site.start_device(&password, &further).unwrap();
    assert!(process.wait().unwrap().success(), "{}", process.said());
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    let devices = devices.as_array().unwrap().iter();
    let udids = devices.map(|device| text(&device["id"])).collect();
    (site, udids)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The devices that a command is queued for, and its UUID there.
fn queued(answer: &Value) -> Vec<(String, String)> {
    let queued = answer["queued"].as_array().unwrap().iter();
    queued
        .map(|each| (text(&each["device"]), text(&each["uuid"])))
        .collect()
}

#[test]
fn all_devices_get_a_command_once_and_each_under_its_own_uuid() {
    let (mut site, udids) = with_devices();
    let sent = site
        .lanyard_json(&["command", "send", "--all", "ProfileList"])
        .unwrap();
    let first = queued(&sent);
    let devices: Vec<String> = first.iter().map(|(device, _)| device.clone()).collect();
    assert_eq!(devices, udids, "{sent}");
    let uuids: BTreeSet<&String> = first.iter().map(|(_, uuid)| uuid).collect();
    assert_eq!(uuids.len(), 3, "{sent}");
    assert_eq!(
        (&sent["before"], &sent["checked"]),
        (&0.into(), &true.into())
    );

    // What was said to be queued is, however the server ends; and whoever repeats it after that doubles nothing.
    site.kill_server();
    site.start_server().unwrap();
    let name = text(&sent["batch"]);
    let again = ["command", "send", "--all", "ProfileList", "--batch", &name];
    let sent = site.lanyard_json(&again).unwrap();
    assert_eq!(queued(&sent), first);
    assert_eq!(sent["before"], 3, "{sent}");
    says(
        &site,
        &again,
        &["queued for 3 devices", &name, "3 of them had it before"],
    );

    let _devices = site.resume_devices().unwrap();
    for (device, uuid) in &first {
        let command = site.completed(uuid).unwrap();
        assert_eq!(command["state"], "acknowledged", "{command}");
        assert_eq!(command["device"], device.as_str());
        let history = site.device(device).unwrap()["commands"].take();
        assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    }
}

#[test]
fn devices_of_a_list_get_it_and_those_that_cannot_are_named() {
    let (site, udids) = with_devices();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("devices.txt");
    let listed = format!("{}\n\n {} \n{NOWHERE}\n{}\n", udids[0], udids[1], udids[0]);
    fs::write(&file, listed).unwrap();
    let file = file.to_str().unwrap();
    let send = [
        "command",
        "send",
        "--devices",
        file,
        "--batch",
        "lock",
        "DeviceLock",
    ];
    let incomplete = ["1 devices do not get it"];
    refuses(&site, &send, &incomplete);
    let shown = |udid: &str| site.device(udid).unwrap()["commands"].take();
    let kinds = |udid: &str| {
        let shown = shown(udid);
        let commands = shown.as_array().unwrap().iter();
        let kinds = commands.map(|command| text(&command["request_type"]));
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(&udids[0]), ["DeviceLock"]);
    assert_eq!(kinds(&udids[2]), [""; 0]);
    // What a device needs of its own, it gets: here the token that it left.
    let clear = ["command", "send", "--devices", file, "ClearPasscode"];
    refuses(&site, &clear, &incomplete);
    assert_eq!(kinds(&udids[1]), ["ClearPasscode", "DeviceLock"]);
}

#[test]
fn mistakes_in_a_command_for_many_are_told_before_anybody_gets_it() {
    let (site, udids) = with_devices();
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.txt");
    fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    for (arguments, parts) in [
        (
            &["--all", "EraseDevice"][..],
            &["is not sent to all", "name the devices"][..],
        ),
        (&["--all", "ClearPasscode"], &["is not sent to all"]),
        (&["--all", "NobodyKnowsIt"], &["is not sent to all"]),
        (
            &["--all", "InstallProfile"],
            &["InstallProfile needs `Payload`"],
        ),
        (
            &["--all", "--devices", empty, "ProfileList"],
            &["cannot be used with"],
        ),
        (
            &["--devices", empty, "ProfileList"],
            &["empty.txt", "a UDID a line"],
        ),
        (
            &["--devices", "/no/such/file", "ProfileList"],
            &["/no/such/file"],
        ),
        (
            &[&udids[0], "ProfileList", "--batch", "x"],
            &["--batch belongs to"],
        ),
        (&[&udids[0]], &["a command is wanted"]),
    ] {
        refuses(&site, &[&["command", "send"], arguments].concat(), parts);
    }
    for udid in &udids {
        let shown = site.device(udid).unwrap();
        assert!(
            shown["commands"].as_array().is_none_or(Vec::is_empty),
            "{shown}"
        );
    }
}
