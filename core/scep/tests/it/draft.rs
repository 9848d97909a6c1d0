//! A client's message, part by part, so that each part can be wrong.

use lanyard_pki::{
    Authority, Certificate, CertificationRequest, Digest, ObjectIdentifier, PrivateKey,
    cms::{self, Attribute, Cipher},
};

use crate::lab::{CLIENT, CLIENT_NONCE, Lab, both, name, template};

pub(crate) const MESSAGE_TYPE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
pub(crate) const PKI_STATUS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.3");
pub(crate) const FAIL_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.4");
pub(crate) const SENDER_NONCE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
pub(crate) const RECIPIENT_NONCE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.6");
pub(crate) const TRANSACTION_ID: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");
pub(crate) const FAIL_INFO_TEXT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.24.1");

pub(crate) struct Draft {
    pub(crate) key: PrivateKey,
    /// Signs the message.
    pub(crate) certificate: Certificate,
    pub(crate) digest: Digest,
    pub(crate) attributes: Vec<Attribute>,
    /// What is signed: the envelope.
    pub(crate) content: Vec<u8>,
}

impl Draft {
    /// A message that is answered with SUCCESS.
    pub(crate) fn new(lab: &Lab) -> Self {
        Self::asking(lab, &request(&CLIENT, Some(&lab.challenge())))
    }

    /// The same with this content in the envelope.
    pub(crate) fn asking(lab: &Lab, request: &[u8]) -> Self {
        Self {
            key: CLIENT.clone(),
            certificate: self_signed(&CLIENT),
            digest: Digest::Sha256,
            attributes: vec![
                Attribute::printable(MESSAGE_TYPE, b"19"),
                Attribute::printable(TRANSACTION_ID, b"transaction"),
                Attribute::octets(SENDER_NONCE, &CLIENT_NONCE),
            ],
            content: envelope(lab, request, Cipher::Aes128Cbc),
        }
    }

    /// Signed by another key, under a certificate of its own.
    pub(crate) fn signed_by(mut self, key: &PrivateKey) -> Self {
        self.key = key.clone();
        self.certificate = self_signed(key);
        self
    }

    pub(crate) fn message_type(mut self, attribute: Attribute) -> Self {
        self.attributes[0] = attribute;
        self
    }

    pub(crate) fn transaction(mut self, attribute: Attribute) -> Self {
        self.attributes[1] = attribute;
        self
    }

    pub(crate) fn nonce(mut self, attribute: Attribute) -> Self {
        self.attributes[2] = attribute;
        self
    }

    pub(crate) fn sign(&self) -> Vec<u8> {
        self.attributes
            .iter()
            .fold(
                cms::Signer::new(&self.key, &self.certificate).digest(self.digest),
                |signer, attribute| signer.attribute(attribute.clone()),
            )
            .sign(&self.content)
            .unwrap()
    }
}

pub(crate) fn self_signed(key: &PrivateKey) -> Certificate {
    let template = template("throw-away", 9, both());
    Authority::self_signed(key.clone(), &template)
        .map(|own| own.certificate().clone())
        .unwrap()
}

pub(crate) fn request(key: &PrivateKey, challenge: Option<&str>) -> Vec<u8> {
    CertificationRequest::sign(key, &name("as the client likes"), challenge).unwrap()
}

pub(crate) fn envelope(lab: &Lab, content: &[u8], cipher: Cipher) -> Vec<u8> {
    cms::encrypt(content, &lab.recipient(), cipher).unwrap()
}
