use lanyard_pki::{
    CertificationRequest, Digest, Name, NameAttribute, RequestError, SignatureError, Strength, oid,
};

use crate::{
    identities::{EC, OTHER, RSA},
    tlv::Node,
};

const INFO: &[usize] = &[0];
const ATTRIBUTES: &[usize] = &[0, 3];

fn request(challenge: Option<&str>) -> Node {
    let subject = Name::new(&[(NameAttribute::CommonName, "device")]);
    Node::parse(&CertificationRequest::sign(&RSA.key, &subject, challenge).unwrap())
}

fn sign_again(request: &mut Node) {
    let info = request.at(INFO).der();
    let signature = RSA.key.sign(Digest::Sha256, &info).unwrap();
    *request.at(&[2]).contents() = [vec![0], signature].concat();
}

fn challenge(tag: u8, contents: &[u8]) -> Node {
    attribute(
        oid::CHALLENGE_PASSWORD,
        vec![Node::primitive(tag, contents)],
    )
}

fn attribute(kind: lanyard_pki::ObjectIdentifier, values: Vec<Node>) -> Node {
    Node::constructed(
        0x30,
        vec![
            Node::primitive(0x06, kind.as_bytes()),
            Node::constructed(0x31, values),
        ],
    )
}

#[test]
fn a_challenge_is_read_in_every_string_type() {
    for (tag, contents) in [
        (0x0c, "Schlüssel".as_bytes()),
        (0x13, b"abc"),
        (0x16, b"abc"),
        (0x14, b"Schl\xfcssel"),
        (0x1e, b"\0S\0c\0h\0l\0\xfc\0s\0s\0e\0l"),
    ] {
        let mut request = request(None);
        request
            .at(ATTRIBUTES)
            .children()
            .push(challenge(tag, contents));
        sign_again(&mut request);
        let request = CertificationRequest::from_der(&request.der()).unwrap();
        assert_eq!(request.verify(Strength::Modern), Ok(()));
        let expected = if contents == b"abc" {
            "abc"
        } else {
            "Schlüssel"
        };
        assert_eq!(request.challenge(), Some(expected), "tag {tag:#04x}");
    }
}

#[test]
fn what_stands_twice_is_refused() {
    let mut two_attributes = request(Some("one"));
    two_attributes
        .at(ATTRIBUTES)
        .children()
        .push(challenge(0x13, b"two"));
    let mut two_values = request(Some("one"));
    let values = two_values.at(ATTRIBUTES).at(&[0, 1]).children();
    values.push(values[0].clone());
    let usage = Node::constructed(
        0x30,
        vec![
            Node::primitive(0x06, &[0x55, 0x1d, 0x0f]),
            Node::primitive(0x04, &[0x03, 0x02, 0x05, 0xa0]),
        ],
    );
    let extensions = |each: Vec<Node>| vec![Node::constructed(0x30, each)];
    let mut two_extensions = request(None);
    two_extensions.at(ATTRIBUTES).children().push(attribute(
        oid::EXTENSION_REQUEST,
        extensions(vec![usage.clone(), usage.clone()]),
    ));
    let mut two_dialects = request(None);
    for kind in [oid::EXTENSION_REQUEST, oid::EXTENSION_REQUEST_MICROSOFT] {
        two_dialects
            .at(ATTRIBUTES)
            .children()
            .push(attribute(kind, extensions(vec![usage.clone()])));
    }
    for mut twice in [two_attributes, two_values, two_extensions, two_dialects] {
        sign_again(&mut twice);
        assert!(matches!(
            CertificationRequest::from_der(&twice.der()),
            Err(RequestError::Duplicate(_))
        ));
    }
}

#[test]
fn possession_of_the_key_is_proven() {
    let subject = Name::new(&[(NameAttribute::CommonName, "device")]);
    let mut foreign = request(None);
    *foreign.at(&[0, 2]) = Node::parse(OTHER.key.public_key().spki());
    let foreign = CertificationRequest::from_der(&foreign.der()).unwrap();
    assert_eq!(
        foreign.verify(Strength::Modern),
        Err(SignatureError::Mismatch)
    );
    for key in [&RSA.key, &EC.key] {
        let der = CertificationRequest::sign(key, &subject, Some("secret")).unwrap();
        for index in 0..der.len() {
            for mask in [0x01, 0x02, 0x80] {
                let mut changed = der.clone();
                changed[index] ^= mask;
                let accepted = CertificationRequest::from_der(&changed)
                    .is_ok_and(|request| request.verify(Strength::Modern).is_ok());
                assert!(!accepted, "octet {index} ^ {mask:#04x}");
            }
        }
    }
}

#[test]
fn the_challenge_is_not_printed() {
    let request = CertificationRequest::from_der(&request(Some("a secret")).der()).unwrap();
    assert!(!format!("{request:?} {request:#?}").contains("secret"));
}
