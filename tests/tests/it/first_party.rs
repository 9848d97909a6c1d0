//! The plugins of `plugins/` on a running server, and what their settings may be.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lanyard_tests::{
    guests,
    process::{Process, wait_until},
    site::{Site, USER},
};
use lanyard_wasm::{Capacity, PluginHost};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery";
const PLUGINS: [&str; 2] = ["challenge-approval", "command-rules"];

/// A running server with this policy.
fn running(policy: &str) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site.apply(policy, &PLUGINS).unwrap();
    site
}

fn binding(hook: &str, plugin: &str, further: &str) -> String {
    format!(
        "[[binding]]\nhook = \"{hook}\"\nname = \"first\"\nplugin = \"{plugin}.wasm\"\n{further}\n"
    )
}

fn start_device(site: &Site) -> Process {
    let password = site.password_file(PASSWORD).unwrap();
    site.start_device_of(USER, &password, &[]).unwrap()
}

/// The one device, once it is as wanted.
fn device(site: &Site, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let devices = site.lanyard_json(&["device", "list"]).ok()?;
        let shown = site.device(devices[0]["id"].as_str()?).ok()?;
        wanted(&shown).then_some(shown)
    })
    .unwrap()
}

fn has(request_type: &'static str, state: &'static str) -> impl Fn(&Value) -> bool {
    move |device| {
        let commands = device["commands"].as_array();
        commands.is_some_and(|commands| {
            commands
                .iter()
                .any(|command| command["request_type"] == request_type && command["state"] == state)
        })
    }
}

const RULES: &str = r#"
[binding.settings]
rules = [
    { name = "welcome", when = { event = "enrolled", device = { product = ["iPhone*"] } }, then = [{ command = "DeviceInformation", queries = ["DeviceName", "OSVersion"] }] },
    { name = "lock-leavers", when = { event = "person-disabled" }, then = [{ command = "DeviceLock", message = "Please call the service desk." }] },
]
"#;

#[test]
fn a_device_is_approved_welcomed_and_locked_when_its_person_is_disabled() {
    let approval = binding(
        "ra-approval",
        "challenge-approval",
        "settings = { validity_days = 30, keys = [{ type = \"rsa\", min_bits = 2048 }] }",
    );
    let commands = "commands = { allow = [\"DeviceInformation\"], destructive = [\"DeviceLock\"] }";
    let rules = binding("event", "command-rules", &format!("{commands}\n{RULES}"));
    let site = running(&[approval, rules].concat());
    let _device = start_device(&site);
    let enrolled = device(
        &site,
        "the welcome",
        has("DeviceInformation", "acknowledged"),
    );
    let session = enrolled["session"].as_str().unwrap();
    let list = [
        "decisions",
        "list",
        "--hook",
        "ra-approval",
        "--about",
        session,
    ];
    let decision = &site.lanyard_json(&list).unwrap()[0];
    let terms = &decision["opinions"][0]["verdict"]["approve"];
    assert_eq!(terms["amendments"]["validity_seconds"], 30 * 86_400);
    assert_eq!(terms["relied_on"]["challenge"], "held", "{decision}");

    site.lanyard(&["user", "disable", USER]).unwrap();
    device(&site, "the lock", has("DeviceLock", "acknowledged"));
    // Once more disabled is no news, and enabled and disabled again is.
    site.lanyard(&["user", "disable", USER]).unwrap();
    site.lanyard(&["user", "enable", USER]).unwrap();
    site.lanyard(&["user", "disable", USER]).unwrap();
    let locks = |device: &Value| {
        let commands = device["commands"].as_array().unwrap();
        let locks = commands
            .iter()
            .filter(|each| each["request_type"] == "DeviceLock");
        locks.count()
    };
    device(&site, "the second lock", |device| locks(device) == 2);
}

#[test]
fn each_binding_that_hears_of_an_event_decides_for_itself_and_its_commands_say_by_what() {
    let policy = ["ProfileList", "SecurityInfo"].map(|command| {
        let rule = format!(
            "{{ name = \"welcome\", when = {{ event = \"enrolled\" }}, then = [{{ command = \"{command}\" }}] }}"
        );
        format!(
            "[[binding]]\nhook = \"event\"\nname = \"{command}\"\nplugin = \"command-rules.wasm\"\n\
             commands = {{ allow = [\"{command}\"] }}\nsettings = {{ rules = [{rule}] }}\n"
        )
    });
    let site = running(&policy.concat());
    let _device = start_device(&site);
    device(&site, "the one", has("ProfileList", "acknowledged"));
    let enrolled = device(&site, "the other", has("SecurityInfo", "acknowledged"));
    for command in enrolled["commands"].as_array().unwrap() {
        let shown = site.command(command["uuid"].as_str().unwrap()).unwrap();
        let decision = ["decisions", "show", shown["decision"].as_str().unwrap()];
        let decision = site.lanyard_json(&decision).unwrap();
        assert_eq!(decision["about"], enrolled["id"]);
        assert_eq!(decision["used"][0]["binding"], shown["request_type"]);
        let issued = &decision["outcome"]["verdict"][0]["request"]["request_type"];
        assert_eq!(*issued, shown["request_type"]);
    }
}

