use lanyard_pki::{
    PrivateKey, Strength,
    cms::{self, Attribute, Cipher, Envelope, SignedMessage},
    oid,
};
use lanyard_scep::{
    FailInfo,
    client::{Answer, ClientError, Enrollment},
};

use crate::{
    draft::{
        Draft, FAIL_INFO, FAIL_INFO_TEXT, MESSAGE_TYPE, PKI_STATUS, RECIPIENT_NONCE, SENDER_NONCE,
        TRANSACTION_ID, self_signed,
    },
    lab::{
        AUTHORITY, CLIENT, CLIENT_NONCE, ENCRYPTION, Lab, SERVER_NONCE, SHAPES, SIGNING, STRANGER,
        Shape, now,
    },
    tlv::Node,
};

/// What is in every CertRep, whatever it says; the rest of its attributes by themselves.
fn check_common(answer: &[u8], status: &str) -> SignedMessage {
    let message = SignedMessage::parse(answer).unwrap();
    {
        let verified = match message.unverified_content() {
            Some(_) => message.verify(Strength::Modern),
            None => message.verify_detached(b"", Strength::Modern),
        }
        .unwrap();
        assert_eq!(
            verified.certificates(),
            std::slice::from_ref(verified.signer())
        );
        let attributes = verified.attributes().unwrap();
        let value = |kind| attributes.value(kind).unwrap();
        assert_eq!(value(oid::CONTENT_TYPE), Some(oid::DATA.as_bytes()));
        assert_eq!(value(oid::MESSAGE_DIGEST).map(<[u8]>::len), Some(32));
        assert_eq!(value(oid::SIGNING_TIME), Some(&b"270115080000Z"[..]));
        let string = |kind| attributes.string(kind).unwrap();
        assert_eq!(string(MESSAGE_TYPE), Some(&b"3"[..]));
        assert_eq!(string(PKI_STATUS), Some(status.as_bytes()));
        assert_eq!(string(TRANSACTION_ID), Some(&b"transaction"[..]));
        assert_eq!(
            attributes.octets(SENDER_NONCE).unwrap(),
            Some(&SERVER_NONCE[..])
        );
        assert_eq!(
            attributes.octets(RECIPIENT_NONCE).unwrap(),
            Some(&CLIENT_NONCE[..])
        );
    }
    // strongSwan before 5.9.11 takes no combined identifier, and reads DER alone.
    let mut structure = Node::parse(answer);
    assert_eq!(structure.der(), answer);
    let algorithm = structure.at(&[1, 0, 4, 0, 4]);
    assert_eq!(
        algorithm.at(&[0]).contents(),
        oid::RSA_ENCRYPTION.as_bytes()
    );
    assert_eq!(*algorithm.at(&[1]), Node::primitive(0x05, b""));
    message
}

#[test]
fn success_carries_the_leaf_alone_to_whoever_signed() {
    for (shape, ec) in SHAPES {
        let lab = Lab::new(shape, ec, lanyard_scep::Compatibility::Modern);
        let answer = lab.serve(&Draft::new(&lab).sign()).unwrap();
        let message = check_common(&answer, "0");
        let signer = match shape {
            Shape::AuthorityOnly => &*AUTHORITY,
            Shape::OneRa | Shape::SplitRa => &*SIGNING,
        };
        let verified = message.verify(Strength::Modern).unwrap();
        assert_eq!(verified.signer().public_key(), signer.public_key());
        assert_eq!(
            verified.attributes().unwrap().value(FAIL_INFO).unwrap(),
            None
        );

        let own = self_signed(&CLIENT);
        let content = verified.content();
        let inside = Envelope::parse(content)
            .unwrap()
            .decrypt(&own, &CLIENT)
            .unwrap();
        let certificates = cms::parse_certificates_only(&inside).unwrap();
        assert_eq!(certificates.len(), 1);
        assert_eq!(certificates[0].public_key(), CLIENT.public_key());

        // EnvelopedData 0, RecipientInfo 0 by issuer and serial number, in DER.
        let mut envelope = Node::parse(content);
        assert_eq!(envelope.der(), content);
        assert_eq!(*envelope.at(&[1, 0, 0]), Node::primitive(0x02, &[0]));
        assert_eq!(*envelope.at(&[1, 0, 1, 0, 0]), Node::primitive(0x02, &[0]));
        let recipient = envelope.at(&[1, 0, 1, 0, 1]);
        assert_eq!(recipient.at(&[0]).der(), own.issuer().der());
        assert_eq!(recipient.at(&[1]).contents(), own.serial());
    }
}

#[test]
fn failure_has_its_reason_and_no_content() {
    let lab = Lab::modern();
    let message = Draft::new(&lab)
        .message_type(Attribute::printable(MESSAGE_TYPE, b"18"))
        .sign();
    let mut answer = lab.serve(&message).unwrap();
    let message = check_common(&answer, "2");
    let attributes = message.unverified_attributes().unwrap();
    assert_eq!(attributes.string(FAIL_INFO).unwrap(), Some(&b"2"[..]));
    assert_eq!(
        attributes.string(FAIL_INFO_TEXT).unwrap(),
        Some(&b"unsupported messageType"[..])
    );
    // The content is left out, not empty.
    assert_eq!(
        Node::parse(&answer).at(&[1, 0, 2]).children().len(),
        1,
        "only the content type"
    );
    *answer.last_mut().unwrap() ^= 1;
    let message = SignedMessage::parse(&answer).unwrap();
    assert!(message.verify_detached(b"", Strength::Modern).is_err());
}

