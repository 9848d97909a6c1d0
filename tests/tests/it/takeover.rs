//! A device that somebody has cannot be taken by claiming its UDID.

use lanyard_tests::site::Site;

const UDID: &str = "00008120-00000000000C0FFE";

#[test]
fn a_claimed_udid_takes_nobodys_device_away() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let password = site.password_file("correct horse battery").unwrap();
    let file = password.display().to_string();
    for person in ["owner", "other"] {
        site.lanyard(&["user", "add", person, "--password-file", &file])
            .unwrap();
    }
    let enroll = |person: &str| {
        let arguments = ["--udid", UDID, "--exit-after", "enroll"];
        let mut device = site.start_device_of(person, &password, &arguments).unwrap();
        (device.wait().unwrap().success(), device.said())
    };
    let shown = || site.lanyard_json(&["device", "show", UDID]).unwrap();

    let (enrolled, said) = enroll("owner");
    assert!(enrolled, "{said}");
    site.lanyard(&["command", "send", UDID, "EraseDevice"])
        .unwrap();
    let before = shown();

    let (enrolled, said) = enroll("other");
    assert!(!enrolled && said.contains("403"), "{said}");
    let after = shown();
    for kept in ["person", "state", "certificate_sha256", "token_updates"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_eq!(
        after["commands"][0]["state"],
        before["commands"][0]["state"]
    );

    site.lanyard(&["device", "release", UDID]).unwrap();
    let (enrolled, said) = enroll("other");
    assert!(enrolled, "{said}");
    let released = shown();
    assert_eq!(released["person"]["id"], "other");
    assert_eq!(
        released["commands"][0]["state"], "cleared",
        "what was queued for the one before is not for the one now"
    );
}
