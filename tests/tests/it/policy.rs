//! `lanyard policy`: plugins answer every hook of a running server, and a bad revision never replaces a good one.

use std::{fs, path::PathBuf};

use lanyard_tests::{
    guests,
    process::wait_until,
    site::{Site, USER},
};
use serde_json::Value;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";

/// A policy file, and the components beside it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        for hook in [
            "enrollment-approval",
            "ra-approval",
            "command-selection",
            "event",
        ] {
            let component = guests::component(&format!("example-{hook}"));
            fs::copy(component, desk.0.path().join(format!("{hook}.wasm"))).unwrap();
        }
        desk
    }

    fn write(&self, text: &str) -> String {
        let file: PathBuf = self.0.path().join("policy.toml");
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

fn binding(hook: &str, further: &str) -> String {
    format!(
        "[[binding]]\nhook = \"{hook}\"\nname = \"the-{hook}\"\nplugin = \"{hook}.wasm\"\n{further}\n"
    )
}

const EVENT: &str = "grants = [\"log\"]\ncommands = { allow = [\"SecurityInfo\"] }";

fn everything() -> String {
    [
        binding("enrollment-approval", ""),
        binding("ra-approval", "settings = { days = 30 }"),
        binding(
            "command-selection",
            "commands = { allow = [\"DeviceInformation\"] }",
        ),
        binding("event", EVENT),
    ]
    .concat()
}

fn running() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site
}

