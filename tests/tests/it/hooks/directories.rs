//! Directories in a chain.

use std::{collections::BTreeMap, sync::Arc};

use lanyard_engine::{Hooks, RefusalKind, SignInRefused};
use lanyard_policy::{Binding, Directory, HookFailure, Person, Reason, SignIn, Step};

use super::{
    script::{Script, out_of_reach},
    workshop::{PASSWORD, USER, Workshop},
};

type Answer = Result<Step, HookFailure>;

fn person(directory: &str) -> Answer {
    Ok(Step::Authenticated(Person {
        directory: directory.to_owned(),
        id: "p-1".to_owned(),
        display_name: "Person One".to_owned(),
        attributes: BTreeMap::new(),
    }))
}

fn rejected() -> Answer {
    Ok(Step::Rejected(Reason::new("not-here", "Not here.")))
}

/// What a sign-in comes to when two directories answer so, before the native one.
async fn outcome(first: Answer, second: Answer) -> (Result<String, SignInRefused>, usize) {
    let scripts = [first, second].map(|answer| Arc::new(Script::<SignIn, Step>::new(answer)));
    let [one, two] = scripts.clone();
    let directories: Vec<Binding<dyn Directory>> =
        vec![Binding::new("one", one), Binding::new("two", two)];
    let workshop = Workshop::open(Hooks::default(), directories).await;
    let signed_in = workshop.sign_in().await;
    for question in scripts.iter().flat_map(|script| script.asked()) {
        assert_eq!(question.user_name, USER);
        assert_eq!(question.password.expose(), PASSWORD);
        assert_eq!(question.remote_address, "192.0.2.7");
    }
    let asked = scripts.iter().filter(|script| !script.asked().is_empty());
    let asked = asked.count();
    if let Err(refused) = signed_in {
        return (Err(refused), asked);
    }
    for (directory, person) in [("one", "p-1"), ("two", "p-1"), ("local-users", USER)] {
        let sessions = workshop
            .store
            .sessions_of_person(directory, person, 1)
            .await;
        if !sessions.unwrap().is_empty() {
            return (Ok(directory.to_owned()), asked);
        }
    }
    panic!("signed in, and no session is there");
}

#[tokio::test]
async fn the_first_directory_that_does_not_abstain_decides() {
    for (first, second, vouches, expected_asked) in [
        (person("one"), person("two"), "one", 1),
        (Ok(Step::Abstain), person("two"), "two", 2),
        (Ok(Step::Abstain), Ok(Step::Abstain), "local-users", 2),
    ] {
        let (signed_in, asked) = outcome(first, second).await;
        assert_eq!(signed_in.unwrap(), vouches);
        assert_eq!(asked, expected_asked);
    }
}

#[tokio::test]
async fn a_rejection_and_a_failure_end_the_sign_in_before_the_next_directory() {
    let rejects = |refused: &SignInRefused| matches!(refused, SignInRefused::Rejected { .. });
    let cannot_tell =
        |refused: &SignInRefused| matches!(refused, SignInRefused::Unavailable { .. });
    for (first, is_right) in [
        (rejected(), &rejects as &dyn Fn(&SignInRefused) -> bool),
        (out_of_reach(), &cannot_tell),
        // Nobody vouches for persons of another directory.
        (person("two"), &cannot_tell),
    ] {
        let shown = format!("{first:?}");
        let (signed_in, asked) = outcome(first, person("two")).await;
        let refused = signed_in.unwrap_err();
        assert!(is_right(&refused), "{shown}: {refused}");
        assert_eq!(asked, 1, "{shown}");
    }
}

#[tokio::test]
async fn a_person_who_was_disabled_meanwhile_gets_no_profile() {
    let workshop = Workshop::open(Hooks::default(), Vec::new()).await;
    let newcomer = workshop.newcomer().await;
    let payload = workshop.identify(&newcomer.message).await.unwrap();
    let interim = workshop.certify(&payload).await;
    workshop.engine.set_disabled(USER, true).await.unwrap();
    let refused = workshop.fetch_profile(&newcomer.device, &interim).await;
    assert_eq!(refused.unwrap_err().kind(), RefusalKind::Forbidden);
    // And it stays so: the session has ended.
    workshop.engine.set_disabled(USER, false).await.unwrap();
    let refused = workshop.fetch_profile(&newcomer.device, &interim).await;
    assert_eq!(refused.unwrap_err().kind(), RefusalKind::BadRequest);
}
