//! `lanyard device`, `lanyard command` and `lanyard push`.

use std::fs;

use lanyard_tests::{process::wait_until, site::USER};

use super::{enroll, refuses, running, says};

const NOWHERE: &str = "00008120-00000000000000AA";

#[test]
fn without_a_device_each_command_says_so() {
    let site = running();
    says(&site, &["device", "list"], &["UDID", "STATE", "PERSON"]);
    let unknown = [NOWHERE, "there is no enrolled device"];
    refuses(&site, &["device", "show", NOWHERE], &unknown);
    refuses(&site, &["push", NOWHERE], &unknown);
    refuses(
        &site,
        &["command", "send", NOWHERE, "ProfileList"],
        &unknown,
    );
    let uuid = "00000000-0000-4000-8000-000000000000";
    for action in ["show", "cancel"] {
        refuses(
            &site,
            &["command", action, uuid],
            &["there is no command", uuid],
        );
    }
    // Nothing of an identifier reaches another path.
    refuses(
        &site,
        &["device", "show", "../users"],
        &["there is no enrolled device ../users"],
    );
}

#[test]
fn mistakes_in_a_command_are_told_before_it_is_queued() {
    let site = running();
    let udid = enroll(&site);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broken = file("broken.plist", b"<plist><dict><key>Queries</key>");
    let binary = file("binary.plist", b"bplist00\xd0\x08");
    let list = file("list.plist", b"<plist><array/></plist>");
    for (arguments, parts) in [
        (
            &["InstallProfile"][..],
            &["InstallProfile needs `Payload`"][..],
        ),
        (
            &["InstallProfile", "Payload=text"],
            &["InstallProfile: `Payload` must be"],
        ),
        (&["RemoveProfile"], &["RemoveProfile needs `Identifier`"]),
        (&["DeviceLock", "PIN=12"], &["DeviceLock: `PIN` must be"]),
        (
            &["DeviceLock", "Message:=7"],
            &["DeviceLock: `Message` must be"],
        ),
        (
            &["DeviceInformation", "Queries=DeviceName"],
            &["DeviceInformation: `Queries` must be"],
        ),
        (
            &["EraseDevice", "PreserveDataPlan=yes"],
            &["EraseDevice: `PreserveDataPlan` must be"],
        ),
        (
            &["DeviceLock", "Massage=text"],
            &["DeviceLock has no key `Massage`"],
        ),
        (&[""], &["RequestType"]),
        (
            &["ProfileList", "ManagedOnly"],
            &["\"ManagedOnly\" is not KEY=TEXT, KEY:=JSON or KEY@=FILE"],
        ),
        (
            &["ProfileList", "ManagedOnly:=maybe"],
            &["ManagedOnly:=maybe"],
        ),
        (
            &["InstallProfile", "Payload@=/no/such/file"],
            &["/no/such/file", "No such file"],
        ),
        (&["ProfileList", "--plist", &broken], &["broken.plist"]),
        (&["ProfileList", "--plist", &binary], &["binary.plist"]),
        (&["ProfileList", "--plist", &list], &["list.plist"]),
        (
            &["ProfileList", "A=b", "--plist", &list],
            &["cannot be used with"],
        ),
    ] {
        refuses(
            &site,
            &[&["command", "send", &udid], arguments].concat(),
            parts,
        );
    }
    let shown = site.lanyard_json(&["device", "show", &udid]).unwrap();
    assert!(
        shown["commands"].as_array().is_none_or(Vec::is_empty),
        "{shown}"
    );
}

#[test]
fn commands_are_queued_shown_and_cancelled_until_they_are_sent() {
    let site = running();
    let udid = enroll(&site);
    let send = |arguments: &[&str]| {
        let arguments = [&["command", "send", &udid], arguments].concat();
        let answer = site.lanyard_json(&arguments).unwrap();
        answer["uuid"].as_str().unwrap().to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let plist = folder.path().join("keys.plist");
    let keys = "<plist><dict><key>ManagedOnly</key><true/></dict></plist>";
    fs::write(&plist, keys).unwrap();
    let from_file = send(&["ProfileList", "--plist", plist.to_str().unwrap()]);
    let raw = send(&["AvailableOSUpdates", "Anything:={\"a\":[1,true,2.5,\"b\"]}"]);
    let typed = send(&["DeviceLock", "Message=Back to the front desk"]);
    says(
        &site,
        &["device", "show", &udid],
        &[
            &from_file,
            &raw,
            &typed,
            "AvailableOSUpdates",
            "queued",
            "unlock token   stored",
        ],
    );
    says(
        &site,
        &["command", "send", &udid, "DeviceLok"],
        &["were not checked", "Did you mean DeviceLock?"],
    );
    says(
        &site,
        &[
            "command",
            "send",
            &udid,
            "DeviceLock",
            "New:=1",
            "--unchecked",
        ],
        &["were not checked: it goes to the device as it is.\n"],
    );
    for uuid in [&from_file, &raw, &typed] {
        says(
            &site,
            &["command", "show", uuid],
            &[uuid, &udid, "queued", "by operator"],
        );
    }

    for _ in 0..2 {
        says(
            &site,
            &["command", "cancel", &raw],
            &[&raw, "will not be sent"],
        );
    }
    says(&site, &["command", "show", &raw], &["cancelled"]);

    says(&site, &["push", &udid], &[&udid, "due"]);
    let _devices = site.resume_devices().unwrap();
    for uuid in [&from_file, &typed] {
        site.completed(uuid).unwrap();
        refuses(
            &site,
            &["command", "cancel", uuid],
            &[uuid, "cannot be cancelled any more: it is acknowledged"],
        );
    }
    says(
        &site,
        &["command", "show", &from_file],
        &["acknowledged", "ProfileList", "<plist"],
    );
    assert_eq!(site.command(&raw).unwrap()["state"], "cancelled");
    // The device keeps its state after the server has taken the answer.
    let device = wait_until("the lock", || {
        let state = site.device_state(&udid).ok();
        state.filter(|state| state.locked)
    });
    let answered = device.unwrap().model.answered.len();
    assert_eq!(answered, 4, "what was cancelled never reached it");
}

#[test]
fn a_name_is_not_given_to_another_person_with_its_devices() {
    let site = running();
    let udid = enroll(&site);
    let password = site.password_file("another horse battery").unwrap();
    let file = password.display().to_string();
    let add = ["user", "add", USER, "--password-file", &file];
    says(&site, &["user", "remove", USER], &["is gone"]);
    refuses(
        &site,
        &add,
        &["devices are still enrolled", "release them first"],
    );
    says(&site, &["device", "release", &udid], &["is released"]);
    says(&site, &add, &["can sign in"]);
}
