use lanyard_pki::{
    Strength,
    ber::{BerError, normalise},
    cms::{self, Cipher, Envelope, SignedMessage, Signer},
};
use proptest::prelude::*;

use crate::{
    identities::RSA,
    tlv::{Node, Value},
};

#[test]
fn a_signed_message_may_be_ber_throughout() {
    let content = vec![b'x'; 5000];
    for signer in [
        Signer::new(&RSA.key, &RSA.certificate),
        Signer::new(&RSA.key, &RSA.certificate).without_attributes(),
    ] {
        let der = signer.sign(&content).unwrap();
        let ber = Node::parse(&der).ber(100);
        assert_eq!(*normalise(&ber).unwrap(), der);
        let message = SignedMessage::parse(&ber).unwrap();
        let verified = message.verify(Strength::Modern).unwrap();
        assert_eq!(verified.content(), content);
        assert_eq!(*verified.signer(), RSA.certificate);
    }
}

#[test]
fn an_envelope_may_be_ber_throughout_its_content_in_pieces() {
    let content = vec![b'x'; 5000];
    let der = cms::encrypt(&content, &RSA.certificate, Cipher::Aes256Cbc).unwrap();
    let mut root = Node::parse(&der);
    let encrypted = root.at(&[1, 0, 2, 2]);
    let pieces = encrypted
        .contents()
        .chunks(999)
        .map(|piece| Node::primitive(0x04, piece))
        .collect();
    *encrypted = Node::constructed(0xa0, pieces);
    let opened = Envelope::parse(&root.ber(100))
        .unwrap()
        .decrypt(&RSA.certificate, &RSA.key)
        .unwrap();
    assert_eq!(*opened, content);
}

#[test]
fn every_beginning_of_a_message_is_truncated() {
    let der = Signer::new(&RSA.key, &RSA.certificate)
        .sign(b"text")
        .unwrap();
    for input in [Node::parse(&der).ber(7), der] {
        for end in 0..input.len() {
            assert_eq!(normalise(&input[..end]), Err(BerError::Truncated), "{end}");
        }
    }
}

fn trees() -> impl Strategy<Value = Node> {
    let leaf = (
        prop_oneof![Just(0x02), Just(0x04), Just(0x0c), Just(0x80)],
        proptest::collection::vec(any::<u8>(), 0..300),
    )
        .prop_map(|(tag, contents)| Node::primitive(tag, &contents));
    leaf.prop_recursive(8, 100, 6, |inner| {
        (
            prop_oneof![Just(0x30), Just(0x31), Just(0xa0), Just(0xa3)],
            proptest::collection::vec(inner, 0..6),
        )
            .prop_map(|(tag, children)| Node::constructed(tag, children))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ber_and_der_of_the_same_are_the_same(tree in trees(), piece in 1usize..200) {
        let der = tree.der();
        prop_assert_eq!(&*normalise(&der).unwrap(), &der);
        let ber = tree.ber(piece);
        match normalise(&ber) {
            Ok(same) => prop_assert_eq!(&*same, &der),
            Err(error) => prop_assert_eq!(error, BerError::TooManyElements),
        }
    }

    #[test]
    fn arbitrary_octets_become_no_longer_and_settle(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(once) = normalise(&input) {
            prop_assert!(once.len() <= input.len());
            prop_assert_eq!(&*normalise(&once).unwrap(), &*once);
        }
    }
}

#[test]
fn order_inside_a_set_is_kept() {
    let members = vec![
        Node::primitive(0x02, &[9]),
        Node::primitive(0x02, &[1]),
        Node {
            tag: 0x30,
            value: Value::Constructed(Vec::new()),
        },
    ];
    let set = Node::constructed(0x31, members);
    assert_eq!(*normalise(&set.ber(1)).unwrap(), set.der());
}
