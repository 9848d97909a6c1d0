//! The stand-in's authority.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use lanyard_mdm::Challenge;
use lanyard_mdm::profile::{Label, Payload, ScepPayload, Settings};
use lanyard_pki::seal::{KeyRing, SealingKey};
use lanyard_pki::{Authority, Digest, KeyUsage, Name, NameAttribute, PrivateKey, Template};
use lanyard_scep::{
    CertificateProfile, ChallengeKey, Claims, Compatibility, Endpoint, FailInfo, Mode, Operation,
    Received,
};
use uuid::Uuid;

use super::{Mistake, Reply, Script};

pub(super) static SCEP: LazyLock<Endpoint> = LazyLock::new(|| {
    let now = SystemTime::now();
    let template = Template {
        subject: Name::new(&[(NameAttribute::CommonName, "Stand-in CA")]),
        serial: lanyard_pki::SerialNumber::from_random([7; 16]),
        not_before: now - Duration::from_secs(3600),
        not_after: now + Duration::from_secs(24 * 3600),
        key_usage: KeyUsage::KEY_CERT_SIGN
            .and(KeyUsage::DIGITAL_SIGNATURE)
            .and(KeyUsage::KEY_ENCIPHERMENT),
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: Some(0),
        permitted_hosts: Vec::new(),
    };
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let authority = Authority::self_signed(key, &template).unwrap();
    let compatible = Compatibility::Modern;
    Endpoint::new("x", authority, Vec::new(), Mode::AuthorityOnly, compatible).unwrap()
});
static CHALLENGES: LazyLock<ChallengeKey> =
    LazyLock::new(|| ChallengeKey::new(KeyRing::from(SealingKey::generate()).derive("challenges")));

pub(super) fn payload(origin: &str, uuid: Uuid, mistake: Option<Mistake>) -> Payload {
    let claims = Claims {
        id: *Uuid::new_v4().as_bytes(),
        binding: "stand-in".to_owned(),
        expires: SystemTime::now() + Duration::from_secs(600),
    };
    let challenge = Challenge::new(CHALLENGES.mint("x", &claims).as_str());
    let mut scep = ScepPayload::new(format!("{origin}/scep"), challenge);
    scep.name = Some("Stand-in".to_owned());
    scep.subject = vec![vec![("CN".to_owned(), "a device".to_owned())]];
    scep.retry_delay = Some(0);
    scep.ca_fingerprint = Some(match mistake {
        Some(Mistake::WrongFingerprint) => vec![0; 20],
        _ => Digest::Sha1.of(SCEP.authority().der()),
    });
    Payload {
        label: Label::new("org.example.identity", uuid),
        settings: Settings::Scep(scep),
    }
}

pub(super) fn answer(query: &str, body: &[u8], script: &mut Script) -> Reply {
    match lanyard_scep::operation(query).unwrap() {
        Operation::GetCaCaps => {
            let capabilities = match script.mistake {
                Some(Mistake::NoCapabilities) => "POSTPKIOperation\n",
                _ => SCEP.capabilities(),
            };
            (200, "text/plain", capabilities.as_bytes().to_vec())
        }
        Operation::GetCaCert => {
            let authorities = SCEP.authorities();
            (200, authorities.content_type, authorities.body)
        }
        Operation::PkiOperation => (
            200,
            "application/x-pki-message",
            pki_operation(body, script),
        ),
    }
}

fn pki_operation(body: &[u8], script: &mut Script) -> Vec<u8> {
    let (now, nonce) = (SystemTime::now(), *Uuid::new_v4().as_bytes());
    let received = SCEP.receive(body).unwrap();
    let exchange = received.exchange().clone();
    let request = match received {
        Received::Request(request) => {
            script.request = request.csr().der().to_vec();
            Ok(*request)
        }
        Received::Poll(poll) => poll.resume(&script.request),
    };
    let authenticated = request.and_then(|request| request.authenticate(&CHALLENGES, now));
    match (script.mistake, authenticated) {
        (Some(Mistake::ScepRefuses), _) | (_, Err(_)) => SCEP.failure(
            &exchange,
            FailInfo::BadRequest,
            "not authorised",
            nonce,
            now,
        ),
        (Some(Mistake::ScepPendsOnce), Ok(_)) if !script.pended => {
            script.pended = true;
            SCEP.pending(&exchange, nonce, now)
        }
        (_, Ok(authenticated)) => {
            let authorized = authenticated.approve(CertificateProfile {
                subject: Name::new(&[(NameAttribute::CommonName, "as the server says")]),
                alternative_names: Vec::new(),
                key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT),
                extended_key_usage: Vec::new(),
                lifetime: Duration::from_secs(3600),
            });
            let serial = lanyard_pki::SerialNumber::from_random(*Uuid::new_v4().as_bytes());
            let certificate = SCEP.issue(&authorized, serial, now).unwrap();
            SCEP.success(&exchange, &certificate, nonce, now)
        }
    }
    .unwrap()
}
