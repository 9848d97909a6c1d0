//! A plugin that was not written in Rust: the example in JavaScript, which is as large as its interpreter, in the engine for large plugins.

use std::{fs, path::Path};

use lanyard_tests::{guests, site::Site};
use lanyard_wasm::Manifest;

use crate::browser::{Browser, WRONG, is_page};

/// Compiling this component is what takes long here, so it is done once, by the server, and everything is asked of that.
#[tokio::test]
async fn a_person_of_a_plugin_in_javascript_signs_in() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user("correct horse battery").unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/javascript-directory");
    let right = fs::read_to_string(example.join("policy.toml")).unwrap();
    let component = site.data().join("javascript-directory.wasm");
    let mut with_manifest = fs::read(guests::javascript()).unwrap();
    let manifest = fs::read(example.join("manifest.json")).unwrap();
    Manifest::from_json(&manifest)
        .unwrap()
        .append_to(&mut with_manifest);
    fs::write(component, with_manifest).unwrap();
    let apply = |from: &str, to: &str| {
        assert!(right.contains(from), "{from} is not in {right}");
        site.apply(&right.replace(from, to), &[])
    };
    for (from, to, part) in [
        (
            "room = \"large\"",
            "",
            "`room = \"large\"` takes up to 32 MiB",
        ),
        ("$argon2id$", "$2b$", "password_hash is no PHC string"),
        ("name = \"ada\"", "nome = \"ada\"", "unknown field `nome`"),
        ("[\"secrets\"]", "[]", "uses `secrets`"),
    ] {
        let said = apply(from, to).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    apply("", "").unwrap();

    for start in ["first", "next"] {
        let browser = Browser::open(&site).await;
        let step = browser.sign_in("ada", "correct horse").await;
        assert_eq!(step.status, 200, "{start}");
        let step = browser.sign_in("ada", "wrong horse").await;
        is_page(&step, 403, WRONG);
        let step = browser.sign_in("tester", "correct horse battery").await;
        assert_eq!(step.status, 200, "whom it does not know, others may");

        let cached: Vec<bool> = site
            .server_log()
            .lines()
            .filter(|line| line.contains("plugin loaded"))
            .map(|line| line.contains("cached=true"))
            .collect();
        if start == "first" {
            assert_eq!(cached.iter().filter(|cached| !**cached).count(), 1);
            site.kill_server();
            site.start_server().unwrap();
        } else {
            assert_eq!(cached, [true]);
        }
    }
}