#[tokio::test]
async fn plugins_answer_every_hook_of_a_running_server() {
    let mut site = running();
    let desk = Desk::new();
    let policy = desk.write(&everything());
    let said = site.lanyard(&["policy", "apply", &policy]).unwrap();
    assert!(said.contains("Revision 1 is in force."), "{said}");
    assert!(said.contains("+ event `the-event`: event.wasm"), "{said}");
    // It is in the store, and so it survives.
    site.kill_server();
    site.start_server().unwrap();

    let password = site.password_file(PASSWORD).unwrap();
    let _device = site.start_device_of(USER, &password, &[]).unwrap();
    let devices = wait_until("what the plugins want of the device", || {
        let devices = site.lanyard_json(&["device", "list"]).ok()?;
        let udid = devices[0]["id"].as_str()?;
        let shown = site.lanyard_json(&["device", "show", udid]).ok()?;
        let commands = shown["commands"].as_array()?;
        let done = |kind: &str, origin: &str| {
            commands.iter().any(|command| {
                command["request_type"] == kind
                    && command["origin"] == origin
                    && command["state"] == "acknowledged"
            })
        };
        (done("SecurityInfo", "the-event") && done("DeviceInformation", "the-command-selection"))
            .then_some(shown)
    });
    let device = devices.unwrap();

    let store = site.store().await.unwrap();
    let fingerprint = device["certificate_sha256"].as_str().unwrap();
    let certificate = store.find_certificate(fingerprint).await.unwrap().unwrap();
    let life = certificate
        .not_after
        .duration_since(certificate.issued_at)
        .unwrap();
    assert!(
        life.as_secs() <= 30 * 86_400,
        "narrowed by the plugin: {life:?}"
    );
    assert!(
        site.server_log().contains("is new here"),
        "the plugin's own line"
    );

    // Why it got this certificate, and the command: the decisions are on record.
    let udid = device["id"].as_str().unwrap();
    let session = device["session"].as_str().unwrap();
    let decision = |hook: &str, about: &str| {
        let list = ["decisions", "list", "--hook", hook, "--about", about];
        let decisions = site.lanyard_json(&list).unwrap();
        let latest = decisions[0].clone();
        assert_eq!(
            (&latest["hook"], &latest["policy"]),
            (&Value::from(hook), &Value::from(1))
        );
        assert!(
            latest["used"][0]["fuel"].as_u64().unwrap() > 1_000,
            "{latest}"
        );
        latest
    };
    let issued = decision("ra-approval", session);
    assert_eq!(issued["certificate_serial"], certificate.serial.as_str());
    assert_eq!(issued["opinions"][0]["binding"], "the-ra-approval");
    let enrolled = decision("enrollment-approval", session);
    assert_eq!(enrolled["question"]["device"]["udid"], udid);
    decision("command-selection", udid);
    let events = site
        .lanyard(&["decisions", "list", "--hook", "event"])
        .unwrap();
    assert_eq!(
        events.lines().count(),
        2,
        "of all it heard of, one led to something: {events}"
    );
    let said = site
        .lanyard(&["decisions", "show", issued["id"].as_str().unwrap()])
        .unwrap();
    for part in [
        "ra-approval",
        "approve",
        "revision 1",
        "the-ra-approval: fuel",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(events.contains("issue: SecurityInfo"), "{events}");
    let event = decision("event", udid);
    let said = site
        .lanyard(&["decisions", "show", event["id"].as_str().unwrap()])
        .unwrap();
    for part in [
        &format!("about        {udid}"),
        &format!("happened     {USER} of local-users enrolled iPhone"),
        &format!("issues       SecurityInfo for {udid}, by `the-event`: "),
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let said = site.lanyard(&["decisions", "show", "none"]).unwrap_err();
    assert!(said.contains("there is no decision none"), "{said}");
}

#[test]
fn a_bad_policy_changes_nothing_and_says_what_is_wrong() {
    let site = running();
    let desk = Desk::new();
    let policy = desk.write(&everything());
    site.lanyard(&["policy", "apply", &policy]).unwrap();
    let before = site.lanyard_json(&["policy", "show"]).unwrap();
    let ra = |further: &str| binding("ra-approval", further);
    for (text, parts) in [
        (
            ra(""),
            &[
                "ra-approval `the-ra-approval`",
                "ra-approval.wasm",
                "missing field `days`",
            ][..],
        ),
        (ra("settings = { days = 1000 }"), &["1 to 397 are right"]),
        (
            ra("settings = { days = 1 }\nsha256 = \"00\""),
            &["has the SHA-256"],
        ),
        (
            ra("settings = { days = 1 }\nlimits = { memory_mib = 1000 }"),
            &["a memory has room for", "room = \"large\""],
        ),
        (
            binding("event", ""),
            &["uses `log`, which its binding does not grant"],
        ),
        (
            binding("directory", "").replace("directory.wasm", "event.wasm"),
            &["does not export the hook", "directory"],
        ),
        (
            [
                binding("event", "grants = [\"log\"]"),
                binding("event", "grants = [\"log\"]"),
            ]
            .concat(),
            &["another binding of this hook has the name"],
        ),
        (
            binding("event", "grants = [\"log\"]").replace("the-event", "the event"),
            &["letters, digits"],
        ),
        (
            binding("event", "commands = { allow = [\"EraseDevice\"] }"),
            &["EraseDevice is destructive", "`destructive`"],
        ),
        (
            binding("event", "commands = { destructive = [\"ProfileList\"] }"),
            &["ProfileList is not destructive"],
        ),
        (
            binding("event", "commands = { allow = [\"Frobnicate\"] }"),
            &["Frobnicate is no command"],
        ),
        (
            ra("settings = { days = 1 }\ncommands = { per_hour = 1 }"),
            &["only command-selection and event"],
        ),
        (
            binding(
                "event",
                "grants = [\"log\"]\nldap = { directories = [\"corp\"] }",
            ),
            &["add \"ldap\" to `grants`"],
        ),
        (
            binding(
                "event",
                "grants = [\"log\", \"ldap\"]\nldap = { directories = [\"corp\"] }",
            ),
            &[
                "the directory \"corp\" is not in the configuration",
                "[ldap.corp]",
            ],
        ),
        (
            binding(
                "event",
                "grants = [\"log\", \"secrets\"]\nsecrets = { ldap = [\"corp\"] }",
            ),
            &["`secrets.ldap` has \"corp\", which is not among `ldap.directories`"],
        ),
        (
            binding(
                "event",
                "grants = [\"log\", \"http\"]\nhttp = { allow = [\"https://x.example/\"], credentials = [\"api\"] }",
            ),
            &[
                "the credential \"api\" is not in the configuration",
                "[credentials.api]",
            ],
        ),
        (
            binding(
                "event",
                "grants = [\"log\", \"http\"]\nhttp = { allow = [\"ftp://x.example/\"] }",
            ),
            &["policy.toml", "http"],
        ),
        (
            binding("event", "redirect = { allow = [\"https://x.example/\"] }"),
            &["`redirect` is for directories"],
        ),
        (
            binding("event", "redirect = { allow = [\"http://x.example/\"] }")
                .replace("hook = \"event\"", "hook = \"directory\""),
            &["`redirect.allow` has http://x.example/", "https alone"],
        ),
        (
            binding("event", "grant = []"),
            &["policy.toml", "line 5", "grant"],
        ),
        (
            binding("event", "").replace("event.wasm", "no.wasm"),
            &["event `the-event`", "no.wasm", "No such file"],
        ),
    ] {
        let policy = desk.write(&text);
        let said = site.lanyard(&["policy", "apply", &policy]).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        assert_eq!(
            site.lanyard_json(&["policy", "show"]).unwrap(),
            before,
            "{text}"
        );
    }
}

#[test]
fn revisions_are_compared_listed_and_taken_back() {
    let site = running();
    let desk = Desk::new();
    let said = site.lanyard(&["policy", "show"]).unwrap();
    assert!(said.contains("No policy was ever applied."), "{said}");
    let one = desk.write(&everything());
    site.lanyard(&["policy", "apply", &one]).unwrap();
    let said = site.lanyard(&["policy", "diff", &one]).unwrap();
    assert!(said.contains("No difference."), "{said}");

    let two = desk.write(
        &everything()
            .replace("days = 30", "days = 7")
            .replace(&binding("event", EVENT), ""),
    );
    let differences = [
        "- event `the-event`",
        "~ ra-approval `the-ra-approval`: settings days",
    ];
    let said = site.lanyard_json(&["policy", "diff", &two]).unwrap();
    assert_eq!(said, Value::from(differences.as_slice()));
    let said = site.lanyard_json(&["policy", "apply", &two]).unwrap();
    assert_eq!(said["number"], 2);
    let said = site.lanyard_json(&["policy", "rollback", "1"]).unwrap();
    assert_eq!(said["number"], 3);
    let documents = [1, 3].map(|number| {
        site.lanyard_json(&["policy", "show", &number.to_string()])
            .unwrap()["document"]
            .clone()
    });
    assert_eq!(documents[0], documents[1]);
    let listed = site.lanyard(&["policy", "list"]).unwrap();
    assert_eq!(listed.lines().count(), 1 + 3, "{listed}");
    let said = site.lanyard(&["policy", "rollback", "9"]).unwrap_err();
    assert!(said.contains("there is no revision 9"), "{said}");
    // What is shown can be applied again.
    let shown = desk.write(&site.lanyard(&["policy", "show", "2"]).unwrap());
    let said = site.lanyard_json(&["policy", "apply", &shown]).unwrap();
    assert_eq!(said["number"], 4);
}

#[tokio::test]
async fn what_a_plugin_was_not_granted_is_not_issued() {
    let site = running();
    let desk = Desk::new();
    let policy = [
        binding(
            "command-selection",
            "commands = { allow = [\"ProfileList\"] }",
        ),
        binding(
            "event",
            "grants = [\"log\"]\ncommands = { allow = [\"SecurityInfo\"], per_hour = 0 }",
        ),
    ];
    let policy = desk.write(&policy.concat());
    site.lanyard(&["policy", "apply", &policy]).unwrap();
    let password = site.password_file(PASSWORD).unwrap();
    let _device = site.start_device_of(USER, &password, &[]).unwrap();
    wait_until("two refusals in the log", || {
        let log = site.server_log();
        let refused = |what: &str| log.lines().any(|line| line.contains(what));
        (refused("its binding does not grant DeviceInformation")
            && refused("its binding grants 0 commands an hour"))
        .then_some(())
    })
    .unwrap();
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    let udid = devices[0]["id"].as_str().unwrap();
    let shown = site.lanyard_json(&["device", "show", udid]).unwrap();
    assert!(shown["commands"].as_array().unwrap().is_empty(), "{shown}");
}

/// `lanyard plugin` needs no server.
#[test]
fn components_are_looked_at_on_the_authors_desk() {
    let site = Site::temporary(&[]).unwrap();
    let of = |hook: &str| {
        guests::component(&format!("example-{hook}"))
            .display()
            .to_string()
    };
    let (event, ra) = (of("event"), of("ra-approval"));
    let said = site.lanyard(&["plugin", "inspect", &event]).unwrap();
    for part in [
        "says      that it is example-event 0.1.0",
        "sha256",
        "answers   event",
        "uses      log: says which device is new",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let said = site.lanyard_json(&["plugin", "inspect", &ra]).unwrap();
    assert_eq!(said["answers"][0], "ra-approval");
    assert_eq!(said["uses"], Value::Array(Vec::new()));
    assert_eq!(said["manifest"]["name"], "example-ra-approval");

    let check = |arguments: &[&str]| site.lanyard(&[&["plugin", "check"], arguments].concat());
    let ldap = guests::component("ldap-directory").display().to_string();
    let settings = r#"{"directory":"corp","schema":"novell"}"#;
    let said = check(&[&ldap, "--grant", "log", "--settings", settings]).unwrap_err();
    for part in [
        "cannot be bound:\n",
        "\n  the plugin uses `ldap`, which its binding does not grant",
        "\n  the plugin uses `secrets`, which its binding does not grant",
        "\n  settings.schema: \"novell\" is not one of",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let said = check(&[&ra, "--settings", r#"{"days":30}"#]).unwrap();
    assert!(said.contains("can be bound: ra-approval."), "{said}");
    check(&[&event, "--grant", "log"]).unwrap();
    for (arguments, part) in [
        (&[ra.as_str()][..], "missing field `days`"),
        (&[&ra, "--settings", "30"], "--settings is no JSON object"),
        (&[&event], "uses `log`, which its binding does not grant"),
        (
            &[&event, "--grant", "everything"],
            "write one of log, secrets",
        ),
        (&["/no/such/file"], "No such file"),
        (&["/dev/null"], "the file is empty"),
    ] {
        let said = check(arguments).unwrap_err();
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
