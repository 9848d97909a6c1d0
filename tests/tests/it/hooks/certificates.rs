//! ra-approval: may this certificate be issued, and how is it narrowed?

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lanyard_engine::Hooks;
use lanyard_mdm::profile::ScepPayload;
use lanyard_pki::{Certificate, KeyUsage};
use lanyard_policy::{
    Amendments, Approval, Binding, HookFailure, KeyType, KeyUsage as Kept, Purpose, RaApproval,
    RaChain, RaQuestion, RaVerdict, Reason,
};
use lanyard_scep::{FailInfo, client::Answer};
use lanyard_store::SessionState;

use super::{
    script::{Script, out_of_reach},
    workshop::{USER, Workshop, key, request},
};

type Verdict = Result<RaVerdict, HookFailure>;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn approve(validity_seconds: Option<u64>, key_usages: Option<&[Kept]>) -> Verdict {
    Ok(RaVerdict::Approve(Approval {
        amendments: Amendments {
            validity_seconds,
            key_usages: key_usages.map(|kept| BTreeSet::from_iter(kept.iter().copied())),
        },
        relied_on: Default::default(),
    }))
}

fn deny() -> Verdict {
    Ok(RaVerdict::Deny(Reason::new(
        "no-such-asset",
        "Unknown asset.",
    )))
}

fn pending() -> Verdict {
    Ok(RaVerdict::Pending(Reason::new(
        "wait",
        "Somebody looks at it.",
    )))
}

struct Desk {
    workshop: Workshop,
    scripts: Vec<Arc<Script<RaQuestion, RaVerdict>>>,
    udid: String,
    payload: ScepPayload,
}

impl Desk {
    /// A device that is about to ask for its interim certificate.
    async fn open(answers: &[Verdict]) -> Desk {
        let scripts = answers.iter().cloned().map(Script::new).map(Arc::new);
        let scripts: Vec<_> = scripts.collect();
        let bindings = scripts.iter().enumerate().map(|(number, script)| {
            let hook: Arc<dyn RaApproval> = Arc::clone(script) as _;
            Binding::new(format!("approval-{number}"), hook)
        });
        let hooks = Hooks {
            ra: RaChain::new(bindings.collect()),
            ..Hooks::default()
        };
        let workshop = Workshop::open(hooks, Vec::new()).await;
        let newcomer = workshop.newcomer().await;
        Desk {
            payload: workshop.identify(&newcomer.message).await.unwrap(),
            udid: newcomer.device.udid().to_owned(),
            workshop,
            scripts,
        }
    }

    async fn ask_once(&self) -> Answer {
        let (authorities, key) = (self.workshop.authorities(), key());
        self.workshop
            .ask(&request(&authorities, &key, &self.payload))
            .await
    }

    async fn state(&self) -> SessionState {
        let sessions = self
            .workshop
            .store
            .sessions_of_person("local-users", USER, 1)
            .await;
        sessions.unwrap()[0].state
    }
}

fn issued(answer: Answer) -> Certificate {
    match answer {
        Answer::Issued(certificate) => certificate,
        other => panic!("not issued: {other:?}"),
    }
}

#[tokio::test]
async fn the_question_is_about_the_session_and_not_about_the_request() {
    let desk = Desk::open(&[approve(None, None)]).await;
    let certificate = issued(desk.ask_once().await);
    let questions = desk.scripts[0].asked();
    let [question] = &questions[..] else {
        panic!("asked {} times", questions.len());
    };
    assert_eq!(question.purpose, Purpose::OtaInterim);
    assert_eq!(question.endpoint, "device");
    assert_eq!(question.csr.subject, "CN=whatever the request says");
    assert_eq!(
        (&question.csr.key_type, question.csr.key_bits),
        (&KeyType::Rsa, 2048)
    );
    assert_eq!(question.person.as_ref().unwrap().id, USER);
    assert_eq!(question.device.as_ref().unwrap().udid, desk.udid);
    assert!(certificate.subject().to_string().contains(&desk.udid));
    let recorded = serde_json::to_string(question).unwrap();
    let challenge = desk.payload.challenge.as_ref().unwrap().expose();
    assert!(
        !recorded.contains(challenge),
        "the question carries the challenge"
    );
}

