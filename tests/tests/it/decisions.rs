//! `lanyard decisions replay`, `lanyard plugin shadow`, and bindings on trial: a decision is made again with nothing of what it asked at hand.

use std::fs;

use lanyard_tests::{process::wait_until, site::Site};
use serde_json::{Value, json};

use crate::browser::Browser;

const PASSWORD: &str = "correct horse";
/// Argon2id of it: the one that the guest holds, and so the same question to the host.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";

/// A server with a directory that asks the host about passwords, and another one on trial.
struct Scene {
    site: Site,
}

impl Scene {
    async fn with_a_sign_in(further: &str) -> Self {
        let mut site = Site::temporary(&[]).unwrap();
        site.start_apns().unwrap();
        site.start_server().unwrap();
        let policy = format!(
            "[[binding]]\nhook = \"directory\"\nname = \"school\"\nplugin = \"guest-directory.wasm\"\ngrants = [\"log\", \"secrets\"]\n{further}"
        );
        let packages = ["guest-directory", "example-directory"];
        site.apply(&policy, &packages).unwrap();
        let browser = Browser::open(&site).await;
        assert_eq!(browser.sign_in("ada", PASSWORD).await.status, 200);
        Self { site }
    }

    /// The decision that let her in.
    fn decision(&self) -> Value {
        let all = self.decisions();
        let mut real = all.iter().filter(|each| each["beside"].is_null());
        real.next().unwrap().clone()
    }

    fn decisions(&self) -> Vec<Value> {
        let list = ["decisions", "list", "--hook", "directory"];
        let decisions = self.site.lanyard_json(&list).unwrap();
        decisions.as_array().unwrap().clone()
    }

    fn id(&self) -> String {
        self.decision()["id"].as_str().unwrap().to_owned()
    }

    fn file(&self, name: &str) -> String {
        self.site.data().join(name).display().to_string()
    }

    fn shadow(&self, further: &[&str]) -> Value {
        let file = self.file("example-directory.wasm");
        let trial = ["plugin", "shadow", &file, "--hook", "directory"];
        self.site.lanyard_json(&[&trial, further].concat()).unwrap()
    }
}

#[tokio::test]
async fn a_decision_is_made_again_in_another_process_or_says_what_differs() {
    let mut scene = Scene::with_a_sign_in("").await;
    let id = scene.id();
    let said = scene.site.lanyard(&["decisions", "replay", &id]).unwrap();
    assert!(said.contains("school: the same verdict"), "{said}");
    assert!(said.contains("host calls 2"), "{said}");

    // With the server gone, the password unknown, and nobody but the record to ask.
    let exported = scene
        .site
        .lanyard_json(&["decisions", "export", &id])
        .unwrap();
    assert!(
        !exported.to_string().contains(PASSWORD),
        "a secret in the record"
    );
    scene.site.kill_server();
    let record = scene.file("decision.json");
    fs::write(&record, exported.to_string()).unwrap();
    let replay = ["decisions", "replay", "--from", &record];
    let said = scene.site.lanyard(&replay).unwrap();
    assert!(said.contains("school: the same verdict"), "{said}");

    // One answer altered: the host now said that the password was wrong.
    let mut altered = exported.clone();
    let call = &mut altered["tape"][0][0];
    assert_eq!(
        (&call["function"], &call["answer"]),
        (&json!("secret.verify"), &json!("true"))
    );
    call["answer"] = json!("false");
    fs::write(&record, altered.to_string()).unwrap();
    let said = scene.site.lanyard(&replay).unwrap_err();
    assert!(
        said.contains("the recorded answer to secret.verify was altered"),
        "{said}"
    );
    assert!(said.contains("wrong-password"), "{said}");

    // A call that is not on record.
    altered["tape"] = json!([[]]);
    fs::write(&record, altered.to_string()).unwrap();
    let said = scene.site.lanyard(&replay).unwrap_err();
    assert!(said.contains("failure undetermined"), "{said}");

    // Something else altogether.
    fs::write(&record, r#"{"id":1}"#).unwrap();
    let said = scene.site.lanyard(&replay).unwrap_err();
    assert!(said.contains("is no decision as"), "{said}");

    // Another component than the one that answered.
    let mut foreign = exported;
    foreign["bindings"][0]["sha256"] = json!("00");
    fs::write(&record, foreign.to_string()).unwrap();
    let said = scene.site.lanyard(&replay).unwrap_err();
    assert!(said.contains("with the component that answered"), "{said}");
}

#[tokio::test]
async fn what_is_recorded_as_a_digest_tells_nothing_and_cannot_be_made_again() {
    let scene = Scene::with_a_sign_in("record = \"digest\"\n").await;
    let id = scene.id();
    let exported = scene
        .site
        .lanyard_json(&["decisions", "export", &id])
        .unwrap();
    let call = &exported["tape"][0][0];
    assert!(call["answer"].is_null(), "{call}");
    assert_eq!(call["answer_sha256"].as_str().unwrap().len(), 64);
    let said = scene
        .site
        .lanyard(&["decisions", "replay", &id])
        .unwrap_err();
    assert!(said.contains("failure undetermined"), "{said}");
}

#[tokio::test]
async fn a_new_component_is_tried_against_what_was_decided() {
    let scene = Scene::with_a_sign_in("").await;
    let settings = |hash: &str| json!({ "name": "ada", "password_hash": hash }).to_string();

    // The same question to the host, and another name on the person.
    let changed = scene.shadow(&["--settings", &settings(HASH)]);
    let trial = &changed["others"][0]["trial"];
    assert_eq!(trial["result"], "changed", "{changed}");
    assert_eq!(
        trial["before"]["authenticated"]["display_name"],
        "Ada Lovelace"
    );
    assert_eq!(trial["after"]["authenticated"]["display_name"], "ada");

    // A question that the host was never asked.
    let other_hash = HASH.replace("MDEyMzQ1", "NTQzMjEw");
    let undetermined = scene.shadow(&["--settings", &settings(&other_hash)]);
    let trial = &undetermined["others"][0]["trial"];
    assert_eq!(
        *trial,
        json!({ "result": "undetermined", "needs": "secret.verify" })
    );

    let file = scene.file("guest-directory.wasm");
    let shadow = ["plugin", "shadow", &file, "--hook", "directory"];
    let said = scene.site.lanyard(&shadow).unwrap();
    assert_eq!(said.trim(), "1 the same, 0 changed, 0 undetermined");
}

#[tokio::test]
async fn a_binding_on_trial_is_recorded_and_changes_nothing() {
    let on_trial = format!(
        "[[binding]]\nhook = \"directory\"\nname = \"other\"\nplugin = \"example-directory.wasm\"\ngrants = [\"secrets\"]\nmode = \"shadow\"\n\
         settings = {{ name = \"ada\", password_hash = \"{HASH}\" }}\n"
    );
    let scene = Scene::with_a_sign_in(&on_trial).await;
    let trial = wait_until("the trial's record", || {
        let all = scene.decisions();
        all.into_iter().find(|each| !each["beside"].is_null())
    })
    .unwrap();
    let real = scene.decision();
    assert_eq!(trial["beside"], real["id"]);
    assert_eq!(trial["opinions"][0]["binding"], "other");
    // It reached nothing: that the password is right is what the host had told the other one.
    assert_eq!(trial["outcome"]["verdict"]["authenticated"]["id"], "ada");
    assert_eq!(real["opinions"].as_array().unwrap().len(), 1);
    assert_eq!(
        real["outcome"]["verdict"]["authenticated"]["directory"],
        "school"
    );
}
