//! The rules by which several answers become one.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use lanyard_policy::*;

/// Gives the same answer to whatever is asked.
struct Always<V>(Result<V, HookFailure>);

#[async_trait]
impl Directory for Always<Step> {
    async fn begin(&self, _: SignIn) -> Result<Step, HookFailure> {
        self.0.clone()
    }
    async fn resume(&self, _: ResumeSignIn) -> Result<Step, HookFailure> {
        self.0.clone()
    }
    async fn lookup(&self, _: Lookup) -> Result<Standing, HookFailure> {
        match self.0.clone()? {
            Step::Authenticated(person) => Ok(Standing::Active(person)),
            _ => Ok(Standing::Unknown),
        }
    }
}

#[async_trait]
impl EnrollmentApproval for Always<EnrollmentVerdict> {
    async fn decide(&self, _: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure> {
        self.0.clone()
    }
}

#[async_trait]
impl RaApproval for Always<RaVerdict> {
    async fn decide(&self, _: RaQuestion) -> Result<RaVerdict, HookFailure> {
        self.0.clone()
    }
}

#[async_trait]
impl CommandSelection for Always<SelectionVerdict> {
    async fn select(&self, _: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        self.0.clone()
    }
}

fn decision() -> Decision {
    Decision {
        id: "d".to_owned(),
        at_ms: 0,
        seed: [0; 32],
        meter: Default::default(),
    }
}

fn person(directory: &str) -> Person {
    Person {
        directory: directory.to_owned(),
        id: "ada".to_owned(),
        display_name: "Ada".to_owned(),
        attributes: BTreeMap::new(),
    }
}

fn down() -> HookFailure {
    HookFailure::Unavailable {
        detail: "down".to_owned(),
    }
}

fn reason(code: &str) -> Reason {
    Reason::new(code, "A sentence.")
}

fn named<V>(
    answers: impl IntoIterator<Item = Result<V, HookFailure>>,
) -> impl Iterator<Item = (String, Arc<Always<V>>)> {
    answers
        .into_iter()
        .zip(["a", "b", "c"])
        .map(|(answer, name)| (name.to_owned(), Arc::new(Always(answer))))
}

fn directories(answers: impl IntoIterator<Item = Result<Step, HookFailure>>) -> DirectoryChain {
    DirectoryChain::new(
        named(answers)
            .map(|(name, hook)| Binding::<dyn Directory>::new(name, hook))
            .collect(),
    )
}

async fn begin(
    answers: impl IntoIterator<Item = Result<Step, HookFailure>>,
) -> Result<Decided<Step>, ChainFailure> {
    let sign_in = SignIn {
        decision: decision(),
        user_name: "ada".to_owned(),
        password: Secret::new("x"),
        remote_address: "192.0.2.1".to_owned(),
        user_agent: None,
    };
    directories(answers).begin(sign_in).await
}

fn resume() -> ResumeSignIn {
    ResumeSignIn {
        decision: decision(),
        state: Vec::new(),
        input: BTreeMap::new(),
        remote_address: "192.0.2.1".to_owned(),
        user_agent: None,
    }
}

fn ask(state_bytes: usize) -> Step {
    Step::Ask {
        fields: vec![Field {
            name: "code".to_owned(),
            label: "Code".to_owned(),
            kind: FieldKind::OneTimeCode,
        }],
        state: vec![0; state_bytes],
    }
}

#[tokio::test]
async fn the_first_directory_that_knows_the_person_answers() {
    let found = Step::Authenticated(person("b"));
    let decided = begin([Ok(Step::Abstain), Ok(found.clone()), Err(down())])
        .await
        .unwrap();
    assert_eq!(decided.verdict, found);
    assert_eq!(decided.settled_by(), Some("b"));
    assert_eq!(decided.opinions.len(), 2);

    let nobody = begin([]).await.unwrap();
    assert_eq!(nobody.verdict, Step::Abstain);
    assert_eq!(nobody.settled_by(), None);
}

#[tokio::test]
async fn a_failing_directory_never_lets_a_later_one_answer() {
    let failure = begin([Err(down()), Ok(Step::Authenticated(person("b")))])
        .await
        .unwrap_err();
    assert_eq!((failure.binding.as_str(), failure.failure), ("a", down()));
}

#[tokio::test]
async fn a_directory_vouches_for_its_own_persons_only() {
    let mut nameless = person("a");
    nameless.id.clear();
    for step in [
        Step::Authenticated(person("local-users")),
        Step::Authenticated(nameless),
        ask(MAX_STATE_BYTES + 1),
        Step::Ask {
            fields: Vec::new(),
            state: Vec::new(),
        },
    ] {
        let failure = begin([Ok(step.clone())]).await.unwrap_err();
        assert_eq!(failure.failure.code(), "invalid-answer", "{step:?}");
        let failure = directories([Ok(step.clone())])
            .resume("a", resume())
            .await
            .unwrap_err();
        assert_eq!(failure.failure.code(), "invalid-answer", "{step:?}");
    }
    assert_eq!(
        begin([Ok(ask(MAX_STATE_BYTES))]).await.unwrap().verdict,
        ask(MAX_STATE_BYTES)
    );
}

#[tokio::test]
async fn resume_and_lookup_go_to_the_directory_they_name() {
    let chain = directories([Ok(Step::Abstain), Ok(Step::Authenticated(person("b")))]);
    let decided = chain.resume("b", resume()).await.unwrap();
    assert_eq!(decided.verdict, Step::Authenticated(person("b")));
    let lookup = |directory: &str, id: &str| Lookup {
        decision: decision(),
        person: PersonRef {
            directory: directory.to_owned(),
            id: id.to_owned(),
        },
    };
    let standing = |asked: Lookup| chain.lookup(asked);
    assert_eq!(
        standing(lookup("b", "ada")).await.unwrap(),
        Standing::Active(person("b"))
    );
    assert_eq!(
        standing(lookup("a", "ada")).await.unwrap(),
        Standing::Unknown
    );
    let other_person = standing(lookup("b", "bob")).await.unwrap_err();
    assert_eq!(other_person.failure.code(), "invalid-answer");
    let unbound = standing(lookup("gone", "ada")).await.unwrap_err();
    assert_eq!(unbound.failure.code(), "unavailable");
}

async fn enroll(
    answers: impl IntoIterator<Item = Result<EnrollmentVerdict, HookFailure>>,
) -> Result<EnrollmentVerdict, ChainFailure> {
    enroll_answered(answers, Answers::new()).await
}

/// The same, with what humans said before to bindings that asked to wait.
async fn enroll_answered(
    answers: impl IntoIterator<Item = Result<EnrollmentVerdict, HookFailure>>,
    humans: Answers,
) -> Result<EnrollmentVerdict, ChainFailure> {
    let chain = EnrollmentChain::new(
        named(answers)
            .map(|(name, hook)| Binding::<dyn EnrollmentApproval>::new(name, hook))
            .collect(),
    );
    let question = EnrollmentQuestion {
        decision: decision(),
        session: "s".to_owned(),
        person: person("a"),
        device: DeviceFacts::default(),
        attestation: Attestation::Apple,
        remote_address: "192.0.2.1".to_owned(),
    };
    let chain = chain.answered(humans);
    chain.decide(question).await.map(|decided| decided.verdict)
}

#[tokio::test]
async fn a_human_answers_one_pending_and_nothing_else() {
    let allow = || Ok(EnrollmentVerdict::Allow(Allowance::default()));
    let deny = |code: &str| Ok(EnrollmentVerdict::Deny(reason(code)));
    let wait = |code: &str| Ok(EnrollmentVerdict::Pending(reason(code)));
    let of = |binding: &str, code: &str| (binding.to_owned(), code.to_owned());
    let yes = |binding: &str, code: &str| {
        let approval = format!("of-{binding}");
        (of(binding, code), Answer::Approved { approval })
    };
    let no = |binding: &str, code: &str| (of(binding, code), Answer::Denied(reason("operator")));
    let relying_on = |bindings: &[&str]| {
        let facts = bindings
            .iter()
            .map(|name| (format!("approval/{name}"), format!("of-{name}").into()));
        Ok(EnrollmentVerdict::Allow(Allowance {
            relied_on: facts.collect(),
            ..Allowance::default()
        }))
    };
    let cases = [
        (
            "its pending is a yes",
            vec![wait("1"), allow()],
            vec![yes("a", "1")],
            relying_on(&["a"]),
        ),
        (
            "or a no",
            vec![wait("1"), allow()],
            vec![no("a", "1")],
            deny("operator"),
        ),
        (
            "each its own",
            vec![wait("1"), wait("2")],
            vec![yes("a", "1")],
            wait("2"),
        ),
        (
            "both",
            vec![wait("1"), wait("2")],
            vec![yes("a", "1"), yes("b", "2")],
            relying_on(&["a", "b"]),
        ),
        (
            "one no is enough",
            vec![wait("1"), wait("2")],
            vec![yes("a", "1"), no("b", "2")],
            deny("operator"),
        ),
        (
            "another's is none of it",
            vec![wait("1")],
            vec![yes("b", "1"), no("c", "1")],
            wait("1"),
        ),
        (
            "and so is another reason",
            vec![wait("1"), wait("2")],
            vec![yes("a", "2"), no("b", "1")],
            wait("1"),
        ),
        (
            "a denial on fresh facts stands",
            vec![deny("fresh")],
            vec![yes("a", "1")],
            deny("fresh"),
        ),
        (
            "nor is a no needed any more",
            vec![allow()],
            vec![no("a", "1")],
            allow(),
        ),
        (
            "a failure stays one",
            vec![wait("1"), Err(down())],
            vec![yes("a", "1"), yes("b", "2")],
            Err(down()),
        ),
    ];
    for (what, answers, humans, expected) in cases {
        let decided = enroll_answered(answers, humans.into_iter().collect()).await;
        assert_eq!(
            decided.map_err(|failure| failure.failure),
            expected,
            "{what}"
        );
    }
}

#[tokio::test]
async fn any_denial_denies_and_any_doubt_waits() {
    let allow = || Ok(EnrollmentVerdict::Allow(Allowance::default()));
    let deny = || Ok(EnrollmentVerdict::Deny(reason("deny")));
    let wait = |code: &str| Ok(EnrollmentVerdict::Pending(reason(code)));
    let cases = [
        (vec![], allow()),
        (vec![allow(), allow()], allow()),
        (vec![allow(), wait("1"), allow()], wait("1")),
        (vec![wait("1"), wait("2")], wait("1")),
        (vec![wait("1"), deny()], deny()),
        (vec![deny(), Err(down())], deny()),
        (vec![wait("1"), Err(down())], Err(down())),
        (vec![Err(down()), deny()], Err(down())),
    ];
    for (answers, expected) in cases {
        let decided = enroll(answers.clone()).await;
        assert_eq!(
            decided.map_err(|failure| failure.failure),
            expected,
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn settings_add_up_and_a_conflict_denies() {
    let allow = |name: &str, value: i64| {
        EnrollmentVerdict::Allow(Allowance::default().setting(name, value))
    };
    let together = Allowance::default().setting("ring", 1).setting("kiosk", 2);
    assert_eq!(
        enroll([
            Ok(allow("ring", 1)),
            Ok(allow("kiosk", 2)),
            Ok(allow("ring", 1))
        ])
        .await
        .unwrap(),
        EnrollmentVerdict::Allow(together)
    );
    let verdict = enroll([
        Ok(allow("ring", 1)),
        Ok(EnrollmentVerdict::Pending(reason("wait"))),
        Ok(allow("ring", 2)),
    ])
    .await
    .unwrap();
    let EnrollmentVerdict::Deny(denied) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(denied.code, "conflicting-terms");
    assert_eq!(denied.relied_on["conflict"], "ring".into());
}

fn ra_question(outcome: ChallengeOutcome, purpose: Purpose, signed: bool) -> RaQuestion {
    RaQuestion {
        decision: decision(),
        endpoint: "device".to_owned(),
        transaction: "t".to_owned(),
        purpose,
        csr: CsrFacts {
            subject: "CN=Ada".to_owned(),
            key_type: KeyType::Rsa,
            key_bits: 2048,
            spki_sha256: "00".repeat(32),
            requested_san: Vec::new(),
        },
        challenge: ChallengeFacts {
            outcome,
            issued_at_ms: None,
            expires_at_ms: None,
            claims: Facts::new(),
        },
        signer_serial: signed.then(|| "0a".to_owned()),
        session: None,
        device: None,
        person: None,
    }
}

async fn issue(
    answers: impl IntoIterator<Item = Result<RaVerdict, HookFailure>>,
    question: RaQuestion,
) -> Result<RaVerdict, HookFailure> {
    let chain = RaChain::new(
        named(answers)
            .map(|(name, hook)| Binding::<dyn RaApproval>::new(name, hook))
            .collect(),
    );
    chain
        .decide(question)
        .await
        .map(|decided| decided.verdict)
        .map_err(|failure| failure.failure)
}

#[tokio::test]
async fn with_no_hook_the_challenge_alone_counts() {
    let refused = || ChallengeOutcome::Refused {
        reason: "expired".to_owned(),
    };
    for (question, approved) in [
        (
            ra_question(ChallengeOutcome::Held, Purpose::Identity, false),
            true,
        ),
        (
            ra_question(ChallengeOutcome::Absent, Purpose::Renewal, true),
            true,
        ),
        (
            ra_question(ChallengeOutcome::Absent, Purpose::Renewal, false),
            false,
        ),
        (
            ra_question(ChallengeOutcome::Absent, Purpose::Identity, true),
            false,
        ),
        (ra_question(refused(), Purpose::OtaInterim, false), false),
    ] {
        let verdict = issue([], question.clone()).await.unwrap();
        assert_eq!(
            matches!(verdict, RaVerdict::Approve(_)),
            approved,
            "{question:?}"
        );
    }
}

#[tokio::test]
async fn amendments_narrow_and_never_widen() {
    let approve = |validity: Option<u64>, usages: Option<Vec<KeyUsage>>| {
        Ok(RaVerdict::Approve(Approval {
            amendments: Amendments {
                validity_seconds: validity,
                key_usages: usages.map(BTreeSet::from_iter),
            },
            relied_on: Facts::new(),
        }))
    };
    let held = || ra_question(ChallengeOutcome::Held, Purpose::Identity, false);
    let (sign, encipher) = (KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment);
    assert_eq!(
        issue(
            [
                approve(Some(60), Some(vec![sign, encipher])),
                approve(Some(600), None),
                approve(None, Some(vec![sign])),
            ],
            held(),
        )
        .await,
        approve(Some(60), Some(vec![sign]))
    );
    for nothing_left in [
        vec![
            approve(None, Some(vec![sign])),
            approve(None, Some(vec![encipher])),
        ],
        vec![approve(Some(0), None)],
    ] {
        let verdict = issue(nothing_left, held()).await.unwrap();
        assert!(
            matches!(&verdict, RaVerdict::Deny(reason) if reason.code == "conflicting-terms"),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn selection_takes_the_first_opinion_and_only_what_it_was_shown() {
    let select = async |answers: Vec<Result<SelectionVerdict, HookFailure>>| {
        let chain = SelectionChain::new(
            named(answers)
                .map(|(name, hook)| Binding::<dyn CommandSelection>::new(name, hook))
                .collect(),
        );
        let question = SelectionQuestion {
            decision: decision(),
            enrollment: "e".to_owned(),
            person: None,
            device: DeviceFacts::default(),
            queue: vec![QueuedCommand {
                uuid: "u-1".to_owned(),
                request_type: "ProfileList".to_owned(),
                queued_at_ms: 0,
                not_now: false,
            }],
            queue_length: 1,
            last_result: None,
        };
        chain.select(question).await.map(|decided| decided.verdict)
    };
    let shown = SelectionVerdict::Deliver("u-1".to_owned());
    assert_eq!(
        select(vec![
            Ok(SelectionVerdict::Abstain),
            Ok(shown.clone()),
            Err(down())
        ])
        .await
        .unwrap(),
        shown
    );
    assert_eq!(select(vec![]).await.unwrap(), SelectionVerdict::Abstain);
    let hidden = select(vec![Ok(SelectionVerdict::Deliver("u-9".to_owned()))]).await;
    assert_eq!(hidden.unwrap_err().failure.code(), "invalid-answer");
}