#[test]
fn a_lock_that_is_not_granted_is_not_issued() {
    let commands = "commands = { allow = [\"DeviceInformation\"] }";
    let rules = binding("event", "command-rules", &format!("{commands}\n{RULES}"));
    let site = running(&rules);
    let _device = start_device(&site);
    device(
        &site,
        "the welcome",
        has("DeviceInformation", "acknowledged"),
    );
    site.lanyard(&["user", "disable", USER]).unwrap();
    wait_until("the refusal in the log", || {
        let log = site.server_log();
        log.contains("its binding does not grant DeviceLock")
            .then_some(())
    })
    .unwrap();
    let shown = device(&site, "the device", |_| true);
    assert!(!has("DeviceLock", "queued")(&shown), "{shown}");
    assert_eq!(shown["commands"].as_array().unwrap().len(), 1, "{shown}");
}

#[test]
fn quiet_hours_hold_a_command_back_and_an_operators_lock_not() {
    // Quiet for the next hours, whatever the time is: the day but its first half that has passed.
    let minutes = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 60
        % 1440;
    let time = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let (from, to) = (time(minutes + 1440 - 120), time(minutes + 120));
    let settings = format!(
        "settings = {{ quiet_hours = {{ from = \"{from}\", to = \"{to}\" }}, rules = [] }}"
    );
    let site = running(&binding("command-selection", "command-rules", &settings));
    let _device = start_device(&site);
    let udid = site.enrolled().unwrap();
    let held = site.post(&udid, "ProfileList").unwrap();
    // By the end of the second exchange it would long have gone out with the first.
    for _ in 0..2 {
        let lock = site.post(&udid, "DeviceLock").unwrap();
        assert_eq!(site.completed(&lock).unwrap()["state"], "acknowledged");
    }
    assert_eq!(site.command(&held).unwrap()["state"], "queued");
}

