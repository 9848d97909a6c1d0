//! The author's desk: a crate that `lanyard plugin new` writes, outside of the workspace, is tested, built, asked, measured and signed.

use std::{fs, path::Path, process::Command};

use lanyard_tests::site::Site;
use serde_json::Value;
use tempfile::TempDir;

/// A new plugin, built.
struct Desk {
    site: Site,
    folder: TempDir,
    name: String,
    target: std::path::PathBuf,
}

impl Desk {
    fn with(hook: &str) -> Self {
        let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        let desk = Self {
            site: Site::temporary(&[]).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            name: format!("my-{hook}"),
            // Kept between runs, so that only the first one builds the SDK.
            target: root.join("target/first-plugin"),
        };
        let sdk = root.join("sdk").display().to_string();
        let new = [
            "plugin",
            "new",
            &desk.path(""),
            "--hook",
            hook,
            "--sdk",
            &sdk,
        ];
        desk.site.lanyard(&new).unwrap();
        // With the versions that the workspace is built with.
        fs::copy(root.join("Cargo.lock"), desk.path("Cargo.lock")).unwrap();
        desk.cargo(&["test", "--quiet", "--offline"]);
        desk.cargo(&[
            "build",
            "--quiet",
            "--offline",
            "--release",
            "--target",
            "wasm32-wasip2",
        ]);
        desk
    }

    fn path(&self, file: &str) -> String {
        let crate_folder = self.folder.path().join(&self.name);
        match file {
            "" => crate_folder.display().to_string(),
            file => crate_folder.join(file).display().to_string(),
        }
    }

    fn component(&self) -> String {
        let file = format!("{}.wasm", self.name.replace('-', "_"));
        let built = self.target.join("wasm32-wasip2/release").join(file);
        built.display().to_string()
    }

    fn cargo(&self, arguments: &[&str]) {
        let output = Command::new("cargo")
            .args(arguments)
            .current_dir(self.path(""))
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {arguments:?}: {said}",
            self.name
        );
    }

    fn ask(&self, what: &str, hook: &str, further: &[&str]) -> Result<Value, String> {
        let (component, question) = (self.component(), self.path("question.json"));
        let asked = [
            "plugin",
            what,
            &component,
            "--hook",
            hook,
            "--question",
            &question,
        ];
        self.site.lanyard_json(&[&asked, further].concat())
    }
}

#[test]
fn a_new_plugin_of_each_hook_point_is_tested_built_and_asked() {
    for (hook, grants) in [
        ("directory", &["--grant", "secrets"][..]),
        ("enrollment-approval", &[]),
        ("ra-approval", &[]),
        ("command-selection", &[]),
        ("event", &[]),
    ] {
        let desk = Desk::with(hook);
        let component = desk.component();
        let check = ["plugin", "check", &component];
        let said = desk.site.lanyard(&[&check, grants].concat()).unwrap();
        assert!(said.contains(&format!("can be bound: {hook}.")), "{said}");

        let answer = desk.ask("run", hook, grants).unwrap();
        assert!(!answer["verdict"].is_null(), "{hook}: {answer}");
        let fuel = &answer["used"]["fuel"];
        assert!(fuel.as_u64().unwrap() > 100, "{hook}: {answer}");
        let again = desk.ask("run", hook, grants).unwrap();
        assert_eq!(
            again["used"]["fuel"], *fuel,
            "the same question, the same fuel"
        );

        let further = [grants, &["-n", "20"]].concat();
        let measured = desk.ask("bench", hook, &further).unwrap();
        assert_eq!(
            (&measured["calls"], &measured["fuel"]),
            (&Value::from(20), fuel)
        );
    }
}

#[test]
fn the_terms_of_the_desk_are_those_of_a_server() {
    let desk = Desk::with("directory");
    let refused = desk.ask("run", "directory", &[]).unwrap_err();
    assert!(refused.contains("does not grant"), "{refused}");
    let policy = desk.path("policy.toml");
    let written = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{written}limits = {{ fuel = 100 }}\n")).unwrap();
    let of_policy = ["--policy", &policy, "--binding", &desk.name];
    let refused = desk.ask("run", "directory", &of_policy).unwrap_err();
    assert!(refused.contains("fuel of 100 units"), "{refused}");
}

#[test]
fn what_was_changed_or_signed_by_others_is_not_vouched_for() {
    let desk = Desk::with("event");
    let file = desk.path("signed.wasm");
    fs::copy(desk.component(), &file).unwrap();
    let key = |name: &str| {
        let secret = desk.path(name);
        let said = desk.site.lanyard(&["plugin", "keygen", &secret]).unwrap();
        let public = said.split_whitespace().find(|word| word.starts_with("RW"));
        (secret, public.unwrap().to_owned())
    };
    let ((secret, ours), (_, foreign)) = (key("ours.key"), key("foreign.key"));
    let verify = |trusted: &str| {
        desk.site
            .lanyard(&["plugin", "verify", &file, "--trusted", trusted])
    };
    verify(&ours).unwrap_err();
    desk.site
        .lanyard(&["plugin", "sign", &file, "--key", &secret])
        .unwrap();
    verify(&ours).unwrap();
    verify(&foreign).unwrap_err();
    let mut component = fs::read(&file).unwrap();
    *component.last_mut().unwrap() ^= 1;
    fs::write(&file, component).unwrap();
    verify(&ours).unwrap_err();

    let again = ["plugin", "keygen", &secret];
    let refused = desk.site.lanyard(&again).unwrap_err();
    assert!(
        refused.contains("ours.key"),
        "a key is not overwritten: {refused}"
    );
}
