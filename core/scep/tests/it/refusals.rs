use lanyard_pki::{
    Authority, Digest, ObjectIdentifier, PrivateKey,
    cms::{Attribute, Cipher, CmsError},
};
use lanyard_scep::{FailInfo, Refusal, RefusalReason};

use crate::{
    draft::{Draft, MESSAGE_TYPE, SENDER_NONCE, TRANSACTION_ID, envelope, request, self_signed},
    lab::{CLIENT, Lab, STRANGER, both, template},
    tlv::Node,
};

fn unanswerable(lab: &Lab, message: &[u8]) -> RefusalReason {
    match lab.hear(message) {
        Err(Refusal::Unanswerable(reason)) => reason,
        Err(Refusal::Failed { reason, .. }) => panic!("answered: {reason:?}"),
        Ok(_) => panic!("accepted"),
    }
}

/// CVE-2026-30836 was a server that read an 18 and then skipped the challenge.
#[test]
fn only_a_request_and_a_poll_are_served() {
    let lab = Lab::usual();
    let poll = Draft::new(&lab)
        .message_type(Attribute::printable(MESSAGE_TYPE, b"20"))
        .sign();
    let reason = lab.refusal(&poll);
    assert!(
        matches!(reason, RefusalReason::UnknownTransaction),
        "nothing waits: {reason:?}"
    );
    for kind in [
        "0", "3", "17", "18", "21", "22", "99", "019", "19 ", " 19", "1", "9", "+19", "19\n",
    ] {
        let message = Draft::new(&lab)
            .message_type(Attribute::printable(MESSAGE_TYPE, kind.as_bytes()))
            .sign();
        let reason = lab.refusal(&message);
        assert!(
            matches!(reason, RefusalReason::MessageType(_)),
            "{kind:?}: {reason:?}"
        );
        assert_eq!(reason.fail_info(), FailInfo::BadRequest);
    }
    for malformed in [
        Attribute::printable(MESSAGE_TYPE, b""),
        Attribute::printable(MESSAGE_TYPE, b"1919191919"),
        Attribute::octets(MESSAGE_TYPE, b"19"),
        Attribute::printable(PRIVATE, b"19"),
    ] {
        let reason = lab.refusal(&Draft::new(&lab).message_type(malformed).sign());
        assert!(matches!(reason, RefusalReason::Attribute("messageType")));
        assert_eq!(reason.fail_info(), FailInfo::BadRequest);
    }
    let mut twice = Draft::new(&lab);
    twice
        .attributes
        .push(Attribute::printable(MESSAGE_TYPE, b"18"));
    assert!(matches!(
        lab.refusal(&twice.sign()),
        RefusalReason::Attribute("messageType")
    ));
}

const PRIVATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4");

