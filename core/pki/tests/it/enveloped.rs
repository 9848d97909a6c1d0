use lanyard_pki::{
    ObjectIdentifier, SignatureError,
    cms::{self, Cipher, CmsError, Envelope},
    oid,
};

use crate::{
    identities::{EC, IMPOSTOR, OTHER, RSA},
    tlv::Node,
};

const CONTENT: &[u8] = b"a configuration profile";

const CIPHERS: [Cipher; 4] = [
    Cipher::Aes128Cbc,
    Cipher::Aes192Cbc,
    Cipher::Aes256Cbc,
    Cipher::TripleDesCbc,
];

/// Where things are in the ContentInfo that [`cms::encrypt`] writes.
const VERSION: &[usize] = &[1, 0, 0];
const RECIPIENTS: &[usize] = &[1, 0, 1];
const RECIPIENT: &[usize] = &[1, 0, 1, 0];
const CONTENT_TYPE: &[usize] = &[1, 0, 2, 0];
const CIPHER: &[usize] = &[1, 0, 2, 1];
const ENCRYPTED: &[usize] = &[1, 0, 2, 2];

fn sealed(cipher: Cipher) -> Node {
    Node::parse(&cms::encrypt(CONTENT, &RSA.certificate, cipher).unwrap())
}

fn open(message: &Node) -> Result<Vec<u8>, CmsError> {
    let content = Envelope::parse(&message.der())?.decrypt(&RSA.certificate, &RSA.key)?;
    Ok(content.to_vec())
}

#[test]
fn what_is_encrypted_is_decrypted_by_its_recipient_only() {
    for cipher in CIPHERS {
        for length in [0, 1, 7, 8, 15, 16, 17, 4096] {
            let content = vec![b'x'; length];
            let message = cms::encrypt(&content, &RSA.certificate, cipher).unwrap();
            let envelope = Envelope::parse(&message).unwrap();
            assert_eq!(envelope.cipher(), cipher);
            assert!(envelope.is_for(&RSA.certificate) && !envelope.is_for(&OTHER.certificate));
            let opened = envelope.decrypt(&RSA.certificate, &RSA.key).unwrap();
            assert_eq!(*opened, content);
            assert!(matches!(
                envelope.decrypt(&OTHER.certificate, &OTHER.key),
                Err(CmsError::NotRecipient)
            ));
        }
    }
}

#[test]
fn another_key_under_the_same_name_opens_nothing() {
    for cipher in CIPHERS {
        let envelope = Envelope::parse(&sealed(cipher).der()).unwrap();
        match envelope.decrypt(&IMPOSTOR.certificate, &IMPOSTOR.key) {
            Err(CmsError::Undecryptable) => {}
            Ok(rubbish) => assert_ne!(*rubbish, CONTENT),
            Err(other) => panic!("told apart: {other}"),
        }
    }
}

#[test]
fn only_rsa_keys_are_encrypted_to() {
    assert!(matches!(
        cms::encrypt(CONTENT, &EC.certificate, Cipher::Aes128Cbc),
        Err(CmsError::Signature(SignatureError::Algorithm))
    ));
}

#[test]
fn every_octet_changed_once_is_noticed() {
    for cipher in [Cipher::Aes128Cbc, Cipher::TripleDesCbc] {
        let message = cms::encrypt(CONTENT, &RSA.certificate, cipher).unwrap();
        for index in 0..message.len() {
            for mask in [0x01, 0x02, 0x80] {
                let mut changed = message.clone();
                changed[index] ^= mask;
                let opened = Envelope::parse(&changed)
                    .and_then(|envelope| envelope.decrypt(&RSA.certificate, &RSA.key));
                assert!(
                    !opened.is_ok_and(|content| *content == CONTENT),
                    "octet {index} ^ {mask:#04x}"
                );
            }
        }
    }
}

