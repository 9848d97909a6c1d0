//! The author's desk: a crate that `lanyard plugin new` writes, outside of the workspace, is tested, built, asked, measured and signed.

use std::{fs, path::Path, process::Command};

use lanyard_tests::{
    process::{binary, installed_path},
    site::Site,
};
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
        desk.cargo(&["test", "--quiet"]).unwrap();
        desk.cargo(&["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
            .unwrap();
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

    /// What cargo and what it runs print; an error if it fails.
    fn cargo(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("cargo")
            .args(arguments)
            .current_dir(self.path(""))
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", &self.target)
            // `lanyard` is installed where an author works.
            .env("PATH", installed_path())
            .output()
            .unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        let said = format!("{} {arguments:?}:\n{out}{err}", self.name);
        if output.status.success() {
            Ok(said)
        } else {
            Err(said)
        }
    }

    fn test_inside(&self, further: &[&str]) -> Result<String, String> {
        self.cargo(&[&["test", "--target", "wasm32-wasip2"], further].concat())
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
        let looked_at = desk.site.lanyard_json(&["plugin", "inspect", &component]);
        let manifest = &looked_at.unwrap()["manifest"];
        let name = Value::from(desk.name.clone());
        assert_eq!(
            (&manifest["name"], &manifest["hooks"][0]),
            (&name, &Value::from(hook))
        );
        let reasons = manifest["grants"].as_object().unwrap();
        assert_eq!(reasons.is_empty(), grants.is_empty(), "{manifest}");

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

/// A test that holds natively and inside of the host, and tests that show what is different there, run by their names.
const TESTS: &str = r#"
#[cfg(test)]
mod anywhere {
    use lanyard_sdk::ldap::{Entry, Search};
    use lanyard_sdk::test;

    #[test]
    fn the_host_answers_as_the_test_says() {
        test::answer_search(|_, _| Ok(vec![Entry::new("uid=ada")]));
        let found = Search::new("(uid={user})").value("user", "ada").run("corp").unwrap();
        assert_eq!(found[0].dn, "uid=ada");
        assert_eq!(test::secret("correct horse").reveal(), "correct horse");
        lanyard_sdk::log::info("looked for ada");
        assert_eq!(test::take_log(), ["looked for ada"]);
    }

}

#[cfg(test)]
mod inside {
    #[test]
    fn the_world_is_a_plugins() {
        use std::time::{Duration, SystemTime, UNIX_EPOCH};
        println!("it was here");
        let standing = Duration::from_millis(1_750_000_000_000);
        assert_eq!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap(), standing);
        assert_eq!(std::env::vars().count(), 0);
        assert!(std::fs::read_dir("/").is_err());
    }

    #[test]
    fn a_failure() {
        assert_eq!(1 + 1, 3);
    }

    #[test]
    fn a_hoarder() {
        let hoard = vec![1_u8; 100 << 20];
        assert_eq!(hoard.iter().map(|each| usize::from(*each)).sum::<usize>(), 100 << 20);
    }

    #[test]
    fn an_exit() {
        std::process::exit(3);
    }
}
"#;

#[test]
fn the_same_tests_run_natively_and_inside_of_the_host() {
    let desk = Desk::with("directory");
    let library = desk.path("src/lib.rs");
    let written = fs::read_to_string(&library).unwrap();
    fs::write(&library, format!("{written}{TESTS}")).unwrap();
    let both = ["--lib", "--", "tests::", "anywhere::"];
    for said in [
        desk.cargo(&[&["test"], &both[..]].concat()),
        desk.test_inside(&both),
    ] {
        let said = said.unwrap();
        for part in [
            "test tests::strangers_are_left_to_the_next_directory ... ok",
            "test anywhere::the_host_answers_as_the_test_says ... ok",
            "2 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
    let only = |test: &str| desk.test_inside(&["--lib", "--", "--nocapture", "--exact", test]);
    let said = only("inside::the_world_is_a_plugins").unwrap();
    assert!(
        said.contains("it was here") && said.contains("1 passed"),
        "{said}"
    );
    for (test, part) in [
        ("inside::a_failure", "assertion `left == right` failed"),
        ("inside::a_hoarder", "memory"),
        ("inside::an_exit", "ended with status 1"),
    ] {
        let said = only(test).unwrap_err();
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn tests_get_nothing_of_the_real_host() {
    let desk = Desk::with("event");
    let manifest = desk.path("Cargo.toml");
    let written = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, written.replace(r#", features = ["test"]"#, "")).unwrap();
    let refused = desk.test_inside(&["--lib"]).unwrap_err();
    for part in ["calls `lanyard:policy/", r#"features = ["test"]"#] {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    for (file, part) in [
        (desk.component(), "does not export wasi:cli/run"),
        (manifest, "no valid component"),
    ] {
        let output = Command::new(binary("lanyard"))
            .args(["plugin", "test", &file])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{said}");
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

#[test]
fn a_component_of_another_tool_gets_a_manifest() {
    let site = Site::temporary(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [file, manifest] = ["empty.wasm", "manifest.json"].map(|name| {
        let path = folder.path().join(name);
        path.display().to_string()
    });
    // The smallest component, which answers nothing.
    let empty = b"\0asm\x0d\0\x01\0";
    fs::write(&file, empty).unwrap();
    let inspect = || site.lanyard(&["plugin", "inspect", &file]).unwrap();
    let write = |hooks: &str| {
        let json = format!(r#"{{"name":"empty","version":"2","hooks":[{hooks}]}}"#);
        fs::write(&manifest, json).unwrap();
        site.lanyard(&["plugin", "manifest", &file, "--with", &manifest])
    };
    assert!(inspect().contains("nothing of itself"), "{}", inspect());
    let refused = write(r#""event""#).unwrap_err();
    assert!(refused.contains("exports none"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), empty);
    write("").unwrap();
    assert!(inspect().contains("that it is empty 2"), "{}", inspect());
    let refused = write("").unwrap_err();
    assert!(refused.contains("has a manifest already"), "{refused}");
}
