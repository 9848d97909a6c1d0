//! The plugins of `plugins/` together, as an enterprise would have them: persons of a real slapd, over LDAPS under an authority of its own.

use std::fs;

use lanyard_tests::{
    process::wait_until,
    site::Site,
    slapd::{BASE, PASSWORD, SERVICE_DN, SERVICE_PASSWORD, Slapd},
};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;

use crate::browser::{Browser, TRY_AGAIN, WRONG, is_page};

const POLICY: &str = r#"
[[binding]]
hook = "directory"
name = "corp"
plugin = "ldap-directory.wasm"
grants = ["log", "secrets", "ldap"]
ldap = { directories = ["corp"] }
secrets = { ldap = ["corp"] }
[binding.settings]
directory = "corp"
allowed_groups = ["cn=staff,ou=groups,dc=example,dc=org"]
disabled = { attribute = "employeeType", values = ["disabled"] }

[[binding]]
hook = "ra-approval"
name = "certificates"
plugin = "challenge-approval.wasm"

[[binding]]
hook = "event"
name = "rules"
plugin = "command-rules.wasm"
commands = { allow = ["DeviceInformation"], destructive = ["DeviceLock"] }
[binding.settings]
rules = [
    { name = "welcome", when = { event = "enrolled" }, then = [{ command = "DeviceInformation", queries = ["DeviceName", "OSVersion"] }] },
    { name = "lock-leavers", when = { event = "person-disabled" }, then = [{ command = "DeviceLock", message = "Please call the service desk." }] },
]
"#;

fn running(slapd: &Slapd) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    fs::write(site.data().join("corp-ca.pem"), slapd.ca()).unwrap();
    site.secret_file("corp.password", SERVICE_PASSWORD).unwrap();
    let directory = format!(
        "[ldap.corp]\nurl = \"{}\"\nca = \"corp-ca.pem\"\nbase = \"{BASE}\"\nbind_dn = \"{SERVICE_DN}\"\nbind_password_file = \"corp.password\"\n",
        slapd.secure_url()
    );
    site.configure(&directory).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let plugins = ["ldap-directory", "challenge-approval", "command-rules"];
    site.apply(POLICY, &plugins).unwrap();
    site
}

/// Lets a day pass for a server that does not run: whoever was looked up already is to be looked up again.
async fn a_day_passes(site: &Site) {
    let database = Database::connect(site.database_url()).await.unwrap();
    let statement = "UPDATE person_standing SET due_at = 0";
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

fn decision(site: &Site, hook: &str) -> Value {
    let list = ["decisions", "list", "--hook", hook];
    let decisions = site.lanyard_json(&list).unwrap();
    decisions[0].clone()
}

#[tokio::test]
async fn a_person_of_the_directory_enrolls_and_the_decisions_are_made_again_without_it() {
    let mut slapd = Slapd::start();
    let mut site = running(&slapd);
    let password = site.password_file(PASSWORD).unwrap();
    let _device = site.start_device_of("ada", &password, &[]).unwrap();
    wait_until("the command that welcomes the device", || {
        let devices = site.lanyard_json(&["device", "list"]).ok()?;
        let shown = site
            .lanyard_json(&["device", "show", devices[0]["id"].as_str()?])
            .ok()?;
        let command = &shown["commands"][0];
        let done = command["request_type"] == "DeviceInformation"
            && command["origin"] == "rules"
            && command["state"] == "acknowledged";
        done.then_some(())
    })
    .unwrap();
    let person = decision(&site, "directory");
    let groups = &person["outcome"]["verdict"]["authenticated"]["attributes"]["groups"];
    assert_eq!(
        groups[0], "cn=staff,ou=groups,dc=example,dc=org",
        "{person}"
    );

    // With the directory stopped and the server gone, from what was written down.
    slapd.stop();
    let record = site.data().join("decision.json");
    let id = person["id"].as_str().unwrap();
    let exported = site.lanyard(&["decisions", "export", id]).unwrap();
    assert!(!exported.contains(PASSWORD), "a password in the record");
    fs::write(&record, exported).unwrap();
    let certificate = decision(&site, "ra-approval");
    let replay = ["decisions", "replay", certificate["id"].as_str().unwrap()];
    let said = site.lanyard(&replay).unwrap();
    assert!(said.contains("certificates: the same verdict"), "{said}");
    site.kill_server();
    let replay = ["decisions", "replay", "--from", record.to_str().unwrap()];
    let said = site.lanyard(&replay).unwrap();
    assert!(said.contains("corp: the same verdict"), "{said}");
}

#[tokio::test]
async fn who_may_not_is_told_apart_from_a_directory_that_is_away() {
    let mut slapd = Slapd::start();
    let site = running(&slapd);
    let browser = Browser::open(&site).await;
    let refused = browser.sign_in("bob", PASSWORD).await;
    is_page(&refused, 403, WRONG);
    assert!(
        site.server_log().contains("not-in-group"),
        "for the operator"
    );
    let refused = browser.sign_in("eve", PASSWORD).await;
    is_page(&refused, 403, WRONG);
    assert!(
        site.server_log().contains("account-disabled"),
        "for the operator"
    );
    let refused = browser.sign_in("ada", "wrong horse").await;
    is_page(&refused, 403, WRONG);
    assert_eq!(browser.sign_in("ada", PASSWORD).await.status, 200);

    slapd.stop();
    let away = browser.sign_in("ada", PASSWORD).await;
    is_page(&away, 503, TRY_AGAIN);
}

#[tokio::test]
async fn a_person_disabled_in_slapd_is_noticed_and_locked_and_enrolls_no_more() {
    let mut slapd = Slapd::start();
    let mut site = running(&slapd);
    let password = site.password_file(PASSWORD).unwrap();
    let _device = site.start_device_of("ada", &password, &[]).unwrap();
    let udid = site.enrolled().unwrap();
    assert!(!site.device_state(&udid).unwrap().locked);

    site.kill_server();
    slapd.disable("ada");
    a_day_passes(&site).await;
    // Persons whose turn has come are looked up as soon as the server runs.
    site.start_server().unwrap();
    wait_until("the lock", || {
        site.device_state(&udid).ok()?.locked.then_some(())
    })
    .unwrap();
    let shown = site.device(&udid).unwrap();
    let mut commands = shown["commands"].as_array().unwrap().iter();
    let lock = commands.find(|command| command["request_type"] == "DeviceLock");
    assert_eq!(lock.unwrap()["origin"], "rules", "{shown}");
    let noticed = decision(&site, "directory");
    assert!(
        noticed["outcome"].to_string().contains("account-disabled"),
        "{noticed}"
    );

    let browser = Browser::open(&site).await;
    let refused = browser.sign_in("ada", PASSWORD).await;
    is_page(&refused, 403, WRONG);
    let mut another = site.start_device_of("ada", &password, &[]).unwrap();
    assert!(!another.wait().unwrap().success(), "{}", another.said());
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
}
