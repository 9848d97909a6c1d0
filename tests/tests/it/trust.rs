//! `plugins.trusted_keys`: what nobody vouches for does not come into force, whichever way it comes.

use std::{fs, path::PathBuf};

use lanyard_tests::{guests, site::Site};
use tempfile::TempDir;

const POLICY: &str = r#"
[[binding]]
hook = "event"
name = "welcome"
plugin = "event.wasm"
grants = ["log"]
commands = { allow = ["SecurityInfo"] }
"#;

/// A server, and a policy with one plugin.
struct Desk {
    site: Site,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            site: Site::temporary(&[]).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(desk.path("policy.toml"), POLICY).unwrap();
        fs::copy(guests::component("example-event"), desk.path("event.wasm")).unwrap();
        desk.site.start_apns().unwrap();
        desk
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn text(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// A new key's public half; the secret one is in the file.
    fn key(&self, file: &str) -> String {
        let said = self.site.lanyard(&["plugin", "keygen", &self.text(file)]);
        said.unwrap().trim().to_owned()
    }

    fn sign(&self, key: &str) {
        let sign = [
            "plugin",
            "sign",
            &self.text("event.wasm"),
            "--key",
            &self.text(key),
        ];
        self.site.lanyard(&sign).unwrap();
    }

    /// Makes these the only keys that are trusted, with a server that reads them.
    fn restart_trusting(&mut self, keys: &[&str]) -> Result<(), String> {
        let file = self.site.data().join("lanyard.toml");
        let written = fs::read_to_string(&file).unwrap();
        let before = written.split("\n[plugins]").next().unwrap();
        fs::write(
            &file,
            format!("{before}\n[plugins]\ntrusted_keys = {keys:?}\n"),
        )
        .unwrap();
        self.site.kill_server();
        self.site.start_server()
    }

    fn apply(&self) -> Result<String, String> {
        self.site
            .lanyard(&["policy", "apply", &self.text("policy.toml")])
    }
}

/// The refusal names the plugin, the binding and the key of the configuration, and says what would be right.
fn is_refusal(refused: Result<String, String>, why: &str) {
    let said = refused.unwrap_err();
    for part in ["event `welcome`", "event.wasm", "plugins.trusted_keys", why] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn only_what_a_trusted_key_signed_is_applied() {
    let mut desk = Desk::new();
    let (ours, _) = (desk.key("ours.key"), desk.key("foreign.key"));
    desk.restart_trusting(&[&ours]).unwrap();
    is_refusal(desk.apply(), "`lanyard plugin sign`");
    desk.sign("foreign.key");
    is_refusal(desk.apply(), "signed by none of the trusted keys");
    desk.sign("ours.key");
    let signed = fs::read(desk.path("event.wasm")).unwrap();
    // An empty custom section more: still a plugin, and not the one that was signed.
    let tampered = [&signed[..], &[0, 2, 1, b'x']].concat();
    fs::write(desk.path("event.wasm"), tampered).unwrap();
    is_refusal(desk.apply(), "its signature does not fit");
    fs::write(desk.path("event.wasm"), &signed).unwrap();
    fs::write(desk.path("event.wasm.minisig"), "yes").unwrap();
    is_refusal(desk.apply(), "none of minisign's");
    let revisions = desk.site.lanyard_json(&["policy", "list"]).unwrap();
    assert!(revisions.as_array().unwrap().is_empty(), "{revisions}");

    desk.sign("ours.key");
    let said = desk.apply().unwrap();
    assert!(said.contains("Revision 1 is in force."), "{said}");
    // The signature is kept beside the plugin.
    fs::remove_file(desk.path("event.wasm.minisig")).unwrap();
    desk.restart_trusting(&[&ours]).unwrap();
    desk.site.lanyard(&["policy", "rollback", "1"]).unwrap();
}

#[test]
fn a_key_that_is_trusted_no_more_ends_what_it_vouched_for() {
    let mut desk = Desk::new();
    let (first, second) = (desk.key("first.key"), desk.key("second.key"));
    // Nobody has to vouch where no key is listed.
    desk.restart_trusting(&[]).unwrap();
    desk.apply().unwrap();
    let refused = desk.restart_trusting(&[&first]);
    is_refusal(refused.map(|()| String::new()), "it is not signed");
    desk.restart_trusting(&[]).unwrap();
    // The same component once more, signed.
    desk.sign("first.key");
    desk.apply().unwrap();
    desk.restart_trusting(&[&first, &second]).unwrap();
    desk.sign("second.key");
    desk.apply().unwrap();
    fs::write(desk.path("policy.toml"), "").unwrap();
    desk.apply().unwrap();
    desk.restart_trusting(&[&first]).unwrap();
    is_refusal(
        desk.site.lanyard(&["policy", "rollback", "3"]),
        "signed by none of the trusted keys",
    );
    desk.restart_trusting(&[&second]).unwrap();
    desk.site.lanyard(&["policy", "rollback", "3"]).unwrap();
}
