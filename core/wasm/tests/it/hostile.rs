//! Plugins that misbehave, written by hand in `plugins/`: each breach is the right failure, and others are still answered while it goes
//! on. What is tested elsewhere is listed in `docs/hostile-plugins.md`.

use std::time::Duration;

use crate::fixture::{assembled, begin, host, load, load_bytes, sign_in};
use crate::journal::Journal;
use lanyard_policy::{Directory, HookFailure, HookPoint, Secret, Step};
use lanyard_wasm::{Capacity, Limits, LoadError, PluginHost, Terms, WasmDirectory};

/// Lets an honest plugin of the same host answer while something else is under way, on the one thread that a test has. The other is
/// polled first each time, and must not be over before the answers are there.
async fn meanwhile<T>(host: &PluginHost, under_way: impl Future<Output = T>) {
    let honest = load(host, "verify", Limits::default()).await.unwrap();
    tokio::select! {
        biased;
        _ = under_way => panic!("it ended before anybody else was answered"),
        () = answered(&honest) => {}
    }
}

async fn answered(honest: &WasmDirectory) {
    for _ in 0..3 {
        let step = honest.begin(sign_in("ada", "correct horse")).await;
        assert!(matches!(step.unwrap(), Step::Authenticated(_)));
    }
}

/// What it comes to when a plugin is asked; it is asked over and over again while another one answers.
async fn failure_within(plugin: &str, limits: Limits) -> HookFailure {
    let host = host();
    let hostile = load(&host, plugin, limits).await.unwrap();
    let failure = begin(&hostile).await.unwrap_err();
    let again = async {
        loop {
            assert_eq!(begin(&hostile).await.unwrap_err(), failure, "{plugin}");
            // One that fails at once never waits: what comes next is another caller's turn.
            tokio::task::yield_now().await;
        }
    };
    meanwhile::<()>(&host, again).await;
    failure
}

async fn failure(plugin: &str) -> HookFailure {
    failure_within(plugin, Limits::default()).await
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
    let host = host();
    let limit = Limits::default().fuel;
    let refusal = || async {
        let loaded = load(&host, "spin_in_start", Limits::default()).await;
        loaded.unwrap_err()
    };
    assert_eq!(
        refusal().await,
        LoadError::DoesNotStart(HookFailure::OutOfFuel { limit })
    );
    let over_and_over = async {
        loop {
            refusal().await;
        }
    };
    meanwhile::<()>(&host, over_and_over).await;
}

#[tokio::test]
async fn what_fuel_does_not_stop_the_deadline_does() {
    let limits = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(500),
        ..Limits::default()
    };
    for plugin in ["spin", "sleep", "random_flood"] {
        assert_eq!(
            failure_within(plugin, limits.clone()).await,
            HookFailure::DeadlineExceeded { limit_ms: 500 },
            "{plugin}"
        );
    }
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
async fn a_browser_is_sent_nowhere_that_is_not_granted() {
    let refused = HookFailure::NotGranted {
        what: "a redirection to https://login.example/authorize".to_owned(),
    };
    assert_eq!(failure("elsewhere").await, refused);
    let host = host();
    let plugin = host.load(assembled("elsewhere")).await.unwrap();
    for (allowed, is_right) in [
        ("https://login.example/authorize", true),
        ("https://login.example/", true),
        ("https://login.example/auth", false),
        ("https://evil.example/", false),
    ] {
        let mut terms = Terms::new("elsewhere");
        terms.grants.redirections = vec![allowed.parse().unwrap()];
        let directory = plugin.directory(terms).await.unwrap();
        let expected = if is_right {
            Ok(Step::Redirect {
                url: "https://login.example/authorize?x=1".to_owned(),
                state: Vec::new(),
            })
        } else {
            Err(refused.clone())
        };
        assert_eq!(begin(&directory).await, expected, "{allowed}");
    }
}

#[tokio::test]
async fn host_calls_and_handles_are_counted() {
    for (plugin, what, limit) in [
        ("log_flood", "host-calls", 1_000),
        ("verify_flood", "secret-verify", 4),
        ("equals_flood", "secret-verify", 4),
        ("handle_flood", "handles", 256),
    ] {
        let what = what.to_owned();
        assert_eq!(
            failure(plugin).await,
            HookFailure::HostCallLimit { what, limit },
            "{plugin}"
        );
    }
}

#[tokio::test]
async fn what_a_plugin_writes_into_the_log_has_an_end() {
    let spammer = load(&host(), "log_flood", Limits::default()).await.unwrap();
    let journal = Journal::new();
    let failure = journal.of(begin(&spammer)).await.unwrap_err();
    assert_eq!(failure.code(), "host-call-limit");
    let said = journal.lines("plugin says");
    assert!(
        (1..=5).contains(&said.len()),
        "{} lines of four kilobytes",
        said.len()
    );
    // A byte that cannot be printed is written as an escape.
    let printed: usize = said.iter().map(String::len).sum();
    assert!(printed < 6 * Limits::default().log_bytes, "{printed} bytes");
}

