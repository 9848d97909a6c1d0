use std::time::Duration;

use lanyard_pki::{
    Certificate, Digest, IssueError, PrivateKey, SignatureError, Strength,
    cms::{self, Attribute, Cipher, CmsError, Envelope, SignedMessage},
};
use lanyard_scep::{
    Compatibility, RefusalReason,
    client::{Answer, Enrollment},
};

use crate::{
    draft::{Draft, TRANSACTION_ID, envelope, request, self_signed},
    lab::{
        CLIENT, CLIENT_NONCE, ENDPOINT, Lab, SERIAL, SHAPES, STRANGER, claims, name, now, profile,
    },
    tlv::Node,
};

fn enroll(lab: &Lab, key: &PrivateKey) -> Certificate {
    let authorities = lab.authorities();
    let subject = name("as the client likes");
    let challenge = lab.challenge();
    let enrollment = Enrollment::new(
        &authorities,
        key,
        &subject,
        Some(&challenge),
        CLIENT_NONCE,
        now(),
    )
    .unwrap();
    let answer = lab.serve(enrollment.message()).unwrap();
    match enrollment.receive(&answer).unwrap() {
        Answer::Issued(certificate) => certificate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_mode_issues_what_the_server_decided() {
    for (shape, ec) in SHAPES {
        for compatibility in [Compatibility::Modern, Compatibility::Compatible] {
            let lab = Lab::new(shape, ec, compatibility);
            let certificate = enroll(&lab, &CLIENT);
            assert_eq!(certificate.public_key(), CLIENT.public_key());
            assert_eq!(*certificate.subject(), profile().subject);
            assert_eq!(certificate.serial(), SERIAL.octets());
            assert_eq!(certificate.key_usage(), Some(profile().key_usage));
            assert!(!certificate.is_authority());
            assert_eq!(certificate.not_before(), now() - Duration::from_secs(3600));
            assert_eq!(certificate.not_after(), now() + profile().lifetime);
            assert_eq!(certificate.issuer(), lab.endpoint.authority().subject());
            certificate
                .verify_signed_by(lab.authority.key().public_key(), Strength::Modern)
                .unwrap();
        }
    }
}

#[test]
fn the_caller_sees_what_the_challenge_says_and_what_is_asked() {
    let lab = Lab::usual();
    let authenticated = lab.hear(&Draft::new(&lab).sign()).unwrap();
    assert_eq!(*authenticated.claims(), claims());
    let request = authenticated.request();
    assert_eq!(*request.csr().subject(), name("as the client likes"));
    assert_eq!(request.exchange().transaction_id(), b"transaction");
    assert_eq!(*request.exchange().signer(), self_signed(&CLIENT));
    let transaction = request.transaction();
    assert_eq!(transaction.endpoint, ENDPOINT);
    assert_eq!(transaction.signer, CLIENT.public_key().fingerprint());
}

#[test]
fn a_repeated_request_is_the_same_transaction_and_another_key_is_another() {
    let lab = Lab::usual();
    let transaction = |message: &[u8]| lab.endpoint.receive(message).unwrap().transaction();
    let first = lab.receive(&Draft::new(&lab).sign());
    let again = lab.receive(&Draft::new(&lab).sign());
    assert_eq!(first.transaction(), again.transaction());
    assert_eq!(first.csr().digest(), again.csr().digest());
    let stranger = Draft::asking(&lab, &request(&STRANGER, Some(&lab.challenge())))
        .signed_by(&STRANGER)
        .sign();
    assert_ne!(transaction(&stranger), first.transaction());
    let other = Draft::new(&lab)
        .transaction(Attribute::printable(TRANSACTION_ID, b"another"))
        .sign();
    assert_ne!(transaction(&other), first.transaction());
}

#[test]
fn algorithms_of_the_request_are_those_of_the_answer() {
    let lab = Lab::modern();
    for digest in [
        Digest::Sha224,
        Digest::Sha256,
        Digest::Sha384,
        Digest::Sha512,
    ] {
        for cipher in [Cipher::Aes128Cbc, Cipher::Aes192Cbc, Cipher::Aes256Cbc] {
            assert_mirrored(&lab, digest, cipher);
        }
    }
    assert_mirrored(&Lab::usual(), Digest::Sha1, Cipher::TripleDesCbc);
}

fn assert_mirrored(lab: &Lab, digest: Digest, cipher: Cipher) {
    let mut draft = Draft::new(lab);
    draft.digest = digest;
    draft.content = envelope(lab, &request(&CLIENT, Some(&lab.challenge())), cipher);
    let answer = SignedMessage::parse(&lab.serve(&draft.sign()).unwrap()).unwrap();
    let verified = answer.verify(Strength::Sha1).unwrap();
    assert_eq!(verified.digest(), digest);
    let inner = Envelope::parse(verified.content()).unwrap();
    assert_eq!(inner.cipher(), cipher);
    inner.decrypt(&self_signed(&CLIENT), &CLIENT).unwrap();
}

#[test]
fn a_request_in_ber_is_read_at_every_layer() {
    let lab = Lab::usual();
    let mut draft = Draft::new(&lab);
    let mut inner = Node::parse(&draft.content);
    let encrypted = inner.at(&[1, 0, 2, 2]);
    let pieces = encrypted.contents().chunks(100);
    *encrypted = Node::constructed(
        0xa0,
        pieces.map(|piece| Node::primitive(0x04, piece)).collect(),
    );
    draft.content = inner.ber(64);
    let message = Node::parse(&draft.sign()).ber(64);
    lab.hear(&message).unwrap();
}

/// What Debian's scepclient does: it encrypts to every certificate of the bundle.
#[test]
fn we_may_be_one_recipient_of_several() {
    let lab = Lab::usual();
    let mut draft = Draft::new(&lab);
    let mut message = Node::parse(&draft.content);
    let recipients = message.at(&[1, 0, 1]);
    let other = cms::encrypt(b"", &self_signed(&STRANGER), Cipher::Aes128Cbc).unwrap();
    let other = Node::parse(&other).at(&[1, 0, 1, 0]).clone();
    recipients.children().insert(0, other);
    draft.content = message.der();
    lab.hear(&draft.sign()).unwrap();
}

#[test]
fn a_device_may_sign_with_the_certificate_that_it_has() {
    let lab = Lab::usual();
    let mut draft = Draft::new(&lab);
    draft.certificate = enroll(&lab, &CLIENT);
    let authenticated = lab.hear(&draft.sign()).unwrap();
    assert_eq!(
        *authenticated.request().exchange().signer(),
        draft.certificate
    );
}

#[test]
fn a_signers_certificate_is_by_its_own_key_or_by_this_authority() {
    let lab = Lab::usual();
    // An issued certificate of another endpoint's authority.
    let mut draft = Draft::new(&lab);
    draft.certificate = enroll(
        &Lab::new(SHAPES[0].0, false, Compatibility::Modern),
        &CLIENT,
    );
    assert!(matches!(
        lab.refusal(&draft.sign()),
        RefusalReason::Signature(CmsError::Signature(SignatureError::Mismatch))
    ));
    // One whose name was changed on the way, in the signer's identifier, too.
    let own = self_signed(&CLIENT);
    let at = own
        .der()
        .windows(10)
        .rposition(|window| window == b"throw-away")
        .unwrap();
    let mut changed = own.der().to_vec();
    changed[at] ^= 0x20;
    draft.certificate = Certificate::from_der(&changed).unwrap();
    assert!(matches!(
        lab.refusal(&draft.sign()),
        RefusalReason::Signature(CmsError::Signature(SignatureError::Mismatch))
    ));
}

#[test]
fn no_certificate_outlives_its_authority() {
    let lab = Lab::usual();
    let authorized = |lifetime| {
        let profile = lanyard_scep::CertificateProfile {
            lifetime,
            ..profile()
        };
        lab.hear(&Draft::new(&lab).sign()).unwrap().approve(profile)
    };
    let end = lab.endpoint.authority().not_after();
    for lifetime in [Duration::from_secs(10_000 * 86_400), Duration::MAX] {
        let certificate = lab.endpoint.issue(&authorized(lifetime), SERIAL, now());
        assert_eq!(certificate.unwrap().not_after(), end);
    }
    let after = end + Duration::from_secs(7200);
    assert!(matches!(
        lab.endpoint
            .issue(&authorized(Duration::from_secs(1)), SERIAL, after),
        Err(IssueError::Validity)
    ));
}

#[test]
fn what_waits_is_pending() {
    let lab = Lab::usual();
    let authorities = lab.authorities();
    let enrollment = lab.enrollment(&authorities, &CLIENT, CLIENT_NONCE);
    let authenticated = lab.hear(enrollment.message()).unwrap();
    let answer = lab
        .endpoint
        .pending(authenticated.request().exchange(), [1; 16], now())
        .unwrap();
    assert!(matches!(
        enrollment.receive(&answer).unwrap(),
        Answer::Pending
    ));
}
