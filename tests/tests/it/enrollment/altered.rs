//! One bit of a protected message is turned: whoever receives it notices, and nothing changes.
//!
//! Every octet of every message of a real enrollment goes through the functions of the protocol crates that server and device
//! call; a sample of the octets goes over the network to the server as well, and its database stays as it is. The pkiMessage
//! is here in the sample alone: its reader needs the registration authority's key, and every octet of it is tried in `core/scep`.

use std::{fs, io::Write as _, path::Path, time::SystemTime};

use lanyard_device::{
    enroll::{Phase, decrypt},
    http::{Answer, Call},
    trust,
};
use lanyard_mdm::{
    document::Limits,
    ota::{self, Attestation, FactoryTrust, PhaseMessage},
    signature, signed,
};
use lanyard_pki::{Certificate, PrivateKey, Strength};
use lanyard_scep::client::Answer as Decision;

use super::{
    scep::{ask, authorities, pki_operation},
    stage::{Journey, Stage, post_message, put},
};

/// Every so many octets of a message go over the network: a prime, so that other bits of other fields are hit in each.
const SAMPLE: usize = 13;

/// What a flip was of, for the report that the test prints.
struct Sweep<'a> {
    name: &'a str,
    message: &'a [u8],
    /// Parts that nobody reads: copies of what the reader has from elsewhere.
    unread: &'a [&'a [u8]],
}

impl Sweep<'_> {
    fn of<'a>(name: &'a str, message: &'a [u8]) -> Sweep<'a> {
        Sweep {
            name,
            message,
            unread: &[],
        }
    }

    /// Asserts that each octet with one bit turned is noticed, but in the parts that nobody reads.
    fn every_octet(&self, accepts: impl Fn(&[u8]) -> bool) {
        assert!(accepts(self.message), "{}: as it came", self.name);
        let mut unread = 0;
        for (at, changed) in flips(self.message, 1) {
            if accepts(&changed) {
                assert!(self.is_unread(at), "{}: octet {at}", self.name);
                unread += 1;
            }
        }
        let octets = self.message.len();
        say(&format!(
            "{}: {octets} octets, one bit turned in each: {} noticed, {unread} in copies that nobody reads",
            self.name,
            octets - unread
        ));
    }

    fn is_unread(&self, at: usize) -> bool {
        self.unread.iter().any(|part| {
            let mut starts = self.message.windows(part.len());
            let start = starts.position(|window| window == *part).unwrap();
            (start..start + part.len()).contains(&at)
        })
    }
}

/// The message with one bit turned, at every `step`th octet.
fn flips(message: &[u8], step: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..message.len()).step_by(step).map(|at| {
        let mut changed = message.to_vec();
        changed[at] ^= 1 << (at % 8);
        (at, changed)
    })
}

/// To the terminal even where the test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn certificate(file: &Path) -> Certificate {
    let pem = fs::read(file).unwrap();
    Certificate::many_from_pem(&pem).unwrap().remove(0)
}

#[tokio::test]
async fn every_octet_that_the_server_reads() {
    let stage = Stage::start();
    let journey = stage.at(Phase::IdentityCertificate).await;
    let authority = certificate(&stage.site.data().join("authority/ca.pem"));
    let root = certificate(&stage.site.factory().join("root.pem"));
    let factory = FactoryTrust::new().with_root(root.clone()).unwrap();
    let read = |message: &[u8]| {
        let is_ours = |signer: &Certificate| {
            let by = authority.public_key();
            signer.verify_signed_by(by, Strength::Modern).is_ok()
        };
        ota::verify_message(message, Limits::default(), is_ours)
    };

    let message = journey.phase_2();
    Sweep {
        name: "phase 2",
        message: &message,
        unread: &[root.der()],
    }
    .every_octet(|message| {
        let Ok(PhaseMessage::Device {
            certificate, chain, ..
        }) = read(message)
        else {
            return false;
        };
        matches!(
            factory.attest(&certificate, &chain),
            Attestation::Trusted { .. }
        )
    });

    let message = journey.phase_3();
    Sweep::of("phase 3", &message)
        .every_octet(|message| matches!(read(message), Ok(PhaseMessage::Identity { .. })));

    let identity = journey.identity();
    let body = journey.authenticate();
    let header = signature::create(&body, &identity.key, &identity.certificate).unwrap();
    let ours = |header: &[u8], body: &[u8]| {
        let claim = signature::Claim::read(header);
        claim.is_ok_and(|claim| {
            claim
                .verify(body)
                .is_ok_and(|signer| signer == identity.certificate)
        })
    };
    Sweep::of("Mdm-Signature", header.as_bytes()).every_octet(|header| ours(header, &body));
    Sweep::of("check-in body", &body).every_octet(|body| ours(header.as_bytes(), body));
}

