//! What is replayed, foreign, expired or claimed by another is refused in every phase, and changes nothing.

use std::time::{Duration, SystemTime};

use lanyard_device::{
    enroll::Phase,
    factory::{Factory, Identity},
    http::Answer,
};
use lanyard_mdm::{Challenge, ota::DeviceAttributes};
use lanyard_pki::{Authority, KeyUsage, PrivateKey, SerialNumber, Template};
use lanyard_scep::client::Answer as Decision;

use super::{
    scep::{ask_anew, with_challenge},
    stage::{Journey, Stage},
};

/// The answer has this status, and no row is another than before.
pub(super) async fn refused(
    stage: &Stage,
    what: &str,
    status: u16,
    answer: impl Future<Output = Answer>,
) {
    let before = stage.records().await;
    assert_eq!(answer.await.status, status, "{what}");
    assert_eq!(stage.records().await, before, "{what}");
}

/// A request with this challenge is answered with FAILURE, and no row is another than before.
async fn not_issued(stage: &Stage, what: &str, journey: &Journey, challenge: Option<&Challenge>) {
    let payload = with_challenge(journey.interim_scep(), challenge);
    let before = stage.records().await;
    let decision = ask_anew(journey, &payload).await;
    assert!(
        matches!(decision, Decision::Failed { .. }),
        "{what}: {decision:?}"
    );
    assert_eq!(stage.records().await, before, "{what}");
}

#[tokio::test]
async fn in_phase_2() {
    let stage = Stage::start();
    let a = stage.at(Phase::SignIn).await;
    let b = stage.at(Phase::SignIn).await;
    let message = a.phase_2();
    assert_eq!(a.post_message(&message).await.status, 200);
    refused(&stage, "a replay", 400, a.post_message(&message)).await;
    let foreign = |challenge: Option<&Challenge>| {
        let attributes = DeviceAttributes {
            challenge: challenge.cloned(),
            ..b.attributes()
        };
        b.device.phase_2_message(&attributes).unwrap()
    };
    let made_up = Challenge::new("no challenge of this server");
    let further = stage.at(Phase::Identify).await;
    let challenges = [
        ("a challenge of another session", &a.service().challenge),
        ("a made-up challenge", &Some(made_up)),
        ("no challenge", &None),
        ("a challenge for SCEP", &further.interim_scep().challenge),
    ];
    for (what, challenge) in challenges {
        let message = foreign(challenge.as_ref());
        refused(&stage, what, 400, b.post_message(&message)).await;
    }
    // What was refused has used nothing up.
    assert_eq!(b.post_message(&b.phase_2()).await.status, 200);

    let late = stage.at(Phase::SignIn).await;
    stage.expire_session().await;
    let message = late.phase_2();
    refused(
        &stage,
        "an expired session",
        400,
        late.post_message(&message),
    )
    .await;
}

#[tokio::test]
async fn in_scep() {
    let stage = Stage::start();
    let spent = stage.at(Phase::Profile).await;
    let fresh = stage.at(Phase::Identify).await;
    let identity = &spent.profile().scep.challenge;
    let made_up = Challenge::new("no challenge of this server");
    let challenges = [
        ("a challenge used before", &spent.interim_scep().challenge),
        ("a challenge for phase 2", &fresh.service().challenge),
        ("a made-up challenge", &Some(made_up)),
        ("no challenge", &None),
    ];
    for (what, challenge) in challenges {
        not_issued(&stage, what, &fresh, challenge.as_ref()).await;
    }
    // The one that is still good is good for one key.
    let decision = ask_anew(
        &fresh,
        &with_challenge(fresh.interim_scep(), identity.as_ref()),
    )
    .await;
    assert!(matches!(decision, Decision::Issued(_)), "{decision:?}");
    not_issued(&stage, "a second key", &spent, identity.as_ref()).await;

    let late = stage.at(Phase::Identify).await;
    stage.expire_session().await;
    let challenge = late.interim_scep().challenge.as_ref();
    not_issued(&stage, "an expired session", &late, challenge).await;
    let late = stage.at(Phase::Profile).await;
    stage.expire_session().await;
    let challenge = late.profile().scep.challenge.as_ref();
    not_issued(&stage, "an expired session", &late, challenge).await;
}

