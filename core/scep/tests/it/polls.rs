//! CertPoll (RFC 8894, 3.3.3): who waits comes back, and nobody else in their place.

use lanyard_pki::cms::{Attribute, Cipher};
use lanyard_scep::{Poll, Received, Refusal, RefusalReason, client::Answer};

use crate::{
    draft::{Draft, MESSAGE_TYPE, TRANSACTION_ID, envelope, request},
    lab::{CLIENT, CLIENT_NONCE, Lab, SERIAL, SERVER_NONCE, STRANGER, name, now, profile},
};

const POLL_NONCE: [u8; 16] = [0xd0; 16];

/// A poll that asks about the transaction of [`Draft::new`].
fn poll(lab: &Lab) -> Draft {
    Draft::new(lab).message_type(Attribute::printable(MESSAGE_TYPE, b"20"))
}

fn receive(lab: &Lab, message: &[u8]) -> Poll {
    match lab.endpoint.receive(message).unwrap() {
        Received::Poll(poll) => poll,
        Received::Request(_) => panic!("a poll is taken for a request"),
    }
}

#[test]
fn a_client_that_waits_polls_until_it_has_its_certificate() {
    let lab = Lab::usual();
    let authorities = lab.authorities();
    let mut enrollment = lab.enrollment(&authorities, &CLIENT, CLIENT_NONCE);
    let waits = lab.receive(enrollment.message());
    let (transaction, remembered) = (waits.transaction(), waits.csr().der().to_vec());

    enrollment.poll(POLL_NONCE, now()).unwrap();
    let still = receive(&lab, enrollment.message());
    assert_eq!(still.transaction(), transaction);
    let resumed = still.resume(&remembered).unwrap();
    let exchange = resumed.exchange().clone();
    let answer = lab
        .endpoint
        .pending(&exchange, SERVER_NONCE, now())
        .unwrap();
    assert!(matches!(
        enrollment.receive(&answer).unwrap(),
        Answer::Pending
    ));

    enrollment.poll(CLIENT_NONCE, now()).unwrap();
    let decided = receive(&lab, enrollment.message());
    let authorized = decided
        .resume(&remembered)
        .unwrap()
        .authenticate(&lab.challenges, now())
        .unwrap()
        .approve(profile());
    let certificate = lab.endpoint.issue(&authorized, SERIAL, now()).unwrap();
    let exchange = authorized.request().exchange();
    let answer = lab
        .endpoint
        .success(exchange, &certificate, SERVER_NONCE, now())
        .unwrap();
    match enrollment.receive(&answer).unwrap() {
        Answer::Issued(issued) => assert_eq!(issued.der(), certificate.der()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_strangers_poll_with_the_same_transaction_id_is_about_another_transaction() {
    let lab = Lab::usual();
    let waits = lab.receive(&Draft::new(&lab).sign());
    let strange = receive(&lab, &poll(&lab).signed_by(&STRANGER).sign());
    assert_ne!(strange.transaction(), waits.transaction());
    // Not even a server that confuses the two hands out what is another key's.
    let refused = strange.resume(waits.csr().der()).unwrap_err();
    let Refusal::Failed { reason, .. } = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(reason, RefusalReason::UnknownTransaction),
        "{reason:?}"
    );
}

#[test]
fn what_is_inside_a_poll_changes_nothing() {
    let lab = Lab::usual();
    let transaction = receive(&lab, &poll(&lab).sign()).transaction();
    let names = name("somebody else").der().to_vec();
    for (what, content) in [
        ("names of others", envelope(&lab, &names, Cipher::Aes128Cbc)),
        (
            "a whole request",
            envelope(&lab, &request(&STRANGER, None), Cipher::Aes128Cbc),
        ),
        ("nothing", Vec::new()),
        ("no envelope", b"IssuerAndSubject".to_vec()),
        ("65,536 octets", vec![0x30; 65_536]),
    ] {
        let mut draft = poll(&lab);
        draft.content = content;
        assert_eq!(
            receive(&lab, &draft.sign()).transaction(),
            transaction,
            "{what}"
        );
    }
}

#[test]
fn what_was_remembered_amiss_is_a_refusal() {
    let lab = Lab::usual();
    for remembered in [&b""[..], b"no request", &request(&STRANGER, None)] {
        let refused = receive(&lab, &poll(&lab).sign()).resume(remembered);
        assert!(matches!(refused, Err(Refusal::Failed { .. })));
    }
}

#[test]
fn a_poll_is_signed_like_a_request() {
    let lab = Lab::usual();
    let message = poll(&lab).sign();
    let untouched = receive(&lab, &message).transaction();
    for at in (0..message.len()).step_by(7) {
        let mut altered = message.clone();
        altered[at] ^= 0x20;
        // Octets that nothing covers may change; what a poll says may not.
        if let Ok(Received::Poll(poll)) = lab.endpoint.receive(&altered) {
            assert_eq!(poll.transaction(), untouched, "octet {at}");
        }
    }
    for id in [&b""[..], &[b'x'; 256]] {
        let draft = poll(&lab).transaction(Attribute::printable(TRANSACTION_ID, id));
        assert!(matches!(
            lab.endpoint.receive(&draft.sign()),
            Err(Refusal::Unanswerable(RefusalReason::Attribute(
                "transactionID"
            )))
        ));
    }
}
