use std::time::Duration;

use lanyard_pki::seal::{KeyRing, SealingKey};
use lanyard_scep::{
    ChallengeError, ChallengeKey, Claims, FailInfo, RefusalReason,
    client::{Answer, Enrollment},
};

use crate::{
    draft::{Draft, request},
    lab::{CLIENT, CLIENT_NONCE, ENDPOINT, Lab, claims, name, now},
};

/// Each challenge that is not accepted, with what the log says; the client is told the same of all.
fn refused(lab: &Lab) -> Vec<(Option<String>, ChallengeError)> {
    let expired = Claims {
        expires: now(),
        ..claims()
    };
    let good = lab.challenge();
    let (claims_part, tag) = good.rsplit_once('.').unwrap();
    let stranger = ChallengeKey::new(KeyRing::from(SealingKey::generate()).derive("challenges"));
    let minted = |key: &ChallengeKey, endpoint, claims| key.mint(endpoint, claims).to_string();
    vec![
        (None, ChallengeError::Missing),
        (Some(String::new()), ChallengeError::Foreign),
        (Some("secret".into()), ChallengeError::Foreign),
        (Some("x".repeat(4000)), ChallengeError::Foreign),
        (Some(format!("{good}=")), ChallengeError::Foreign),
        (Some(format!(" {good}")), ChallengeError::Foreign),
        (Some(format!("{claims_part}.")), ChallengeError::Foreign),
        (Some(format!("v1..{tag}")), ChallengeError::Foreign),
        (
            Some(minted(&stranger, ENDPOINT, &claims())),
            ChallengeError::Foreign,
        ),
        (
            Some(minted(&lab.challenges, "other", &claims())),
            ChallengeError::Foreign,
        ),
        (
            Some(minted(&lab.challenges, ENDPOINT, &expired)),
            ChallengeError::Expired,
        ),
    ]
}

#[test]
fn a_challenge_is_ours_for_this_endpoint_and_alive() {
    let lab = Lab::usual();
    for (challenge, expected) in refused(&lab) {
        let message = Draft::asking(&lab, &request(&CLIENT, challenge.as_deref())).sign();
        let reason = lab.refusal(&message);
        assert!(
            matches!(reason, RefusalReason::Challenge(error) if error == expected),
            "{challenge:?}: {reason:?}"
        );
    }
}

#[test]
fn the_client_is_told_the_same_of_every_challenge() {
    let lab = Lab::usual();
    let authorities = lab.authorities();
    let mut lengths = Vec::new();
    for (challenge, _) in refused(&lab) {
        let enrollment = Enrollment::new(
            &authorities,
            &CLIENT,
            &name("device"),
            challenge.as_deref(),
            CLIENT_NONCE,
            now(),
        )
        .unwrap();
        let answer = lab.serve(enrollment.message()).unwrap();
        lengths.push(answer.len());
        let Answer::Failed { info, text } = enrollment.receive(&answer).unwrap() else {
            panic!("not refused");
        };
        assert_eq!(info, Some(FailInfo::BadRequest));
        assert_eq!(text.as_deref(), Some("not authorised"));
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]));
}

#[test]
fn a_rejection_sounds_like_a_wrong_challenge() {
    let lab = Lab::usual();
    let refusal = lab
        .hear(&Draft::new(&lab).sign())
        .unwrap()
        .reject("the person left".to_owned());
    assert_eq!(refusal.reason().fail_info(), FailInfo::BadRequest);
    assert_eq!(refusal.reason().fail_text(), "not authorised");
    assert_eq!(refusal.reason().to_string(), "rejected: the person left");
}

/// A challenge is never in what may be logged.
#[test]
fn challenges_are_not_printed() {
    let lab = Lab::usual();
    let challenge = lab.challenge();
    let message = Draft::new(&lab).sign();
    let received = lab.endpoint.receive(&message).unwrap().request().unwrap();
    let received = format!("{received:?}");
    let heard = lab.hear(&message).unwrap();
    let heard = format!("{heard:?}");
    let refused = Draft::asking(&lab, &request(&CLIENT, Some(&format!("{challenge}A")))).sign();
    let refused = format!("{:?}", lab.refusal(&refused));
    let tag = challenge.rsplit_once('.').unwrap().1;
    let octets = format!("{:?}", tag.as_bytes());
    let octets = octets.trim_matches(['[', ']']);
    for printed in [received, heard, refused, format!("{:?}", lab.challenges)] {
        assert!(
            !printed.contains(tag) && !printed.contains(octets),
            "{printed}"
        );
    }
}

#[test]
fn a_challenge_lives_to_its_last_second() {
    let lab = Lab::usual();
    let verify = |time| {
        lab.challenges
            .verify(ENDPOINT, &lab.challenge(), time)
            .map(|_| ())
    };
    let end = claims().expires;
    assert_eq!(verify(end - Duration::from_millis(1)), Ok(()));
    assert_eq!(verify(end), Err(ChallengeError::Expired));
}