#[tokio::test]
async fn a_denial_is_a_failure_and_no_certificate() {
    let nothing_left = approve(None, Some(&[]));
    let no_time_left = approve(Some(0), None);
    let one = approve(None, Some(&[Kept::DigitalSignature]));
    let other = approve(None, Some(&[Kept::KeyEncipherment]));
    // What an identity of ours never had cannot be what is left of it.
    let foreign = approve(None, Some(&[Kept::KeyAgreement]));
    for answers in [
        vec![deny()],
        vec![approve(None, None), deny()],
        vec![pending(), deny()],
        vec![nothing_left],
        vec![no_time_left],
        vec![one, other],
        vec![foreign],
    ] {
        let desk = Desk::open(&answers).await;
        match desk.ask_once().await {
            Answer::Failed {
                info: Some(FailInfo::BadRequest),
                text: Some(text),
            } => assert_eq!(text, "not authorised"),
            answer => panic!("{answers:?}: {answer:?}"),
        }
        assert_eq!(desk.state().await, SessionState::Identified, "{answers:?}");
    }
}

#[tokio::test]
async fn who_waits_or_fails_gets_a_certificate_in_the_end() {
    for answers in [
        vec![pending()],
        vec![out_of_reach()],
        vec![approve(None, None), pending()],
        vec![approve(None, None), out_of_reach()],
    ] {
        let desk = Desk::open(&answers).await;
        let (authorities, key) = (desk.workshop.authorities(), key());
        let request = request(&authorities, &key, &desk.payload);
        for _ in 0..2 {
            let answer = desk.workshop.ask(&request).await;
            assert!(matches!(answer, Answer::Pending), "{answers:?}: {answer:?}");
            assert_eq!(desk.state().await, SessionState::Identified);
        }
        let waiting = desk.workshop.approvals().await;
        let somebody_looks = answers.contains(&pending());
        assert_eq!(waiting.len(), usize::from(somebody_looks), "{answers:?}");
        for approval in waiting {
            desk.workshop.answer(&approval, true).await;
        }
        if !somebody_looks {
            for script in &desk.scripts {
                script.say(approve(None, None));
            }
        }
        let certificate = issued(desk.workshop.ask(&request).await);
        assert_eq!(desk.state().await, SessionState::Certified);
        for script in &desk.scripts {
            script.say(deny());
        }
        let again = issued(desk.workshop.ask(&request).await);
        assert_eq!(certificate, again, "what was issued stays issued");
    }
}

#[tokio::test]
async fn after_a_yes_sixteen_polls_and_requests_at_once_get_one_certificate() {
    let desk = Desk::open(&[pending()]).await;
    let (authorities, key) = (desk.workshop.authorities(), key());
    let ask = || request(&authorities, &key, &desk.payload);
    assert!(matches!(desk.workshop.ask(&ask()).await, Answer::Pending));
    let waiting = desk.workshop.approvals().await;
    desk.workshop.answer(&waiting[0], true).await;
    let attempts = (0..16).map(|n| {
        let mut attempt = ask();
        if n % 2 == 0 {
            attempt.poll(rand::random(), SystemTime::now()).unwrap();
        }
        attempt
    });
    let attempts: Vec<_> = attempts.collect();
    let answers = desk.workshop.ask_at_once(&attempts).await;
    let certificates: Vec<_> = answers.into_iter().map(issued).collect();
    assert!(certificates.iter().all(|each| *each == certificates[0]));
}

#[tokio::test]
async fn a_no_is_a_failure_and_the_rest_of_the_chain_is_asked_anew() {
    for (approved, later) in [(false, approve(None, None)), (true, deny())] {
        let desk = Desk::open(&[pending(), approve(None, None)]).await;
        let (authorities, key) = (desk.workshop.authorities(), key());
        let mut request = request(&authorities, &key, &desk.payload);
        assert!(matches!(desk.workshop.ask(&request).await, Answer::Pending));
        let waiting = desk.workshop.approvals().await;
        desk.workshop.answer(&waiting[0], approved).await;
        desk.scripts[1].say(later);
        for _ in 0..2 {
            request.poll(rand::random(), SystemTime::now()).unwrap();
            let answer = desk.workshop.ask(&request).await;
            let Answer::Failed { info, .. } = answer else {
                panic!("approved {approved}: {answer:?}");
            };
            assert_eq!(info, Some(FailInfo::BadRequest));
        }
        // After a no nobody else is asked, and after a denial nobody at all.
        let asked = 1 + usize::from(approved);
        assert_eq!(desk.scripts[1].asked().len(), asked, "a denial stands");
    }
}

