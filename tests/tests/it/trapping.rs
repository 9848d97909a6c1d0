//! A command-selection plugin that traps stands in nobody's way.

use lanyard_device::journal::Status;
use lanyard_tests::site::Site;

const PASSWORD: &str = "correct horse battery";
const POLICY: &str = "[[binding]]\nhook = \"command-selection\"\nname = \"broken\"\nplugin = \"guest-selection.wasm\"\n";

#[test]
fn a_trapping_command_plugin_does_not_stop_an_operators_erase() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let password = site.add_user(PASSWORD).unwrap();
    site.apply(POLICY, &["guest-selection"]).unwrap();
    let mut device = site.start_device(&password, &[]).unwrap();
    let udid = site.enrolled().unwrap();

    // It is asked about what waits in the queue, traps each time, and the queue goes on.
    let listed = site.post(&udid, "ProfileList").unwrap();
    assert_eq!(site.completed(&listed).unwrap()["state"], "acknowledged");
    let log = site.server_log();
    let trapped = log
        .lines()
        .find(|line| line.contains("command-selection failed"));
    let trapped = trapped.unwrap_or_else(|| panic!("nothing trapped: {log}"));
    assert!(
        trapped.contains("broken") && trapped.contains("trapped"),
        "{trapped}"
    );

    let erase = site.send(&udid, "EraseDevice", &[]).unwrap();
    assert_eq!(site.completed(&erase).unwrap()["state"], "acknowledged");
    assert!(device.wait().unwrap().success(), "{}", device.said());
    assert_eq!(site.device_state(&udid).unwrap().status, Status::Erased);
}