#[test]
fn pending_has_no_content_either() {
    let lab = Lab::modern();
    let heard = lab.hear(&Draft::new(&lab).sign()).unwrap();
    let answer = lab
        .endpoint
        .pending(heard.request().exchange(), SERVER_NONCE, now())
        .unwrap();
    let message = check_common(&answer, "3");
    assert!(message.unverified_content().is_none());
}

struct Dialogue {
    lab: Lab,
    authorities: lanyard_scep::client::Authorities,
}

impl Dialogue {
    fn new() -> Self {
        let lab = Lab::modern();
        let authorities = lab.authorities();
        Self { lab, authorities }
    }

    fn enrollment<'a>(&'a self, key: &'a PrivateKey, nonce: [u8; 16]) -> Enrollment<'a> {
        self.lab.enrollment(&self.authorities, key, nonce)
    }
}

#[test]
fn the_client_takes_the_answer_to_its_own_request_only() {
    let dialogue = Dialogue::new();
    let ours = dialogue.enrollment(&CLIENT, CLIENT_NONCE);
    let answer = |enrollment: &Enrollment<'_>| dialogue.lab.serve(enrollment.message()).unwrap();
    assert!(matches!(
        ours.receive(&answer(&ours)).unwrap(),
        Answer::Issued(_)
    ));
    let other_nonce = dialogue.enrollment(&CLIENT, [0xc2; 16]);
    assert!(matches!(
        ours.receive(&answer(&other_nonce)),
        Err(ClientError::NotTheAnswer("recipientNonce"))
    ));
    let other_key = dialogue.enrollment(&STRANGER, CLIENT_NONCE);
    assert!(matches!(
        ours.receive(&answer(&other_key)),
        Err(ClientError::NotTheAnswer("transactionID"))
    ));
    // Another endpoint with a registration authority of the same key.
    let elsewhere = Lab::modern();
    let same_names = elsewhere.enrollment(&dialogue.authorities, &CLIENT, CLIENT_NONCE);
    assert!(matches!(
        same_names.receive(&elsewhere.serve(same_names.message()).unwrap()),
        Err(ClientError::NotTheAnswer("signer"))
    ));
    // Its own request, sent back.
    assert!(matches!(
        ours.receive(ours.message()),
        Err(ClientError::NotTheAnswer("signer"))
    ));
}

#[test]
fn the_client_takes_a_certificate_for_its_own_key_only() {
    let dialogue = Dialogue::new();
    let ours = dialogue.enrollment(&CLIENT, CLIENT_NONCE);
    let heard = dialogue.lab.hear(ours.message()).unwrap();
    let answer = dialogue
        .lab
        .endpoint
        .success(
            heard.request().exchange(),
            &self_signed(&STRANGER),
            SERVER_NONCE,
            now(),
        )
        .unwrap();
    assert!(matches!(
        ours.receive(&answer),
        Err(ClientError::NoCertificate)
    ));
}

#[test]
fn the_client_reads_why_it_was_refused() {
    let dialogue = Dialogue::new();
    let ours = dialogue.enrollment(&CLIENT, CLIENT_NONCE);
    let heard = dialogue.lab.hear(ours.message()).unwrap();
    for info in [
        FailInfo::BadAlg,
        FailInfo::BadMessageCheck,
        FailInfo::BadRequest,
        FailInfo::BadTime,
        FailInfo::BadCertId,
    ] {
        let answer = dialogue
            .lab
            .endpoint
            .failure(
                heard.request().exchange(),
                info,
                "warum: §",
                SERVER_NONCE,
                now(),
            )
            .unwrap();
        assert!(matches!(
            ours.receive(&answer).unwrap(),
            Answer::Failed { info: Some(read), text: Some(text) } if read == info && text == "warum: §"
        ));
    }
}

#[test]
fn every_octet_of_an_answer_changed_once_is_noticed() {
    let dialogue = Dialogue::new();
    let ours = dialogue.enrollment(&CLIENT, CLIENT_NONCE);
    let answer = dialogue.lab.serve(ours.message()).unwrap();
    for index in 0..answer.len() {
        for mask in [0x01, 0x02, 0x80] {
            let mut changed = answer.clone();
            changed[index] ^= mask;
            assert!(
                ours.receive(&changed).is_err(),
                "octet {index} ^ {mask:#04x}"
            );
        }
    }
}

/// With two registration authorities, requests go to the one that decrypts, and only there.
#[test]
fn split_registration_authorities_keep_to_their_parts() {
    let lab = Lab::new(Shape::SplitRa, true, lanyard_scep::Compatibility::Modern);
    assert_eq!(
        lab.recipient().public_key(),
        ENCRYPTION.public_key(),
        "the client encrypts to the one with keyEncipherment"
    );
    let authorities = lab.authorities();
    let signing = &authorities.all()[0];
    assert_eq!(signing.public_key(), SIGNING.public_key());
    let mut draft = Draft::new(&lab);
    draft.content = cms::encrypt(b"", signing, Cipher::Aes128Cbc).unwrap();
    assert_eq!(lab.fail_info(&draft.sign()), FailInfo::BadRequest);
}