#[tokio::test]
async fn others_are_answered_while_one_spins_or_sleeps() {
    let host = host();
    let limits = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_secs(3600),
        ..Limits::default()
    };
    // One thread for all: it is the epoch that makes the spinner let go of it.
    for plugin in ["spin", "sleep"] {
        let busy = load(&host, plugin, limits.clone()).await.unwrap();
        meanwhile(&host, begin(&busy)).await;
    }
}

#[tokio::test]
async fn two_hundred_sleepers_take_no_more_than_their_turns() {
    // Of the host's 16 instances they get eight, whatever their binding says; the others wait in a queue that is this plugin's alone.
    let host = host();
    let limits = Limits {
        deadline: Duration::from_secs(3600),
        concurrent_calls: 200,
        ..Limits::default()
    };
    let sleeper = load(&host, "sleep", limits).await.unwrap();
    let mut sleepers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let sleeper = sleeper.clone();
        sleepers.spawn(async move { begin(&sleeper).await });
    }
    meanwhile(&host, sleepers.join_next()).await;
    assert_eq!(sleepers.len(), 200);
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
    let spinner = load(&one, "spin", spinning.clone()).await.unwrap();
    let another = load(&one, "spin", spinning).await.unwrap();
    let (first, second) = tokio::join!(biased; begin(&spinner), begin(&another));
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

/// Thousands of functions that are dear to compile, in a file that is small enough to be tried.
fn compile_bomb() -> Vec<u8> {
    let arithmetic = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (local.get 0)))";
    let function = format!(
        "(func (param i32) (result i32) {} (local.get 0))",
        arithmetic.repeat(8)
    );
    let functions = function.repeat(15_000);
    wat::parse_str(format!("(component (core module {functions}))")).unwrap()
}

#[tokio::test]
async fn others_are_answered_while_something_slow_is_compiled() {
    let host = host();
    let bomb = compile_bomb();
    assert!(bomb.len() < Capacity::default().component_bytes);
    meanwhile(&host, host.load(bomb.clone())).await;
    // Nobody waits for what was given up; and what is compiled to its end is no plugin.
    let refusal = load_bytes(&host, "bomb", bomb, Limits::default()).await;
    assert_eq!(refusal.unwrap_err(), LoadError::NoHook);
}

#[tokio::test]
async fn fifty_megabytes_are_not_looked_at() {
    let mut large = assembled("verify");
    large.resize(50 << 20, 0);
    let refusal = load_bytes(&host(), "large", large, Limits::default()).await;
    let (size, limit) = (50 << 20, 4 << 20);
    assert_eq!(refusal.unwrap_err(), LoadError::TooLarge { size, limit });
}

/// A custom section behind the component, which claims to have so many bytes.
fn with_section(name: &str, content: &[u8], claimed: usize) -> Vec<u8> {
    let mut bytes = assembled("verify");
    bytes.push(0);
    // LEB128 in two bytes, which hold up to 16,383.
    bytes.extend([(claimed & 0x7f) as u8 | 0x80, (claimed >> 7) as u8]);
    bytes.push(name.len() as u8);
    bytes.extend(name.as_bytes());
    bytes.extend(content);
    bytes
}

#[tokio::test]
async fn what_a_section_says_of_the_component_is_not_believed() {
    let event = b"\x00\x1elanyard:policy/event@0.1.0-dev\x05\x00";
    for (name, content) in [
        ("component-name", &b"\xff\xff\xff\xff\xff"[..]),
        ("name", b"\x01\xff\xff\xff\xff\x0f"),
        ("producers", b"\xff\xfe\xfd"),
        ("component-type", event),
        ("component-type:lanyard:policy/event", event),
        ("package-docs", b"\x01{\"not\": json"),
    ] {
        let bytes = with_section(name, content, 1 + name.len() + content.len());
        let plugin = host().load(bytes).await.unwrap();
        assert_eq!(
            plugin.hooks().collect::<Vec<_>>(),
            [HookPoint::Directory],
            "{name}"
        );
        let terms = lanyard_wasm::Terms::new("test");
        answered(&plugin.directory(terms).await.unwrap()).await;
    }
    let within = load(&host(), "lying_names", Limits::default()).await;
    assert_eq!(begin(&within.unwrap()).await, Ok(Step::Abstain));
}

#[tokio::test]
async fn a_section_that_lies_about_its_length_is_not_valid() {
    let (name, content) = ("producers", b"\x00");
    let right = 1 + name.len() + content.len();
    for claimed in [0, 1, right - 1, right + 1, 16_383] {
        let bytes = with_section(name, content, claimed);
        let refusal = load_bytes(&host(), "test", bytes, Limits::default()).await;
        assert!(
            matches!(refusal, Err(LoadError::Invalid { .. })),
            "{claimed}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_recorded_secret_matches_nothing() {
    let directory = load(&host(), "verify", Limits::default()).await.unwrap();
    let mut replayed = sign_in("ada", "");
    replayed.password = Secret::redacted();
    assert_eq!(directory.begin(replayed).await.unwrap(), Step::Abstain);
}