#[tokio::test]
async fn in_phase_3() {
    let stage = Stage::start();
    let a = stage.at(Phase::IdentityCertificate).await;
    let mut b = stage.at(Phase::InterimCertificate).await;
    let of = |attributes: &DeviceAttributes, identity: &Identity| {
        b.device.phase_3_message(attributes, identity).unwrap()
    };
    let mut other_serial = b.attributes();
    other_serial.serial = a.attributes().serial;
    let messages = [
        ("a replay", a.phase_3()),
        ("another device's UDID", of(&a.attributes(), b.interim())),
        ("another serial number", of(&other_serial, b.interim())),
        (
            "another device's certificate",
            of(&b.attributes(), a.interim()),
        ),
        ("a management identity", of(&a.attributes(), a.identity())),
        (
            "the factory identity",
            of(&b.attributes(), &b.device.factory),
        ),
        ("an imitation", of(&b.attributes(), &imitation(b.interim()))),
    ];
    for (what, message) in messages {
        refused(&stage, what, 400, b.post_message(&message)).await;
    }
    // What was refused has used nothing up.
    b.reach(&stage, Phase::Profile).await;

    let late = stage.at(Phase::InterimCertificate).await;
    stage.expire_certificate().await;
    let message = late.phase_3();
    refused(
        &stage,
        "an expired certificate",
        400,
        late.post_message(&message),
    )
    .await;
    let late = stage.at(Phase::InterimCertificate).await;
    stage.expire_session().await;
    let message = late.phase_3();
    refused(
        &stage,
        "an expired session",
        400,
        late.post_message(&message),
    )
    .await;
}

#[tokio::test]
async fn in_check_in_and_connect() {
    let stage = Stage::start();
    let a = stage.at(Phase::TokenUpdate).await;
    let b = stage.at(Phase::TokenUpdate).await;
    let imitated = imitation(a.identity());
    let speakers = [
        ("its interim certificate", a.interim()),
        ("another device's identity", b.identity()),
        ("its factory identity", &a.device.factory),
        ("an imitation", &imitated),
    ];
    for (what, identity) in speakers {
        by(&stage, what, &a, identity).await;
    }
    let queued = super::crash::queue(&stage, &a, "DeviceInformation");
    let command = a.connect(&a.idle()).await.unwrap();
    assert_eq!(command.uuid(), queued);

    let late = stage.at(Phase::TokenUpdate).await;
    stage.expire_certificate().await;
    by(&stage, "an expired identity", &late, late.identity()).await;
}

/// Everything that the device says is refused if this identity says it.
pub(super) async fn by(stage: &Stage, what: &str, journey: &Journey, identity: &Identity) {
    let check_out = {
        let sender = journey.device.sender().unwrap();
        journey.management().check_out(sender).unwrap().to_xml()
    };
    for message in [
        journey.authenticate(),
        journey.token_update(),
        check_out.to_vec(),
    ] {
        refused(stage, what, 400, journey.send_as(&message, identity)).await;
    }
    let report = journey.idle();
    refused(stage, what, 400, journey.connect_as(&report, identity)).await;
}

/// An identity whose certificate says the same, but which nobody issued.
fn imitation(of: &Identity) -> Identity {
    let now = SystemTime::now();
    let template = Template {
        subject: of.certificate.subject().clone(),
        serial: SerialNumber::from_random(rand::random()),
        not_before: now - Duration::from_secs(60),
        not_after: of.certificate.not_after(),
        key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT),
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    };
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let made = Authority::self_signed(key.clone(), &template).unwrap();
    Identity {
        certificate: made.certificate().clone(),
        chain: Vec::new(),
        key,
    }
}

#[tokio::test]
async fn a_device_of_an_unknown_factory_is_a_fact_or_refused() {
    let elsewhere = Factory::create(SystemTime::now()).unwrap();
    let require = ("LANYARD_ENROLLMENT_DEVICE_CA", "require".to_owned());
    let strict = Stage::with(&[require]);
    let mut journey = strict.newcomer();
    journey.device.factory = elsewhere.issue(SystemTime::now()).unwrap();
    journey.reach(&strict, Phase::SignIn).await;
    let message = journey.phase_2();
    refused(
        &strict,
        "an unknown factory",
        403,
        journey.post_message(&message),
    )
    .await;
    // The person may still take another device.
    strict.at(Phase::Identify).await;

    let lenient = Stage::start();
    let mut journey = lenient.newcomer();
    journey.device.factory = elsewhere.issue(SystemTime::now()).unwrap();
    journey.reach(&lenient, Phase::Identify).await;
    let sessions = &lenient.records().await["enrollment_session"];
    // PostgreSQL spaces what it shows.
    let sessions: Vec<_> = sessions
        .iter()
        .map(|row| row.replace("\": ", "\":"))
        .collect();
    let reason = "is not a trusted factory root";
    assert!(
        sessions.len() == 1 && sessions[0].contains(r#"{"none":{"reason":"the root "#),
        "{sessions:?}"
    );
    assert!(sessions[0].contains(reason), "{sessions:?}");
}