#[tokio::test]
async fn a_certificates_answer_is_for_the_reason_that_was_given() {
    let desk = Desk::open(&[pending()]).await;
    let (authorities, key) = (desk.workshop.authorities(), key());
    let request = request(&authorities, &key, &desk.payload);
    assert!(matches!(desk.workshop.ask(&request).await, Answer::Pending));
    let waiting = desk.workshop.approvals().await;
    assert_eq!(waiting[0].asked.shown.facts["csr"]["key_bits"], 2048);
    assert_eq!(waiting[0].asked.shown.facts["person"]["id"], USER);
    desk.workshop.answer(&waiting[0], true).await;
    let other = Reason::new("other", "Something else turned up.");
    desk.scripts[0].say(Ok(RaVerdict::Pending(other)));
    for _ in 0..2 {
        assert!(matches!(desk.workshop.ask(&request).await, Answer::Pending));
    }
    let waiting = desk.workshop.approvals().await;
    assert_eq!(waiting.len(), 1, "asked again, once");
    assert_eq!(waiting[0].asked.code, "other");
    desk.workshop.answer(&waiting[0], true).await;
    issued(desk.workshop.ask(&request).await);
}

#[tokio::test]
async fn nobody_polls_for_what_they_did_not_ask() {
    let desk = Desk::open(&[pending()]).await;
    let (authorities, key, other) = (desk.workshop.authorities(), key(), self::key());
    let mut stranger = request(&authorities, &other, &desk.payload);
    stranger.poll(rand::random(), SystemTime::now()).unwrap();
    let refused = |answer| {
        matches!(
            answer,
            Answer::Failed {
                info: Some(FailInfo::BadRequest),
                ..
            }
        )
    };
    assert!(refused(desk.workshop.ask(&stranger).await), "nothing waits");

    let first = request(&authorities, &key, &desk.payload);
    assert!(matches!(desk.workshop.ask(&first).await, Answer::Pending));
    assert!(refused(desk.workshop.ask(&stranger).await), "another key's");
    let again = request(&authorities, &other, &desk.payload);
    assert!(
        refused(desk.workshop.ask(&again).await),
        "the challenge is spent"
    );
    let waiting = desk.workshop.approvals().await;
    assert_eq!(waiting.len(), 1);
    desk.workshop.answer(&waiting[0], true).await;
    assert!(
        refused(desk.workshop.ask(&stranger).await),
        "still another key's"
    );
}

#[tokio::test]
async fn amendments_narrow_and_never_widen() {
    let both = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
    let signs = [Kept::DigitalSignature];
    let all = [
        Kept::DigitalSignature,
        Kept::KeyEncipherment,
        Kept::KeyAgreement,
    ];
    for (answers, lifetime, usage) in [
        (vec![approve(None, None)], DAY, both),
        (vec![approve(Some(HOUR), None)], HOUR, both),
        (vec![approve(Some(365 * DAY), None)], DAY, both),
        (vec![approve(Some(u64::MAX), None)], DAY, both),
        (
            vec![approve(None, Some(&signs))],
            DAY,
            KeyUsage::DIGITAL_SIGNATURE,
        ),
        (vec![approve(None, Some(&all))], DAY, both),
        (
            vec![
                approve(Some(2 * HOUR), Some(&all)),
                approve(Some(HOUR), Some(&signs)),
            ],
            HOUR,
            KeyUsage::DIGITAL_SIGNATURE,
        ),
    ] {
        let desk = Desk::open(&answers).await;
        let certificate = issued(desk.ask_once().await);
        assert_eq!(certificate.key_usage(), Some(usage), "{answers:?}");
        let left = certificate
            .not_after()
            .duration_since(SystemTime::now())
            .unwrap();
        let lifetime = Duration::from_secs(lifetime);
        assert!(
            left <= lifetime && left > lifetime / 2,
            "{answers:?}: {left:?}"
        );
    }
}
