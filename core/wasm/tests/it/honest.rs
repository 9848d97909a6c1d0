//! What a plugin that behaves can rely upon.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fixture::{begin, decision, host, load, sign_in};
use lanyard_policy::{
    Binding, Directory, DirectoryChain, Lookup, PersonRef, ResumeSignIn, Secret, Standing, Step,
};
use lanyard_wasm::Limits;

#[tokio::test]
async fn a_password_is_checked_and_never_seen() {
    let directory = load(&host(), "verify", Limits::default()).await.unwrap();
    let Step::Authenticated(person) = directory
        .begin(sign_in("ada", "correct horse"))
        .await
        .unwrap()
    else {
        panic!("the right password does not fit");
    };
    assert_eq!(person.directory, "verify", "the binding's name");
    assert_eq!(person.id, "somebody");
    for wrong in ["", "Correct horse", "correct horse "] {
        let step = directory.begin(sign_in("ada", wrong)).await.unwrap();
        assert_eq!(step, Step::Abstain, "{wrong:?}");
    }
}

#[tokio::test]
async fn every_function_of_the_hook_is_asked() {
    let directory = load(&host(), "verify", Limits::default()).await.unwrap();
    let resumed = directory
        .resume(ResumeSignIn {
            decision: decision(1),
            state: vec![0; 4096],
            input: BTreeMap::from([
                ("code".to_owned(), Secret::new("123456")),
                ("again".to_owned(), Secret::new("123456")),
            ]),
            remote_address: "192.0.2.1".to_owned(),
            user_agent: None,
        })
        .await;
    assert_eq!(resumed.unwrap(), Step::Abstain);
    for name in ["verify", "another"] {
        let standing = directory
            .lookup(Lookup {
                decision: decision(1),
                person: PersonRef {
                    directory: name.to_owned(),
                    id: "somebody".to_owned(),
                },
            })
            .await;
        assert_eq!(standing.unwrap(), Standing::Unknown);
    }
}

#[tokio::test]
async fn a_plugin_is_bound_like_any_directory() {
    let plugin = load(&host(), "verify", Limits::default()).await.unwrap();
    let chain = DirectoryChain::new(vec![Binding::new(
        "verify",
        Arc::new(plugin) as Arc<dyn Directory>,
    )]);
    let decided = chain.begin(sign_in("ada", "correct horse")).await.unwrap();
    assert!(matches!(decided.verdict, Step::Authenticated(_)));
    assert_eq!(decided.settled_by(), Some("verify"));
}

#[tokio::test]
async fn random_comes_from_the_decision_alone() {
    let here = load(&host(), "random", Limits::default()).await.unwrap();
    let elsewhere = load(&host(), "random", Limits::default()).await.unwrap();
    let drawn = begin(&here).await.unwrap();
    assert_eq!(begin(&here).await.unwrap(), drawn);
    assert_eq!(begin(&elsewhere).await.unwrap(), drawn);
    let mut other = sign_in("ada", "");
    other.decision = decision(2);
    assert_ne!(here.begin(other).await.unwrap(), drawn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_are_answered_than_fit_at_once() {
    let directory = load(&host(), "random", Limits::default()).await.unwrap();
    let expected = begin(&directory).await.unwrap();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { begin(&directory).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), expected);
    }
}