#[tokio::test]
async fn every_octet_that_the_device_reads() {
    let stage = Stage::start();
    let mut journey = stage.at(Phase::SignIn).await;
    let anchors = journey.device.client.anchors().to_vec();
    let copies: Vec<_> = anchors.iter().map(Certificate::der).collect();
    let open = |message: &[u8]| {
        let opened = signed::open(message).ok()?;
        trust::verify(&opened, &anchors, SystemTime::now()).ok()?;
        Some(opened)
    };

    let answer = journey.post_message(&journey.phase_2()).await;
    Sweep {
        name: "interim profile",
        message: &answer.body,
        unread: &copies,
    }
    .every_octet(|message| open(message).is_some());

    // The journey itself goes on with a session of its own.
    journey = stage.at(Phase::Identify).await;
    let payload = journey.interim_scep();
    let authorities = authorities(&journey.device.client, payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, payload);
    let answer = pki_operation(&journey.device.client, payload, enrollment.message()).await;
    Sweep::of("CertRep", &answer.body)
        .every_octet(|answer| matches!(enrollment.receive(answer), Ok(Decision::Issued(_))));

    journey = stage.at(Phase::InterimCertificate).await;
    let answer = journey.post_message(&journey.phase_3()).await;
    Sweep {
        name: "encrypted profile",
        message: &answer.body,
        unread: &copies,
    }
    .every_octet(|message| {
        open(message).is_some_and(|opened| decrypt(&opened, journey.interim()).is_ok())
    });
}

#[tokio::test]
async fn a_sample_over_the_network_changes_nothing() {
    let require = ("LANYARD_ENROLLMENT_DEVICE_CA", "require".to_owned());
    let stage = Stage::with(&[require]);
    let mut journey = stage.newcomer();
    // Without the copy of the root, in which a change would mean nothing.
    journey.device.factory.chain.pop();

    journey.reach(&stage, Phase::SignIn).await;
    phase_message(&stage, &journey, "phase 2", journey.phase_2()).await;
    journey.reach(&stage, Phase::Identify).await;
    pki_message(&stage, &journey).await;
    journey.reach(&stage, Phase::InterimCertificate).await;
    phase_message(&stage, &journey, "phase 3", journey.phase_3()).await;
    journey.reach(&stage, Phase::IdentityCertificate).await;
    let check_in = journey.management().check_in_url;
    signed_message(&stage, &journey, &check_in, journey.authenticate()).await;
    journey.reach(&stage, Phase::Authenticate).await;
    journey.subscribe(&stage).await;
    signed_message(&stage, &journey, &check_in, journey.token_update()).await;
    journey.reach(&stage, Phase::TokenUpdate).await;
    super::crash::queue(&stage, &journey, "DeviceInformation");
    let connect = journey.management().connect_url;
    signed_message(&stage, &journey, &connect, journey.idle()).await;
    let command = journey.connect(&journey.idle()).await.unwrap();
    let answer = journey.acknowledged(&command);
    signed_message(&stage, &journey, &connect, answer.clone()).await;
    assert!(journey.connect(&answer).await.is_none());
}

async fn phase_message(stage: &Stage, journey: &Journey, name: &str, message: Vec<u8>) {
    let before = stage.records().await;
    let url = &journey.service().url;
    let mut sent = 0;
    for (at, changed) in flips(&message, SAMPLE) {
        let answer = post_message(&journey.device.client, url, &changed).await;
        assert!(matches!(answer.status, 400 | 403), "{name}: octet {at}");
        sent += 1;
    }
    assert_eq!(stage.records().await, before, "{name}");
    say(&format!("{name} over the network: {sent} flips refused"));
}

async fn pki_message(stage: &Stage, journey: &Journey) {
    let before = stage.records().await;
    let (client, payload) = (&journey.device.client, journey.interim_scep());
    let authorities = authorities(client, payload).await;
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let enrollment = ask(&authorities, &key, payload);
    let (mut refused, mut failed) = (0, 0);
    for (at, changed) in flips(enrollment.message(), SAMPLE) {
        let answer = pki_operation(client, payload, &changed).await;
        match answer.status {
            400 => refused += 1,
            200 => failed += 1,
            other => panic!("octet {at}: {other}"),
        }
        let issued = matches!(enrollment.receive(&answer.body), Ok(Decision::Issued(_)));
        assert!(!issued, "octet {at}");
    }
    assert_eq!(stage.records().await, before, "pkiMessage");
    say(&format!(
        "pkiMessage over the network: {refused} flips refused, {failed} answered with FAILURE"
    ));
}

async fn signed_message(stage: &Stage, journey: &Journey, url: &str, body: Vec<u8>) {
    let before = stage.records().await;
    let identity = journey.identity();
    let header = signature::create(&body, &identity.key, &identity.certificate).unwrap();
    let send = async |body: &[u8], header: &str| -> Answer {
        put(&journey.device.client, url, "application/xml", body, header).await
    };
    let mut sent = 0;
    for (at, changed) in flips(&body, SAMPLE) {
        let answer = send(&changed, &header).await;
        assert_eq!(answer.status, 400, "{url}: octet {at} of the body");
        sent += 1;
    }
    for at in (0..header.len()).step_by(SAMPLE) {
        let mut changed = header.clone().into_bytes();
        // The lowest bit: what comes out still is a letter that a header may have.
        changed[at] ^= 1;
        let answer = send(&body, str::from_utf8(&changed).unwrap()).await;
        assert_eq!(answer.status, 400, "{url}: octet {at} of the header");
        sent += 1;
    }
    let call = Call::put(url, "application/xml", body);
    let unsigned = journey.device.client.send(&call).await.unwrap();
    assert_eq!(unsigned.status, 400, "{url}: without Mdm-Signature");
    assert_eq!(stage.records().await, before, "{url}");
    say(&format!("{url}: {sent} flips refused"));
}
