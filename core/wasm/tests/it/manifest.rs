//! What a component says of itself: read where it stands, shown where a grant is missing, and not believed where it is not so.

use lanyard_policy::Capability;
use lanyard_wasm::{Grants, Limits, LoadError, Manifest, ManifestError, Terms};
use serde_json::{Value, json};

use crate::fixture::{assembled, host, load_bytes};

/// What is true of `verify.wat`.
fn truth() -> Value {
    json!({
        "name": "verify",
        "version": "1.2.3",
        "hooks": ["directory"],
        "grants": { "log": "says who signed in", "secrets": "compares the password with a hash" },
    })
}

/// The truth but for one member; `null` takes it away.
fn but(member: &str, value: Value) -> Value {
    let mut manifest = truth();
    let members = manifest.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    manifest
}

/// A custom section by hand, so that what is tried does not depend on what is tested.
fn section(content: &[u8]) -> Vec<u8> {
    let name = b"lanyard:manifest";
    let length = 1 + name.len() + content.len();
    let mut section = vec![0];
    // Three bytes of seven bits each.
    section.extend([
        length as u8 & 0x7f | 0x80,
        (length >> 7) as u8 & 0x7f | 0x80,
        (length >> 14) as u8,
    ]);
    section.push(name.len() as u8);
    section.extend(name);
    section.extend(content);
    section
}

fn with(manifests: &[&[u8]]) -> Vec<u8> {
    let mut component = assembled("verify");
    for content in manifests {
        component.extend(section(content));
    }
    component
}

async fn refusal(component: Vec<u8>) -> ManifestError {
    match host().load(component).await.err() {
        Some(LoadError::Manifest(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_true_is_believed() {
    for manifest in [
        truth(),
        // Nothing said of grants is nothing to compare.
        but("grants", Value::Null),
    ] {
        let component = with(&[manifest.to_string().as_bytes()]);
        let plugin = host().load(component).await.unwrap();
        assert_eq!(serde_json::to_value(plugin.manifest()).unwrap(), manifest);
    }
    let silent = host().load(assembled("verify")).await.unwrap();
    assert!(silent.manifest().is_none());
}

#[tokio::test]
async fn it_may_stand_in_the_module_within_the_component() {
    let manifest = r#"{"name":"none","version":"1","hooks":[]}"#;
    let text = format!(
        "(component (core module (@custom \"lanyard:manifest\" \"{}\")))",
        manifest.replace('"', "\\\"")
    );
    let plugin = host().load(wat::parse_str(&text).unwrap()).await.unwrap();
    assert_eq!(plugin.manifest().unwrap().name, "none");
}

#[tokio::test]
async fn a_lie_is_named() {
    let hooks = |said: &str| ManifestError::Hooks {
        said: said.to_owned(),
        exported: "directory".to_owned(),
    };
    let text = |what: &str, most| ManifestError::Text {
        what: what.to_owned(),
        most,
    };
    for (lie, expected) in [
        (but("hooks", json!(["event"])), hooks("event")),
        (
            but("hooks", json!(["directory", "event"])),
            hooks("directory, event"),
        ),
        (but("hooks", json!([])), hooks("none")),
        (
            but("grants", json!({ "log": "x" })),
            ManifestError::Unasked("secrets"),
        ),
        (but("grants", json!({})), ManifestError::Unasked("log")),
        (
            but(
                "grants",
                json!({ "log": "x", "secrets": "x", "reveal-secrets": "x" }),
            ),
            ManifestError::Unused("reveal-secrets"),
        ),
        (
            but("settings_schema", json!({ "type": "object" })),
            ManifestError::NoSettings,
        ),
        (but("name", json!("")), text("name", 255)),
        (but("version", json!("1\n2")), text("version", 255)),
        (
            but("grants", json!({ "log": "x", "secrets": "x".repeat(1025) })),
            text("reason for `secrets`", 1024),
        ),
    ] {
        let component = with(&[lie.to_string().as_bytes()]);
        assert_eq!(refusal(component).await, expected, "{lie}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_guessed_at() {
    for (content, part) in [
        ("".to_owned(), "EOF"),
        ("{".to_owned(), "EOF"),
        (but("author", json!("x")).to_string(), "author"),
        (but("version", Value::Null).to_string(), "version"),
        (but("hooks", json!(["sign-in"])).to_string(), "sign-in"),
        (but("grants", json!({ "files": "x" })).to_string(), "files"),
        (but("settings_schema", json!(true)).to_string(), "a map"),
        (but("settings_schema", json!([])).to_string(), "a map"),
        (format!("{} x", truth()), "trailing"),
    ] {
        let error = refusal(with(&[content.as_bytes()])).await;
        assert!(
            matches!(&error, ManifestError::Malformed { detail } if detail.contains(part)),
            "{content}: {error:?}"
        );
    }
    let large = but("name", json!("x".repeat(64 << 10))).to_string();
    let size = large.len();
    assert_eq!(
        refusal(with(&[large.as_bytes()])).await,
        ManifestError::TooLarge { size }
    );
    let once = truth().to_string();
    let twice = with(&[once.as_bytes(), once.as_bytes()]);
    assert_eq!(refusal(twice).await, ManifestError::Several);
}

#[tokio::test]
async fn a_grant_that_is_missing_comes_with_its_reason() {
    let component = with(&[truth().to_string().as_bytes()]);
    let terms = Terms {
        grants: Grants::of([Capability::Log]),
        ..Terms::new("test")
    };
    let plugin = host().load(component).await.unwrap();
    let refusal = plugin.directory(terms).await.unwrap_err().to_string();
    for part in ["`secrets`", "compares the password with a hash"] {
        assert!(refusal.contains(part), "{refusal}");
    }
}

#[tokio::test]
async fn what_is_appended_is_read() {
    let manifest = Manifest::from_json(truth().to_string().as_bytes()).unwrap();
    let mut component = assembled("verify");
    manifest.append_to(&mut component);
    let plugin = host().load(component.clone()).await.unwrap();
    assert_eq!(plugin.manifest(), Some(&manifest));
    load_bytes(&host(), "test", component, Limits::default())
        .await
        .unwrap();
}