#[test]
fn a_hostile_message_type_cannot_break_a_log_line() {
    let lab = Lab::usual();
    let message = Draft::new(&lab)
        .message_type(Attribute::printable(MESSAGE_TYPE, b"1\n\x1b[2J"))
        .sign();
    let said = lab.refusal(&message).to_string();
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

#[test]
fn what_cannot_be_answered_is_for_the_transport() {
    let lab = Lab::usual();
    let private = |octets: &[u8]| Attribute::octets(PRIVATE, octets);
    for (draft, missing) in [
        (Draft::new(&lab).transaction(private(b"")), "transactionID"),
        (Draft::new(&lab).nonce(private(b"")), "senderNonce"),
        (
            Draft::new(&lab).transaction(Attribute::printable(TRANSACTION_ID, b"")),
            "transactionID",
        ),
        (
            Draft::new(&lab).transaction(Attribute::printable(TRANSACTION_ID, &[b'x'; 256])),
            "transactionID",
        ),
        (
            Draft::new(&lab).transaction(Attribute::octets(TRANSACTION_ID, b"x")),
            "transactionID",
        ),
        (
            Draft::new(&lab).nonce(Attribute::octets(SENDER_NONCE, b"")),
            "senderNonce",
        ),
        (
            Draft::new(&lab).nonce(Attribute::octets(SENDER_NONCE, &[0; 65])),
            "senderNonce",
        ),
        (
            Draft::new(&lab).nonce(Attribute::printable(SENDER_NONCE, b"0123456789abcdef")),
            "senderNonce",
        ),
    ] {
        let reason = unanswerable(&lab, &draft.sign());
        assert!(
            matches!(reason, RefusalReason::Attribute(what) if what == missing),
            "{missing}: {reason:?}"
        );
    }
    let mut twice = Draft::new(&lab);
    twice
        .attributes
        .push(Attribute::printable(TRANSACTION_ID, b"another"));
    assert!(matches!(
        unanswerable(&lab, &twice.sign()),
        RefusalReason::Attribute("transactionID")
    ));

    let mut two_signers = Node::parse(&Draft::new(&lab).sign());
    let signers = two_signers.at(&[1, 0, 4]).children();
    signers.push(signers[0].clone());
    assert!(matches!(
        unanswerable(&lab, &two_signers.der()),
        RefusalReason::Message(CmsError::Signers(2))
    ));
    let mut no_certificate = Node::parse(&Draft::new(&lab).sign());
    no_certificate.at(&[1, 0]).children().remove(3);
    assert!(matches!(
        unanswerable(&lab, &no_certificate.der()),
        RefusalReason::Message(CmsError::NoSignerCertificate)
    ));
    let bare = lanyard_pki::cms::Signer::new(&CLIENT, &self_signed(&CLIENT))
        .without_attributes()
        .sign(b"text")
        .unwrap();
    assert!(matches!(
        unanswerable(&lab, &bare),
        RefusalReason::Attribute("transactionID")
    ));
    for rubbish in [&b""[..], b"0", b"operation=PKIOperation", &[0x30, 0x80]] {
        assert!(matches!(
            unanswerable(&lab, rubbish),
            RefusalReason::Message(_)
        ));
    }
}

#[test]
fn strange_transaction_ids_come_back_as_they_were() {
    let lab = Lab::usual();
    let digits = "7".repeat(77);
    let longest = "x".repeat(255);
    for id in [
        "A",
        "0123456789ABCDEF0123456789ABCDEF01234567",
        digits.as_str(),
        "jkh+/3qT9m8eGkJvY2p0bQ==",
        "SSCEP transactionId",
        "<script>alert(1)</script>\r\n",
        longest.as_str(),
    ] {
        for attribute in [
            Attribute::printable(TRANSACTION_ID, id.as_bytes()),
            Attribute::utf8(TRANSACTION_ID, id),
        ] {
            let message = Draft::new(&lab).transaction(attribute).sign();
            let answer = lab.serve(&message).unwrap();
            // The whole attribute, type of string included, is an octet string that both messages have.
            let kind = TRANSACTION_ID.as_bytes();
            let whole = |message: &[u8]| {
                let at = message
                    .windows(kind.len())
                    .position(|window| window == kind)
                    .unwrap();
                message[at..at + kind.len() + id.len() + 4].to_vec()
            };
            assert_eq!(whole(&answer), whole(&message), "{id}");
        }
    }
}

#[test]
fn old_algorithms_are_taken_where_they_are_allowed() {
    let compatible = Lab::usual();
    let modern = Lab::modern();
    let old = |lab: &Lab, digest, cipher| {
        let mut draft = Draft::new(lab);
        draft.digest = digest;
        draft.content = envelope(lab, &request(&CLIENT, Some(&lab.challenge())), cipher);
        draft.sign()
    };
    for (digest, cipher) in [
        (Digest::Sha1, Cipher::Aes128Cbc),
        (Digest::Sha256, Cipher::TripleDesCbc),
        (Digest::Sha1, Cipher::TripleDesCbc),
    ] {
        assert!(compatible.hear(&old(&compatible, digest, cipher)).is_ok());
        let message = old(&modern, digest, cipher);
        assert!(matches!(modern.refusal(&message), RefusalReason::Algorithm));
        // And the refusal itself is signed with what the endpoint stands for.
        let answer = modern.serve(&message).unwrap();
        let answer = lanyard_pki::cms::SignedMessage::parse(&answer).unwrap();
        assert_eq!(answer.digest(), Some(Digest::Sha256));
    }
}

#[test]
fn weak_algorithms_are_never_taken() {
    let lab = Lab::usual();
    // DES-CBC, RC2-CBC and RC4 in the envelope.
    for cipher in ["1.3.14.3.2.7", "1.2.840.113549.3.2", "1.2.840.113549.3.4"] {
        let cipher = ObjectIdentifier::new_unwrap(cipher);
        let mut draft = Draft::new(&lab);
        draft.content = envelope(&lab, b"", Cipher::TripleDesCbc);
        let mut inner = Node::parse(&draft.content);
        *inner.at(&[1, 0, 2, 1, 0]).contents() = cipher.as_bytes().to_vec();
        draft.content = inner.der();
        assert_eq!(lab.fail_info(&draft.sign()), FailInfo::BadAlg, "{cipher}");
    }
    // MD5 as the digest of the message.
    let md5 = ObjectIdentifier::new_unwrap("1.2.840.113549.2.5");
    let mut message = Node::parse(&Draft::new(&lab).sign());
    for path in [&[1, 0, 1, 0, 0][..], &[1, 0, 4, 0, 2, 0]] {
        *message.at(path).contents() = md5.as_bytes().to_vec();
    }
    assert_eq!(lab.fail_info(&message.der()), FailInfo::BadAlg);
    // RSAES-OAEP as key transport, RSASSA-PSS as signature.
    let mut draft = Draft::new(&lab);
    let mut inner = Node::parse(&draft.content);
    *inner.at(&[1, 0, 1, 0, 2, 0]).contents() =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7")
            .as_bytes()
            .to_vec();
    draft.content = inner.der();
    assert_eq!(lab.fail_info(&draft.sign()), FailInfo::BadAlg);
    let mut message = Node::parse(&Draft::new(&lab).sign());
    *message.at(&[1, 0, 4, 0, 4, 0]).contents() =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10")
            .as_bytes()
            .to_vec();
    assert_eq!(lab.fail_info(&message.der()), FailInfo::BadAlg);
}

#[test]
fn signers_are_rsa_and_large_enough() {
    let lab = Lab::usual();
    for key in [
        PrivateKey::generate_p256().unwrap(),
        PrivateKey::generate_rsa(1024).unwrap(),
    ] {
        let message = Draft::asking(&lab, &request(&key, Some(&lab.challenge())))
            .signed_by(&key)
            .sign();
        assert_eq!(lab.fail_info(&message), FailInfo::BadAlg, "{key:?}");
    }
}

#[test]
fn a_changed_or_foreign_signature_is_a_bad_message_check() {
    let lab = Lab::usual();
    let mut changed = Node::parse(&Draft::new(&lab).sign());
    changed.at(&[1, 0, 4, 0, 5]).contents()[9] ^= 1;
    assert_eq!(lab.fail_info(&changed.der()), FailInfo::BadMessageCheck);

    let mut content = Node::parse(&Draft::new(&lab).sign());
    content.at(&[1, 0, 2, 1, 0]).contents()[99] ^= 1;
    assert!(matches!(
        lab.refusal(&content.der()),
        RefusalReason::Signature(CmsError::DigestMismatch)
    ));

    let mut foreign = Draft::new(&lab);
    foreign.key = STRANGER.clone();
    assert_eq!(lab.fail_info(&foreign.sign()), FailInfo::BadMessageCheck);
}

#[test]
fn what_is_encrypted_to_others_says_how_to_mend_it() {
    let lab = Lab::usual();
    // As a client has it that remembers the registration authority of last year.
    let old = Authority::self_signed(STRANGER.clone(), &template("ra", 3, both())).unwrap();
    let mut draft = Draft::new(&lab);
    draft.content = lanyard_pki::cms::encrypt(b"", old.certificate(), Cipher::Aes128Cbc).unwrap();
    let reason = lab.refusal(&draft.sign());
    assert!(matches!(reason, RefusalReason::NotRecipient));
    assert_eq!(reason.fail_info(), FailInfo::BadRequest);
    assert!(reason.fail_text().contains("GetCACert"));
}

#[test]
fn every_octet_of_a_request_changed_once_is_noticed() {
    let lab = Lab::usual();
    let message = Draft::new(&lab).sign();
    for index in 0..message.len() {
        for mask in [0x01, 0x02, 0x80] {
            let mut changed = message.clone();
            changed[index] ^= mask;
            assert!(
                lab.endpoint.receive(&changed).is_err(),
                "octet {index} ^ {mask:#04x}"
            );
        }
    }
}
