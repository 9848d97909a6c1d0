//! Many devices of two persons at the same time.

use std::{collections::HashSet, fs, hash::Hash, io::Write as _, thread, time::Instant};

use lanyard_device::journal::State;
use lanyard_tests::{
    process::{Process, wait_until},
    site::Site,
};

/// Who enrolls how many.
const PERSONS: [(&str, usize); 2] = [("ada", 13), ("grace", 12)];

#[test]
fn a_fleet_enrolls_at_once_and_every_device_is_itself() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let total: usize = PERSONS.iter().map(|(_, count)| count).sum();

    let begun = Instant::now();
    let mut processes = PERSONS.map(|(person, count)| start(&site, person, count));
    let states = wait_until("the whole fleet", || {
        for process in &mut processes {
            assert!(process.is_running(), "{}", process.said());
        }
        let states = states(&site);
        let enrolled = |state: &State| state.token_sha256.is_some();
        (states.len() == total && states.iter().all(enrolled)).then_some(states)
    })
    .unwrap();
    let enrolled = begun.elapsed();

    let begun = Instant::now();
    thread::scope(|scope| {
        for chunk in states.chunks(5) {
            let site = &site;
            scope.spawn(move || chunk.iter().for_each(|state| ask(site, state)));
        }
    });
    let answered = begun.elapsed();
    let _ = writeln!(
        std::io::stderr(),
        "{total} devices enrolled in {:.1} s and answered DeviceInformation in {:.1} s",
        enrolled.as_secs_f64(),
        answered.as_secs_f64()
    );

    distinct("identity certificates", &states, |state| {
        state.identity.clone().unwrap().sha256
    });
    distinct("serial numbers of them", &states, |state| {
        state.identity.clone().unwrap().serial
    });
    distinct("interim certificates", &states, |state| {
        state.interim.clone().unwrap().sha256
    });
    distinct("device tokens", &states, |state| {
        state.token_sha256.clone().unwrap()
    });
    distinct("push magics", &states, |state| {
        state.push_magic.clone().unwrap()
    });
    distinct("unlock tokens", &states, |state| {
        state.model.unlock_token.expose()
    });
    distinct("device serial numbers", &states, |state| {
        state.serial.clone()
    });
    let list = site.lanyard_json(&["device", "list"]).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(total), "{list}");
    for (person, count) in PERSONS {
        let theirs = states
            .iter()
            .filter(|state| state.person.as_deref() == Some(person));
        assert_eq!(theirs.count(), count, "devices of {person}");
    }
}

fn start(site: &Site, person: &str, count: usize) -> Process {
    let password = format!("the password of {person}");
    let file = site.secret_file(person, &password).unwrap();
    let file_name = file.display().to_string();
    site.lanyard(&["user", "add", person, "--password-file", &file_name])
        .unwrap();
    let count = count.to_string();
    let further = ["--devices", &count, "--concurrency", &count];
    site.start_device_of(person, &file, &further).unwrap()
}

/// All devices that have a directory.
fn states(site: &Site) -> Vec<State> {
    let folders = fs::read_dir(site.devices()).unwrap();
    folders
        .filter_map(|folder| {
            site.device_state(&folder.unwrap().file_name().to_string_lossy())
                .ok()
        })
        .collect()
}

/// It answers, with its own facts, and the server knows it as it knows itself.
fn ask(site: &Site, state: &State) {
    let udid = &state.udid;
    let uuid = site.send(udid, "DeviceInformation", &[]).unwrap();
    let command = site.completed(&uuid).unwrap();
    assert_eq!(command["state"], "acknowledged", "{command}");
    let result = command["result"].as_str().unwrap();
    assert!(result.contains(&state.serial), "{udid}: {result}");

    let device = site.device(udid).unwrap();
    assert_eq!(
        device["person"]["id"].as_str(),
        state.person.as_deref(),
        "{device}"
    );
    assert_eq!(device["serial"], state.serial, "{device}");
    let certificate = state.identity.as_ref().unwrap();
    assert_eq!(device["certificate_sha256"], certificate.sha256, "{device}");
    assert_eq!(device["has_unlock_token"], true, "{device}");
}

fn distinct<T: Eq + Hash>(what: &str, states: &[State], of: impl FnMut(&State) -> T) {
    let found: HashSet<T> = states.iter().map(of).collect();
    assert_eq!(found.len(), states.len(), "{what}");
}
