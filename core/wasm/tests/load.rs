//! Each reason to refuse a component, found when it is loaded.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{assembled, host};
use lanyard_wasm::{Capacity, Limits, LoadError, PluginHost};

async fn refusal(bytes: Vec<u8>) -> LoadError {
    host()
        .load_directory("test", bytes, Limits::default())
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
        let loaded = host
            .load_directory("test", changed, Limits::default())
            .await;
        if let Ok(directory) = loaded {
            let _ = fixture::begin(&directory).await;
        }
    }
    let whole = host
        .load_directory("test", whole, Limits::default())
        .await
        .unwrap();
    fixture::begin(&whole).await.unwrap();
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
    let refusal = small
        .load_directory("test", bytes, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(refusal, LoadError::TooLarge { size, limit: 100 });
}

#[tokio::test]
async fn limits_beyond_the_pool_are_refused() {
    let limits = Limits {
        memory_bytes: 65 << 20,
        ..Limits::default()
    };
    assert_eq!(
        host()
            .load_directory("test", assembled("verify"), limits)
            .await
            .unwrap_err(),
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
        "lanyard:policy/ldap@0.1.0-dev",
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
    for text in ["(component)", mistyped] {
        let refusal = refusal_of_text(text).await;
        assert!(
            matches!(&refusal, LoadError::WrongHook { hook, .. }
                if hook == "lanyard:policy/directory@0.1.0-dev"),
            "{refusal:?}"
        );
    }
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
