//! SCEP over the network: one certificate a request, however it comes and however often.

use std::time::SystemTime;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use lanyard_device::{
    enroll::Phase,
    http::{Answer, Call, Client},
};
use lanyard_mdm::{Challenge, profile::ScepPayload};
use lanyard_pki::{Certificate, Name, NameAttribute, PrivateKey};
use lanyard_scep::client::{Answer as Decision, Authorities, Enrollment};

use super::stage::{Journey, Stage};

/// GetCACert.
pub(super) async fn authorities(client: &Client, payload: &ScepPayload) -> Authorities {
    let url = format!("{}?operation=GetCACert", payload.url);
    let answer = client.send(&Call::get(url)).await.unwrap();
    Authorities::read(&answer.content_type, &answer.body).unwrap()
}

/// A request for this key, with the challenge of the payload.
pub(super) fn ask<'a>(
    authorities: &'a Authorities,
    key: &'a PrivateKey,
    payload: &ScepPayload,
) -> Enrollment<'a> {
    let subject = Name::new(&[(NameAttribute::CommonName, "a name of the device's choice")]);
    let challenge = payload
        .challenge
        .as_ref()
        .map(|challenge| challenge.expose());
    let now = SystemTime::now();
    Enrollment::new(authorities, key, &subject, challenge, rand::random(), now).unwrap()
}

/// PKIOperation by POST.
pub(super) async fn pki_operation(
    client: &Client,
    payload: &ScepPayload,
    message: &[u8],
) -> Answer {
    let url = format!("{}?operation=PKIOperation", payload.url);
    let call = Call::post(url, "application/x-pki-message", message.to_vec());
    client.send(&call).await.unwrap()
}

/// What comes of a request with a new key.
pub(super) async fn ask_anew(journey: &Journey, payload: &ScepPayload) -> Decision {
    let client = &journey.device.client;
    let authorities = authorities(client, payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, payload);
    let answer = pki_operation(client, payload, enrollment.message()).await;
    assert_eq!(answer.status, 200);
    enrollment.receive(&answer.body).unwrap()
}

/// The payload with another challenge.
pub(super) fn with_challenge(payload: &ScepPayload, challenge: Option<&Challenge>) -> ScepPayload {
    ScepPayload {
        challenge: challenge.cloned(),
        ..payload.clone()
    }
}

fn issued(decision: Decision) -> Certificate {
    match decision {
        Decision::Issued(certificate) => certificate,
        other => panic!("{other:?}"),
    }
}

async fn certificates(stage: &Stage) -> usize {
    stage.records().await["certificate"].len()
}

#[tokio::test]
async fn the_same_request_gets_the_same_certificate_and_another_key_none() {
    let stage = Stage::start();
    let mut journey = stage.at(Phase::Identify).await;
    let client = journey.device.client.clone();
    let payload = journey.interim_scep().clone();
    let authorities = authorities(&client, &payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, &payload);
    let mut serials = Vec::new();
    for _ in 0..3 {
        let answer = pki_operation(&client, &payload, enrollment.message()).await;
        let certificate = issued(enrollment.receive(&answer.body).unwrap());
        serials.push(certificate.serial().to_vec());
    }
    // The same transaction in a message written anew, as a client does that was restarted.
    let rewritten = ask(&authorities, &key, &payload);
    let answer = pki_operation(&client, &payload, rewritten.message()).await;
    let certificate = issued(rewritten.receive(&answer.body).unwrap());
    serials.push(certificate.serial().to_vec());
    serials.dedup();
    assert_eq!(serials.len(), 1);
    assert_eq!(certificates(&stage).await, 1);

    let before = stage.records().await;
    let decision = ask_anew(&journey, &payload).await;
    assert!(matches!(decision, Decision::Failed { .. }), "{decision:?}");
    assert_eq!(stage.records().await, before);

    // The journey's own request would be one with another key, too: a device in its place has to begin again.
    journey = stage.at(Phase::InterimCertificate).await;
    journey.reach(&stage, Phase::TokenUpdate).await;
    assert_eq!(certificates(&stage).await, 3);
}

