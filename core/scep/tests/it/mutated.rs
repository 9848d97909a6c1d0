//! Damaged messages, in both directions: an answer or an error, never a panic, never a certificate.

use lanyard_scep::{client::Authorities, operation, pki_message};
use proptest::{prelude::*, sample::Index};

use crate::{
    draft::Draft,
    lab::{CLIENT, CLIENT_NONCE, Lab},
    tlv::Node,
};

/// Octets put over, or in between, what is there.
fn damages() -> impl Strategy<Value = Vec<(Index, usize, Vec<u8>)>> {
    let octets = proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(0x80), Just(0x00), Just(0xff)],
        0..6,
    );
    proptest::collection::vec((any::<Index>(), 0usize..6, octets), 1..5)
}

fn damage(message: &[u8], damages: &[(Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut message = message.to_vec();
    for (at, removed, inserted) in damages {
        let at = at.index(message.len() + 1);
        let end = (at + removed).min(message.len());
        message.splice(at..end, inserted.iter().copied());
    }
    message
}

#[test]
fn damaged_messages_never_panic_and_never_pass() {
    let lab = Lab::usual();
    let authorities = lab.authorities();
    let enrollment = lab.enrollment(&authorities, &CLIENT, CLIENT_NONCE);
    let answer = lab.serve(enrollment.message()).unwrap();
    let bundle = lab.endpoint.authorities();
    let plain = Draft::new(&lab).sign();
    let requests = [plain.clone(), Node::parse(&plain).ber(40)];
    let envelope = Draft::new(&lab).content;

    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(any::<Index>(), damages()), |(which, damages)| {
            // BER has many ways of writing the same: what passes must be what was signed.
            let request = damage(which.get::<Vec<u8>>(&requests), &damages);
            if let Ok(heard) = lab.hear(&request) {
                prop_assert_eq!(heard.request().exchange().transaction_id(), b"transaction");
                prop_assert_eq!(heard.request().csr().public_key(), CLIENT.public_key());
            }
            let mut signed = Draft::new(&lab);
            signed.content = damage(&envelope, &damages);
            let _ = lab.serve(&signed.sign());
            let _ = enrollment.receive(&damage(&answer, &damages));
            let _ = Authorities::read(bundle.content_type, &damage(&bundle.body, &damages));
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_read_or_refused(query in "(operation=[A-Za-z]{0,12}|message=[A-Za-z0-9+/=%_ -]{0,60}|[ -~]{0,20}|&|%|é){0,6}") {
        let _ = operation(&query);
        let _ = pki_message(&query);
    }

    #[test]
    fn a_message_survives_every_way_into_a_query(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        use base64::{Engine as _, engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD}};

        let message = Node::constructed(0x30, vec![Node::primitive(0x04, &octets)]).der();
        let standard = STANDARD.encode(&message);
        let percent = standard.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        let lines: String = standard
            .as_bytes()
            .chunks(64)
            .map(|line| format!("{}%0A", String::from_utf8_lossy(line)))
            .collect();
        for text in [
            standard.clone(),
            percent.clone(),
            percent.replace('%', "%25"),
            standard.replace('+', "%20"),
            URL_SAFE_NO_PAD.encode(&message),
            lines,
        ] {
            let query = format!("operation=PKIOperation&message={text}");
            prop_assert_eq!(pki_message(&query), Ok(message.clone()));
        }
    }
}
