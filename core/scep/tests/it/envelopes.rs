//! Nothing that happens behind the private key can be told apart from outside: a captured request, put into a message
//! of one's own in any number of variants, always gets the same answer.

use lanyard_pki::cms::{Cipher, CmsError, Envelope};
use lanyard_scep::{Compatibility, FailInfo, RefusalReason};

use crate::{
    draft::{Draft, envelope, request},
    lab::{CLIENT, Lab, SHAPES, STRANGER},
    tlv::Node,
};

const ENCRYPTED_KEY: &[usize] = &[1, 0, 1, 0, 3];
const IV: &[usize] = &[1, 0, 2, 1, 1];
const ENCRYPTED: &[usize] = &[1, 0, 2, 2];

fn changed(captured: &[u8], change: impl FnOnce(&mut Node)) -> Vec<u8> {
    let mut envelope = Node::parse(captured);
    change(&mut envelope);
    envelope.der()
}

/// What an attacker who captured `captured` may send instead.
fn variants(lab: &Lab, captured: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let random_key = cms_key(captured, 0xa5);
    let other = envelope(lab, b"no request", Cipher::Aes128Cbc);
    let challenge = lab.challenge();
    let mut broken_request = request(&STRANGER, Some(&challenge));
    *broken_request.last_mut().unwrap() ^= 1;
    vec![
        ("as it was", captured.to_vec()),
        ("another RSA block", random_key),
        (
            "a flipped RSA block",
            changed(captured, |e| e.at(ENCRYPTED_KEY).contents()[200] ^= 1),
        ),
        (
            "a short RSA block",
            changed(captured, |e| e.at(ENCRYPTED_KEY).contents().truncate(100)),
        ),
        (
            "an RSA block above the modulus",
            changed(captured, |e| e.at(ENCRYPTED_KEY).contents().fill(0xff)),
        ),
        (
            "the key of another envelope",
            changed(captured, |e| {
                *e.at(ENCRYPTED_KEY) = Node::parse(&other).at(ENCRYPTED_KEY).clone();
            }),
        ),
        (
            "the key of a longer cipher",
            changed(captured, |e| {
                let long = envelope(lab, b"", Cipher::Aes256Cbc);
                *e.at(ENCRYPTED_KEY) = Node::parse(&long).at(ENCRYPTED_KEY).clone();
            }),
        ),
        (
            "broken padding",
            changed(captured, |e| {
                *e.at(ENCRYPTED).contents().last_mut().unwrap() ^= 1
            }),
        ),
        (
            "another last octet before the padding",
            changed(captured, |e| {
                let contents = e.at(ENCRYPTED).contents();
                let at = contents.len() - 17;
                contents[at] ^= 0x10;
            }),
        ),
        (
            "one block less",
            changed(captured, |e| {
                let contents = e.at(ENCRYPTED).contents();
                contents.truncate(contents.len() - 16);
            }),
        ),
        (
            "one octet less",
            changed(captured, |e| {
                e.at(ENCRYPTED).contents().pop();
            }),
        ),
        (
            "no content",
            changed(captured, |e| e.at(ENCRYPTED).contents().clear()),
        ),
        (
            "another beginning",
            changed(captured, |e| e.at(IV).contents()[0] ^= 1),
        ),
        ("no request inside", other),
        ("nothing inside", envelope(lab, b"", Cipher::Aes128Cbc)),
        (
            "a request by another key",
            envelope(lab, &request(&CLIENT, Some(&challenge)), Cipher::Aes128Cbc),
        ),
        (
            "a request whose own signature is broken",
            envelope(lab, &broken_request, Cipher::Aes128Cbc),
        ),
    ]
}

/// The envelope with an RSA block of the right size that nobody encrypted.
fn cms_key(captured: &[u8], octet: u8) -> Vec<u8> {
    changed(captured, |envelope| {
        let key = envelope.at(ENCRYPTED_KEY).contents();
        key[1..].fill(octet);
        key[0] = 0;
    })
}

#[test]
fn a_captured_request_in_the_message_of_another_tells_nothing() {
    for (shape, ec) in SHAPES {
        let lab = Lab::new(shape, ec, Compatibility::Compatible);
        let captured = Draft::new(&lab).content;
        let mut answers = Vec::new();
        for (what, content) in variants(&lab, &captured) {
            let mut draft = Draft::new(&lab).signed_by(&STRANGER);
            draft.content = content;
            let message = draft.sign();
            let reason = lab.refusal(&message);
            assert!(
                matches!(reason, RefusalReason::Envelope),
                "{what}: {reason:?}"
            );
            assert_eq!(reason.fail_info(), FailInfo::BadMessageCheck);
            assert_eq!(reason.fail_text(), "message check failed");
            answers.push((what, lab.serve(&message).unwrap()));
        }
        // With time and nonce fixed, the answers are even the same octets.
        for (what, answer) in &answers {
            assert_eq!(*answer, answers[0].1, "{what}");
        }
    }
}

#[test]
fn an_envelope_that_is_none_is_answered_like_one_that_does_not_open() {
    let lab = Lab::usual();
    for content in [&b""[..], b"rubbish", &request(&CLIENT, None)] {
        let mut draft = Draft::new(&lab);
        draft.content = content.to_vec();
        assert!(matches!(
            lab.refusal(&draft.sign()),
            RefusalReason::Envelope
        ));
    }
}

/// The error of the library says no more than the answer does.
#[test]
fn the_reason_for_the_log_has_no_reason_either() {
    let lab = Lab::usual();
    let captured = Draft::new(&lab).content;
    let certificate = lab.recipient();
    for (what, content) in variants(&lab, &captured) {
        let envelope = Envelope::parse(&content).unwrap();
        match envelope.decrypt(&certificate, &crate::lab::SIGNING) {
            Ok(_) | Err(CmsError::Undecryptable) => {}
            Err(other) => panic!("{what}: {other}"),
        }
    }
}
