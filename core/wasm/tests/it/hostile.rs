//! Plugins that misbehave, written by hand in `plugins/`: each breach is the right failure, and harms nobody else.

use std::time::Duration;

use crate::fixture::{begin, host, load, sign_in};
use lanyard_policy::{Directory, HookFailure, Secret, Step};
use lanyard_wasm::{Capacity, Limits, LoadError, PluginHost};

async fn failure(plugin: &str) -> HookFailure {
    let directory = load(&host(), plugin, Limits::default()).await.unwrap();
    directory
        .begin(sign_in("ada", "correct horse"))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_trap_is_a_trap() {
    for plugin in ["trap", "recursion"] {
        assert_eq!(failure(plugin).await.code(), "trapped", "{plugin}");
    }
}

#[tokio::test]
async fn an_endless_loop_spends_its_fuel() {
    let limit = Limits::default().fuel;
    for plugin in ["spin", "spin_in_realloc"] {
        assert_eq!(
            failure(plugin).await,
            HookFailure::OutOfFuel { limit },
            "{plugin}"
        );
    }
}

#[tokio::test]
async fn what_spins_before_it_is_asked_is_not_loaded() {
    let limit = Limits::default().fuel;
    assert_eq!(
        load(&host(), "spin_in_start", Limits::default())
            .await
            .unwrap_err(),
        LoadError::DoesNotStart(HookFailure::OutOfFuel { limit })
    );
}

#[tokio::test]
async fn what_fuel_does_not_stop_the_deadline_does() {
    let limits = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(500),
        ..Limits::default()
    };
    let directory = load(&host(), "spin", limits).await.unwrap();
    assert_eq!(
        begin(&directory).await.unwrap_err(),
        HookFailure::DeadlineExceeded { limit_ms: 500 }
    );
}

#[tokio::test]
async fn memory_has_a_limit_of_its_own() {
    let bytes = HookFailure::MemoryLimit {
        resource: "memory".to_owned(),
        limit: 32 << 20,
        unit: "bytes".to_owned(),
    };
    for plugin in ["memory_at_once", "memory_stepwise"] {
        assert_eq!(failure(plugin).await, bytes, "{plugin}");
    }
    assert_eq!(
        load(&host(), "memory_at_start", Limits::default())
            .await
            .unwrap_err(),
        LoadError::DoesNotStart(bytes)
    );
    assert_eq!(
        failure("table_growth").await,
        HookFailure::MemoryLimit {
            resource: "table".to_owned(),
            limit: 20_000,
            unit: "elements".to_owned(),
        }
    );
}

#[tokio::test]
async fn an_answer_outside_the_contract_is_no_answer() {
    // The detail is for an operator; that it fits shows that the plugin failed over what it was written for.
    for (plugin, expected) in [
        ("huge_answer", "too much data"),
        ("not_utf8", "utf-8"),
        (
            "control_characters",
            "the person's id has control characters",
        ),
        (
            "nameless",
            "the person's id has 0 bytes; 1 to 255 are right",
        ),
        ("no_such_step", "discriminant"),
        ("nowhere", "pointer"),
        ("verify_cheap", "costs too little"),
        ("forged_handle", "handle"),
        ("kept_handle", "borrow handles still remain"),
    ] {
        let failure = failure(plugin).await;
        let HookFailure::InvalidAnswer { detail } = &failure else {
            panic!("{plugin}: {failure:?}");
        };
        assert!(detail.contains(expected), "{plugin}: {detail}");
    }
}

#[tokio::test]
async fn host_calls_are_counted() {
    assert_eq!(
        failure("log_flood").await,
        HookFailure::HostCallLimit {
            what: "host-calls".to_owned(),
            limit: 1_000
        }
    );
    for plugin in ["verify_flood", "equals_flood"] {
        assert_eq!(
            failure(plugin).await,
            HookFailure::HostCallLimit {
                what: "secret-verify".to_owned(),
                limit: 4
            },
            "{plugin}"
        );
    }
}

#[tokio::test]
async fn others_are_answered_while_one_spins() {
    let host = host();
    let spinning = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_secs(3600),
        ..Limits::default()
    };
    let spinner = load(&host, "spin", spinning).await.unwrap();
    let honest = load(&host, "verify", Limits::default()).await.unwrap();
    // One thread for all: it is the epoch that makes the spinner let go of it.
    let answers = async {
        for _ in 0..3 {
            let step = honest.begin(sign_in("ada", "correct horse")).await;
            assert!(matches!(step.unwrap(), Step::Authenticated(_)));
        }
    };
    tokio::select! {
        biased;
        spun = begin(&spinner) => panic!("the spinner ended first: {spun:?}"),
        () = answers => {}
    }
}

#[tokio::test]
async fn a_full_pool_and_a_full_queue_are_not_available() {
    let one = PluginHost::new(Capacity {
        instances: 1,
        ..Capacity::default()
    })
    .unwrap();
    let spinning = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(500),
        ..Limits::default()
    };
    let spinner = load(&one, "spin", spinning).await.unwrap();
    let (first, second) = tokio::join!(biased; begin(&spinner), begin(&spinner));
    assert_eq!(first.unwrap_err().code(), "deadline-exceeded");
    assert_eq!(second.unwrap_err().code(), "unavailable");
    assert_eq!(
        begin(&spinner).await.unwrap_err().code(),
        "deadline-exceeded"
    );

    let no_turns = Limits {
        concurrent_calls: 0,
        deadline: Duration::from_millis(10),
        ..Limits::default()
    };
    let nobody = load(&host(), "verify", no_turns).await.unwrap();
    assert_eq!(begin(&nobody).await.unwrap_err().code(), "unavailable");
}

#[tokio::test]
async fn a_recorded_secret_matches_nothing() {
    let directory = load(&host(), "verify", Limits::default()).await.unwrap();
    let mut replayed = sign_in("ada", "");
    replayed.password = Secret::redacted();
    assert_eq!(directory.begin(replayed).await.unwrap(), Step::Abstain);
}