#[tokio::test]
async fn sixteen_at_once_get_one_certificate() {
    let stage = Stage::start();
    let journey = stage.at(Phase::Identify).await;
    let client = journey.device.client.clone();
    let payload = journey.interim_scep().clone();
    let authorities = authorities(&client, &payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, &payload);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, payload) = (client.clone(), payload.clone());
        let message = enrollment.message().to_vec();
        calls.spawn(async move { pki_operation(&client, &payload, &message).await });
    }
    let mut serials = Vec::new();
    for answer in calls.join_all().await {
        assert_eq!(answer.status, 200);
        let certificate = issued(enrollment.receive(&answer.body).unwrap());
        serials.push(certificate.serial().to_vec());
    }
    assert_eq!(serials.len(), 16);
    serials.dedup();
    assert_eq!(serials.len(), 1);
    assert_eq!(certificates(&stage).await, 1);
}

#[tokio::test]
async fn a_get_is_as_good_as_a_post_in_every_spelling() {
    let stage = Stage::start();
    let journey = stage.at(Phase::Identify).await;
    let client = &journey.device.client;
    let payload = journey.interim_scep();
    let authorities = authorities(client, payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, payload);
    let message = STANDARD.encode(enrollment.message());
    let lines: Vec<_> = message
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let spellings = [
        ("encoded where it must be", percent(&message, "+/=")),
        (
            "encoded in lower case",
            message
                .replace('+', "%2b")
                .replace('/', "%2f")
                .replace('=', "%3d"),
        ),
        ("encoded letter by letter", percent(&message, &message)),
        ("encoded twice", percent(&percent(&message, "+/="), "%")),
        ("not encoded", message.clone()),
        ("folded", percent(&lines.join("\n"), "+/=\n")),
        (
            "without padding",
            percent(&STANDARD_NO_PAD.encode(enrollment.message()), "+/"),
        ),
        (
            "in the alphabet of URLs",
            URL_SAFE_NO_PAD.encode(enrollment.message()),
        ),
        (
            "with + for a space",
            percent(&message, "/=").replace('+', "%20"),
        ),
    ];
    let mut serials = Vec::new();
    for (spelling, message) in &spellings {
        let url = format!("{}?operation=PKIOperation&message={message}", payload.url);
        let answer = client.send(&Call::get(url)).await.unwrap();
        assert_eq!(answer.status, 200, "{spelling}");
        assert_eq!(
            answer.content_type, "application/x-pki-message",
            "{spelling}"
        );
        let certificate = issued(enrollment.receive(&answer.body).unwrap());
        serials.push(certificate.serial().to_vec());
    }
    let posted = pki_operation(client, payload, enrollment.message()).await;
    serials.push(
        issued(enrollment.receive(&posted.body).unwrap())
            .serial()
            .to_vec(),
    );
    serials.dedup();
    assert_eq!(serials.len(), 1);
    assert_eq!(certificates(&stage).await, 1);
}

/// Percent-encodes these characters.
fn percent(text: &str, characters: &str) -> String {
    text.chars()
        .map(|each| match characters.contains(each) {
            true => format!("%{:02X}", u32::from(each)),
            false => each.to_string(),
        })
        .collect()
}

#[tokio::test]
async fn an_address_that_sends_too_many_messages_is_put_off_before_they_are_read() {
    let rate = ("LANYARD_LIMITS_MESSAGES_PER_ADDRESS", "5".to_owned());
    let stage = Stage::with(&[rate]);
    let mut journey = stage.newcomer();
    journey.reach(&stage, Phase::Identify).await;
    let client = journey.device.client.clone();
    let payload = journey.interim_scep().clone();
    for _ in 0..4 {
        let answer = pki_operation(&client, &payload, b"not a message").await;
        assert_eq!(answer.status, 400);
    }
    let answer = pki_operation(&client, &payload, b"not a message").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        authorities(&client, &payload).await.all().len(),
        2,
        "what costs nothing is answered"
    );
}
