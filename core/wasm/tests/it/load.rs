//! Each reason to refuse a component, found when it is loaded.

use crate::fixture::{assembled, host, load, load_bytes};
use std::collections::BTreeSet;

use lanyard_policy::{Capability, HookPoint};
use lanyard_wasm::{
    Capacity, Grants, Limits, LoadError, Manifest, ManifestError, PluginHost, Terms,
};

async fn refusal(bytes: Vec<u8>) -> LoadError {
    load_bytes(&host(), "test", bytes, Limits::default())
        .await
        .unwrap_err()
}

async fn refusal_of_text(text: &str) -> LoadError {
    refusal(wat::parse_str(text).unwrap()).await
}

#[tokio::test]
async fn what_is_no_component_says_what_it_is() {
    let module = wat::parse_str("(module)").unwrap();
    for (bytes, found) in [
        (module, "a core WebAssembly module"),
        (
            b"\x7fELF\x02\x01\x01".to_vec(),
            "native or precompiled code",
        ),
        (b"(component)".to_vec(), "no WebAssembly at all"),
        (Vec::new(), "empty"),
    ] {
        assert_eq!(refusal(bytes).await, LoadError::NotAComponent { found });
    }
}

#[tokio::test]
async fn a_damaged_component_is_not_valid() {
    let whole = assembled("verify");
    for bytes in [&whole[..whole.len() / 2], &whole[..8 + 1]] {
        let refusal = refusal(bytes.to_vec()).await;
        assert!(matches!(refusal, LoadError::Invalid { .. }), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_noticed_or_harmless() {
    let host = host();
    let whole = assembled("verify");
    for at in (0..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        // Loading and asking may fail in any of their ways; the host goes on.
        let loaded = load_bytes(&host, "test", changed, Limits::default()).await;
        if let Ok(directory) = loaded {
            let _ = crate::fixture::begin(&directory).await;
        }
    }
    let whole = load_bytes(&host, "test", whole, Limits::default())
        .await
        .unwrap();
    crate::fixture::begin(&whole).await.unwrap();
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_not_compiled() {
    let small = PluginHost::new(Capacity {
        instances: 4,
        component_bytes: 100,
        ..Capacity::default()
    })
    .unwrap();
    let bytes = assembled("verify");
    let size = bytes.len();
    let refusal = small.load(bytes).await.err().unwrap();
    assert_eq!(refusal, LoadError::TooLarge { size, limit: 100 });
}

#[tokio::test]
async fn limits_beyond_the_pool_are_refused() {
    let limits = Limits {
        memory_bytes: 65 << 20,
        ..Limits::default()
    };
    assert_eq!(
        load(&host(), "verify", limits).await.unwrap_err(),
        LoadError::MemoryBeyondCapacity {
            limit: 65 << 20,
            room: 64 << 20
        }
    );
}

#[tokio::test]
async fn what_no_plugin_gets_is_named() {
    for import in [
        "wasi:sockets/network@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "lanyard:policy/kv@0.1.0-dev",
        "lanyard:policy/reveal-secrets@0.1.0-dev",
        "vendor:own/thing",
    ] {
        let text = format!("(component (import {import:?} (instance)))");
        assert_eq!(
            refusal_of_text(&text).await,
            LoadError::UnknownImport {
                import: import.to_owned()
            }
        );
    }
}

#[tokio::test]
async fn an_examination_finds_all_that_can_be_found_at_once() {
    let text = r#"(component
        (import "vendor:own/thing" (instance))
        (import "lanyard:policy/kv@0.1.0-dev" (instance))
        (import "lanyard:policy/log@9.0.0" (instance))
        (import "lanyard:policy/http@0.1.0-dev" (instance)))"#;
    let mut component = wat::parse_str(text).unwrap();
    let says = br#"{"name":"liar","version":"1","hooks":["event"],"grants":{"log":"for fun"}}"#;
    Manifest::from_json(says).unwrap().append_to(&mut component);
    let terms = Terms {
        grants: Grants::of([Capability::Log]),
        ..Terms::new("test")
    };
    let (plugin, problems) = host().examine(component.clone(), &terms).await;
    assert!(plugin.is_none());
    let unknown = |import: &str| LoadError::UnknownImport {
        import: import.to_owned(),
    };
    let hooks = ManifestError::Hooks {
        said: "event".to_owned(),
        exported: "none".to_owned(),
    };
    let missing = LoadError::NotGranted {
        capability: "http",
        reason: None,
    };
    for problem in [
        unknown("vendor:own/thing"),
        unknown("lanyard:policy/kv@0.1.0-dev"),
        LoadError::UnknownContract {
            import: "lanyard:policy/log@9.0.0".to_owned(),
        },
        hooks.into(),
        ManifestError::Unasked("http").into(),
        ManifestError::Unused("log").into(),
        missing,
    ] {
        assert!(
            problems.contains(&problem),
            "{problem:?} is not in {problems:?}"
        );
    }
    assert_eq!(problems.len(), 7, "{problems:?}");
    // A server goes no further than the first.
    assert_eq!(
        host().load(component).await.err().as_ref(),
        problems.first()
    );
}

#[tokio::test]
async fn an_examination_looks_beyond_a_missing_grant() {
    let terms = Terms {
        grants: Grants::of([Capability::Log]),
        settings: r#"{"any":"thing"}"#.to_owned(),
        ..Terms::new("test")
    };
    let (plugin, problems) = host().examine(assembled("verify"), &terms).await;
    assert!(plugin.is_some());
    assert!(
        matches!(
            &problems[..],
            [
                LoadError::NotGranted {
                    capability: "secrets",
                    ..
                },
                LoadError::Settings { .. }
            ]
        ),
        "{problems:?}"
    );
    let terms = Terms::new("test");
    let (_, problems) = host().examine(assembled("verify"), &terms).await;
    assert_eq!(problems, []);
}

#[tokio::test]
async fn another_version_of_the_contract_is_named() {
    for import in ["lanyard:policy/log@9.0.0", "lanyard:policy/log"] {
        let text = format!("(component (import {import:?} (instance)))");
        assert_eq!(
            refusal_of_text(&text).await,
            LoadError::UnknownContract {
                import: import.to_owned()
            }
        );
    }
}

#[tokio::test]
async fn a_function_that_the_contract_lacks_is_named() {
    let refusal = refusal_of_text(
        r#"(component (import "lanyard:policy/log@0.1.0-dev" (instance (export "shout" (func)))))"#,
    )
    .await;
    assert!(
        matches!(&refusal, LoadError::ImportMismatch { detail } if detail.contains("shout")),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_hook_that_is_missing_or_of_other_types_is_not_bound() {
    // All three functions are there by name; that they take nothing shows only when an instance is made.
    let mistyped = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (alias core export $i "f" (core func $c))
        (func $f (canon lift (core func $c)))
        (instance $d (export "begin" (func $f)) (export "resume" (func $f)) (export "lookup" (func $f)))
        (export "lanyard:policy/directory@0.1.0-dev" (instance $d)))"#;
    let of_another_hook =
        r#"(component (instance $d) (export "lanyard:policy/event@0.1.0-dev" (instance $d)))"#;
    for text in [of_another_hook, mistyped] {
        let refusal = refusal_of_text(text).await;
        assert!(
            matches!(&refusal, LoadError::WrongHook { hook, .. }
                if hook == "lanyard:policy/directory@0.1.0-dev"),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_capability_that_is_not_granted_is_named() {
    let plugin = host().load(assembled("verify")).await.unwrap();
    assert_eq!(plugin.hooks().collect::<Vec<_>>(), [HookPoint::Directory]);
    assert_eq!(
        *plugin.capabilities(),
        BTreeSet::from([Capability::Log, Capability::Secrets])
    );
    let terms = Terms {
        grants: Grants::of([Capability::Log]),
        ..Terms::new("test")
    };
    assert_eq!(
        plugin.directory(terms).await.unwrap_err(),
        LoadError::NotGranted {
            capability: "secrets",
            reason: None,
        }
    );
}

#[tokio::test]
async fn settings_for_a_plugin_that_takes_none_are_refused() {
    let plugin = host().load(assembled("verify")).await.unwrap();
    let terms = Terms {
        settings: r#"{"colour":"blue"}"#.to_owned(),
        ..Terms::new("test")
    };
    let refusal = plugin.directory(terms).await.unwrap_err();
    assert!(matches!(refusal, LoadError::Settings { .. }), "{refusal:?}");
}

#[tokio::test]
async fn every_refusal_is_one_sentence() {
    let refusals = [
        refusal(Vec::new()).await,
        refusal_of_text("(component)").await,
        refusal_of_text(r#"(component (import "a:b/c" (instance)))"#).await,
    ];
    for refusal in refusals {
        let sentence = refusal.to_string();
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}
