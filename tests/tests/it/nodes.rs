//! Two servers on one database.

use lanyard_device::journal::State;
use lanyard_tests::{balancer::Balancer, process::wait_until, site::Site};

const PASSWORD: &str = "correct horse battery";
const DEVICES: usize = 6;
const COMMANDS: usize = 5;
/// A plugin that traps whenever it is asked: a node that enforces it says so.
const POLICY: &str = "[[binding]]\nhook = \"command-selection\"\nname = \"broken\"\nplugin = \"guest-selection.wasm\"\n";

fn enrolled(site: &Site) -> Vec<State> {
    wait_until("every device", || {
        let folders = std::fs::read_dir(site.devices()).ok()?;
        let names = folders.map(|folder| folder.unwrap().file_name());
        let states: Vec<State> = names
            .filter_map(|name| site.device_state(&name.to_string_lossy()).ok())
            .filter(|state| state.token_sha256.is_some())
            .collect();
        (states.len() == DEVICES).then_some(states)
    })
    .unwrap()
}

#[test]
fn either_node_answers_every_device_and_the_death_of_one_loses_nothing() {
    let mut first = Site::temporary(&[]).unwrap();
    first.start_apns().unwrap();
    let mut second = first.another_node().unwrap();
    let balancer = Balancer::start(vec![first.address(), second.address()]).unwrap();
    for node in [&mut first, &mut second] {
        node.stand_behind(balancer.address());
        node.start_server().unwrap();
    }
    let password = first.add_user(PASSWORD).unwrap();
    let devices = DEVICES.to_string();
    let further = ["--devices", &devices, "--concurrency", &devices];
    let _devices = first.start_device(&password, &further).unwrap();
    let devices = enrolled(&first);

    // What one applies is in force on both.
    first.apply(POLICY, &["guest-selection"]).unwrap();
    wait_until("the other node's policy", || {
        let log = second.server_log();
        log.contains("policy of another node applied").then_some(())
    })
    .unwrap();

    let send = |node: &Site, request_type: &str| -> Vec<String> {
        let queued = devices.iter().map(|state| {
            let queued = node.post(&state.udid, request_type);
            queued.unwrap_or_else(|error| panic!("{}: {error}", state.udid))
        });
        queued.collect()
    };
    let mut queued = Vec::new();
    for round in 0..COMMANDS {
        let node = [&first, &second][round % 2];
        queued.extend(send(node, "ProfileList"));
    }
    // In the middle of it.
    wait_until("a first answer", || {
        let answered = |uuid: &String| {
            let command = second.command(uuid).ok()?;
            command["completed_at"].is_u64().then_some(())
        };
        queued.iter().find_map(answered)
    })
    .unwrap();
    first.kill_server();
    queued.extend(send(&second, "SecurityInfo"));
    for uuid in &queued {
        assert_eq!(second.completed(uuid).unwrap()["state"], "acknowledged");
    }
    for node in [&first, &second] {
        let log = std::fs::read_to_string(node.log("server")).unwrap();
        assert!(log.contains("command sent"), "each had its share");
        assert!(log.contains("pushed"), "each had its share: {log}");
    }

    // A dead node comes back to what has gone on without it.
    first.start_server().unwrap();
    let uuid = first.post(&devices[0].udid, "ProfileList").unwrap();
    assert_eq!(first.completed(&uuid).unwrap()["state"], "acknowledged");
}