#[test]
fn the_examples_of_settings_fit_their_schemas_and_mistakes_do_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let read = |plugin: &str, file: &str| -> Value {
        let text = fs::read_to_string(root.join(plugin).join(file)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    for (plugin, mistakes) in [
        (
            "challenge-approval",
            &[
                r#"{"validity_days":0}"#,
                r#"{"days":30}"#,
                r#"{"names":[]}"#,
                r#"{"manual_approval":[{"name":"all"}]}"#,
            ][..],
        ),
        (
            "command-rules",
            &[
                r#"{}"#,
                r#"{"rules":[{"name":"r","when":{"event":"enrolled"},"then":[]}]}"#,
                r#"{"rules":[{"name":"r","when":{"event":"idle"},"then":[{"command":"SecurityInfo"}]}]}"#,
                r#"{"rules":[{"name":"r","when":{"event":"enrolled"},"then":[{"command":"DeviceLock","pin":"12"}]}]}"#,
                r#"{"rules":[],"quiet_hours":{"from":"24:00","to":"06:00"}}"#,
            ],
        ),
        (
            "http-directory",
            &[
                r#"{"person":{"id":"/id"}}"#,
                r#"{"sign_in":{"url":"https://x","body":{"u":"{user}"}},"person":{"id":"id"}}"#,
                r#"{"sign_in":{"url":"https://x","body":{"u":"{user}"}},"person":{"id":"/id"},"rejected":[{}]}"#,
                r#"{"sign_in":{"url":"https://x","body":{"u":"{user}"}},"person":{"id":"/id"},"rejected":[{"status":500}]}"#,
                r#"{"sign_in":{"url":"https://x","body":{"u":"{user}"}},"person":{"id":"/id"},"allowed_groups":["staff"]}"#,
                r#"{"sign_in":{"url":"https://x","body":{"u":"{user}"}},"person":{"id":"/id"},"lookup":{"url":"https://x"}}"#,
            ],
        ),
        (
            "oidc-directory",
            &[
                r#"{"issuer":"https://id.example"}"#,
                r#"{"issuer":"http://id.example","client_id":"c","redirect_uri":"https://x/enroll/callback/oidc"}"#,
                r#"{"issuer":"https://id.example","client_id":"c","redirect_uri":"https://x/callback"}"#,
                r#"{"issuer":"https://id.example","client_id":"c","redirect_uri":"https://x/enroll/callback/oidc","scopes":["email"]}"#,
                r#"{"issuer":"https://id.example","client_id":"c","redirect_uri":"https://x/enroll/callback/oidc","allowed_groups":["staff"]}"#,
            ],
        ),
        (
            "ldap-directory",
            &[
                r#"{}"#,
                r#"{"directory":"corp","schema":"novell"}"#,
                r#"{"directory":"corp","user_filter":"(uid=ada)"}"#,
                r#"{"directory":"corp","disabled":{"attribute":"a","values":[]}}"#,
            ],
        ),
    ] {
        let schema = read(plugin, "settings.schema.json");
        let schema = jsonschema::validator_for(&schema).unwrap();
        let example = read(plugin, "settings.example.json");
        let misfit = schema.iter_errors(&example).next();
        assert!(misfit.is_none(), "{plugin}: {misfit:?}");
        for mistake in mistakes {
            let mistake: Value = serde_json::from_str(mistake).unwrap();
            assert!(!schema.is_valid(&mistake), "{plugin}: {mistake}");
        }
    }
}

/// Settings are held against the schema that the plugin carries before anything is sent: no server is needed.
#[test]
fn a_policy_is_told_the_place_of_a_mistake_in_settings_and_what_is_right() {
    let site = Site::temporary(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let rule = |when: &str, then: &str| {
        format!("settings = {{ rules = [{{ name = \"r\", when = {when}, then = [{then}] }}] }}")
    };
    let http = "settings = { sign_in = { url = \"https://x\", body = { u = \"{user}\" } }, person = { id = \"id\" } }";
    let oidc = "settings = { issuer = \"https://id.example\" }";
    for (plugin, hook, settings, parts) in [
        (
            "challenge-approval",
            "ra-approval",
            "settings = { validity_days = 0 }".to_owned(),
            &["settings.validity_days: 0 is less than the minimum of 1"][..],
        ),
        (
            "command-rules",
            "event",
            rule(
                "{ event = \"enrolled\" }",
                "{ command = \"DeviceLock\", pin = \"12\" }",
            ),
            &[
                "settings.rules[0].then[0].pin: \"12\" does not match",
                "right is: Six digits.",
            ],
        ),
        (
            "command-rules",
            "event",
            rule("{ event = \"enroled\" }", "{ command = \"SecurityInfo\" }"),
            &[
                "settings.rules[0].when.event: \"enroled\" is unknown",
                "\"enrolled\"",
            ],
        ),
        (
            "http-directory",
            "directory",
            http.to_owned(),
            &["settings.person.id: \"id\" does not match \"^/\""],
        ),
        (
            "ldap-directory",
            "directory",
            "settings = { directory = \"corp\", filter = \"(uid={user})\" }".to_owned(),
            &["settings: Additional properties", "'filter'", "user_filter"],
        ),
        (
            "oidc-directory",
            "directory",
            oidc.to_owned(),
            &["settings: \"client_id\" is a required property"],
        ),
    ] {
        let component = folder.path().join(format!("{plugin}.wasm"));
        fs::copy(guests::component(plugin), component).unwrap();
        fs::write(&policy, binding(hook, plugin, &settings)).unwrap();
        let apply = ["policy", "apply", policy.to_str().unwrap()];
        let said = site.lanyard(&apply).unwrap_err();
        let title = format!("policy.toml: {hook} `first`: settings");
        for part in [&[title.as_str()], parts].concat() {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
}

#[tokio::test]
async fn each_says_what_it_is_and_wants() {
    let host = PluginHost::new(Capacity {
        instances: 4,
        ..Capacity::default()
    })
    .unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let folders = fs::read_dir(folder).unwrap();
    let plugins = folders.map(|folder| folder.unwrap().path());
    let plugins: Vec<_> = plugins
        .filter(|plugin| plugin.join("Cargo.toml").exists())
        .collect();
    assert!(!plugins.is_empty());
    for plugin in plugins {
        let schema = plugin.join("settings.schema.json");
        let schema =
            fs::read(&schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        let name = plugin.file_name().unwrap().to_str().unwrap();
        let component = fs::read(guests::component(name)).unwrap();
        let loaded = host.load(component).await.unwrap();
        let manifest = loaded.manifest().unwrap();
        assert_eq!(manifest.name, name);
        assert!(manifest.grants.is_some(), "{name}");
        let schema: Value = serde_json::from_slice(&schema).unwrap();
        let carried = manifest.settings_schema.clone().map(Value::Object);
        assert_eq!(carried, Some(schema), "{name}");
    }
}
