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
async fn who_waits_or_fails_is_asked_again_when_the_same_request_comes() {
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
        for script in &desk.scripts {
            script.say(approve(None, None));
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