/// From the private key's work on there is one error, or rubbish; never a reason.
#[test]
fn broken_keys_and_contents_are_one_error() {
    for cipher in CIPHERS {
        let mut broken: Vec<Node> = Vec::new();
        for at in [0, 1, 100, 255] {
            let mut key = sealed(cipher);
            key.at(RECIPIENT).at(&[3]).contents()[at] ^= 1;
            broken.push(key);
        }
        for contents in [vec![0; 256], vec![0xff; 256], vec![1; 255], Vec::new()] {
            let mut key = sealed(cipher);
            *key.at(RECIPIENT).at(&[3]).contents() = contents;
            broken.push(key);
        }
        for contents in [Vec::new(), vec![0; 15], vec![0; 16], vec![0; 4096]] {
            let mut content = sealed(cipher);
            *content.at(ENCRYPTED).contents() = contents;
            broken.push(content);
        }
        let mut last = sealed(cipher);
        *last.at(ENCRYPTED).contents().last_mut().unwrap() ^= 1;
        broken.push(last);
        // The transported key is one for another cipher.
        let mut other = sealed(cipher);
        let longer = match cipher {
            Cipher::Aes256Cbc => Cipher::Aes128Cbc,
            _ => Cipher::Aes256Cbc,
        };
        *other.at(RECIPIENTS) = sealed(longer).at(RECIPIENTS).clone();
        broken.push(other);

        for message in broken {
            match open(&message) {
                Err(CmsError::Undecryptable) => {}
                Ok(rubbish) => assert_ne!(rubbish, CONTENT),
                Err(other) => panic!("told apart: {other}"),
            }
        }
    }
}

/// Implicit rejection is a function of key and ciphertext: asked twice, it gives the same rubbish.
#[test]
fn broken_keys_are_answered_the_same_every_time() {
    for attempt in 0..16 {
        let mut message = sealed(Cipher::Aes128Cbc);
        message.at(RECIPIENT).at(&[3]).contents()[200] ^= 1 + attempt;
        let outcomes = [(); 3].map(|()| open(&message).ok());
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    }
}

#[test]
fn our_recipient_is_found_among_several() {
    let mut message = sealed(Cipher::Aes128Cbc);
    let ours = message.at(RECIPIENT).clone();
    let theirs =
        Node::parse(&cms::encrypt(CONTENT, &OTHER.certificate, Cipher::Aes128Cbc).unwrap())
            .at(RECIPIENT)
            .clone();
    let password = Node::constructed(0xa3, vec![Node::primitive(0x02, &[0])]);
    *message.at(RECIPIENTS).children() = vec![theirs.clone(), ours];
    assert_eq!(open(&message).unwrap(), CONTENT);
    message
        .at(RECIPIENTS)
        .children()
        .insert(0, password.clone());
    *message.at(VERSION).contents() = vec![3];
    assert_eq!(open(&message).unwrap(), CONTENT);
    *message.at(RECIPIENTS).children() = vec![password];
    assert!(matches!(open(&message), Err(CmsError::NotRecipient)));
    *message.at(VERSION).contents() = vec![0];
    *message.at(RECIPIENTS).children() = vec![theirs; 9];
    assert!(matches!(
        open(&message),
        Err(CmsError::TooMany("recipients"))
    ));
}

#[test]
fn the_recipient_may_be_named_by_its_key_identifier() {
    let mut message = sealed(Cipher::Aes128Cbc);
    let id = RSA.certificate.subject_key_id().unwrap();
    *message.at(RECIPIENT).at(&[1]) = Node::primitive(0x80, id);
    *message.at(RECIPIENT).at(&[0]).contents() = vec![2];
    *message.at(VERSION).contents() = vec![2];
    assert_eq!(open(&message).unwrap(), CONTENT);
}

#[test]
fn weak_and_unknown_algorithms_are_refused_by_name() {
    for refused in ["1.3.14.3.2.7", "1.2.840.113549.3.2", "1.2.840.113549.3.4"] {
        let oid = ObjectIdentifier::new(refused).unwrap();
        let mut message = sealed(Cipher::TripleDesCbc);
        *message.at(CIPHER).at(&[0]).contents() = oid.as_bytes().to_vec();
        assert!(matches!(open(&message), Err(CmsError::Algorithm(named)) if named == oid));
    }
    // An initialisation vector of another length, or none.
    let mut message = sealed(Cipher::Aes128Cbc);
    message.at(CIPHER).at(&[1]).contents().pop();
    assert!(matches!(open(&message), Err(CmsError::Algorithm(_))));
    message.at(CIPHER).children().pop();
    assert!(matches!(open(&message), Err(CmsError::Algorithm(_))));
    let oaep = ObjectIdentifier::new("1.2.840.113549.1.1.7").unwrap();
    let mut message = sealed(Cipher::Aes128Cbc);
    *message.at(RECIPIENT).at(&[2, 0]).contents() = oaep.as_bytes().to_vec();
    assert!(matches!(open(&message), Err(CmsError::Algorithm(named)) if named == oaep));
}

#[test]
fn what_is_inside_is_data() {
    let mut message = sealed(Cipher::Aes128Cbc);
    *message.at(CONTENT_TYPE).contents() = oid::SIGNED_DATA.as_bytes().to_vec();
    assert!(matches!(
        open(&message),
        Err(CmsError::ContentType(oid::SIGNED_DATA))
    ));
}
