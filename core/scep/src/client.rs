//! The client half of SCEP: reads what an endpoint offers, asks for a certificate, reads the answer.
//!
//! ```text
//! GetCACaps, GetCACert ─▶ Authorities::read ─▶ Enrollment::new ─▶ message() ─▶ PKIOperation ─▶ receive ─▶ Answer
//!                                                                    ▲                                     │
//!                                                                    └────── poll() ◀────── Pending ◀──────┘
//! ```

use std::time::{Duration, SystemTime};

use lanyard_pki::{
    Authority, Certificate, CertificateError, CertificationRequest, IssueError, KeyError, KeyUsage,
    Name, PrivateKey, SerialNumber, Strength, Template,
    cms::{self, Attribute, Cipher, CmsError, Envelope, SignedMessage, Verified},
};

use crate::{
    FailInfo, MessageType, PkiStatus,
    message::{
        FAIL_INFO, FAIL_INFO_TEXT, MESSAGE_TYPE, PKI_STATUS, RECIPIENT_NONCE, SENDER_NONCE,
        TRANSACTION_ID,
    },
};

/// Enrolling as a client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// GetCACert's answer cannot be read.
    #[error("the answer to GetCACert is not a certificate")]
    Certificate(#[from] CertificateError),
    /// GetCACert's answer lacks something.
    #[error("the answer to GetCACert has no certificate to {0}")]
    NoAuthority(&'static str),
    /// A message could not be read, verified, opened or written.
    #[error("the message is not accepted")]
    Message(#[from] CmsError),
    /// The request could not be written.
    #[error("the request could not be written")]
    Key(#[from] KeyError),
    /// The certificate that signs the request could not be written.
    #[error("the request's own certificate could not be written")]
    Issue(#[from] IssueError),
    /// Not the answer to this request: another nonce, another transaction, another signer.
    #[error("this is not the answer to the request: its {0} is another")]
    NotTheAnswer(&'static str),
    /// No certificate for our key in the answer.
    #[error("the answer carries no certificate for the key of the request")]
    NoCertificate,
}

/// The certificates of an endpoint, sorted by what they are for.
#[derive(Clone, Debug)]
pub struct Authorities {
    recipient: Certificate,
    signer: Certificate,
    all: Vec<Certificate>,
}

impl Authorities {
    /// Reads the answer to GetCACert, by its content type (RFC 8894, 4.2.1). Of several certificates, the one that is no
    /// authority's and has the usage is taken; without one, the authority's.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn read(content_type: &str, body: &[u8]) -> Result<Self, ClientError> {
        let all = if content_type.starts_with("application/x-x509-ca-ra-cert") {
            cms::parse_certificates_only(body)?
        } else {
            vec![Certificate::from_der(body)?]
        };
        let find = |usage| {
            all.iter()
                .find(|each| {
                    !each.is_authority() && each.key_usage().is_some_and(|has| has.contains(usage))
                })
                .or_else(|| {
                    all.iter()
                        .find(|each| each.is_authority() && each.public_key().rsa_bits().is_some())
                })
                .cloned()
        };
        Ok(Self {
            recipient: find(KeyUsage::KEY_ENCIPHERMENT)
                .ok_or(ClientError::NoAuthority("encrypt to"))?,
            signer: find(KeyUsage::DIGITAL_SIGNATURE)
                .ok_or(ClientError::NoAuthority("verify answers with"))?,
            all,
        })
    }

    /// Who issues: the authority that issued the recipient, or the recipient itself where it is one.
    fn issuer(&self) -> &Certificate {
        let mut all = self.all.iter();
        all.find(|each| each.is_authority() && each.subject() == self.recipient.issuer())
            .unwrap_or(&self.recipient)
    }

    /// All certificates, in the order in which they came.
    #[must_use]
    pub fn all(&self) -> &[Certificate] {
        &self.all
    }
}

/// One request for a certificate, and what is needed to read its answer.
#[derive(Debug)]
pub struct Enrollment<'a> {
    authorities: &'a Authorities,
    key: &'a PrivateKey,
    /// Signs the request, and is what the answer is encrypted to.
    certificate: Certificate,
    subject: Name,
    transaction_id: Vec<u8>,
    nonce: [u8; 16],
    message: Vec<u8>,
}

/// What an endpoint answered.
#[derive(Debug)]
pub enum Answer {
    /// The certificate.
    Issued(Certificate),
    /// Not decided yet.
    Pending,
    /// Refused.
    Failed {
        /// failInfo, if there is one that is known.
        info: Option<FailInfo>,
        /// failInfoText, if there is one.
        text: Option<String>,
    },
}

impl<'a> Enrollment<'a> {
    /// Writes a PKCSReq with AES-128 and SHA-256, signed by a throw-away certificate for the key itself, as RFC 8894, 2.3 says.
    /// The transactionID is the key's fingerprint, so that a repeated request is the same transaction.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn new(
        authorities: &'a Authorities,
        key: &'a PrivateKey,
        subject: &Name,
        challenge: Option<&str>,
        nonce: [u8; 16],
        now: SystemTime,
    ) -> Result<Self, ClientError> {
        let certificate = self_signed(key, subject, SerialNumber::from_random(nonce), now)?;
        let fingerprint = key.public_key().fingerprint();
        let transaction_id: Vec<u8> = fingerprint[..20]
            .iter()
            .flat_map(|octet| format!("{octet:02X}").into_bytes())
            .collect();
        let request = CertificationRequest::sign(key, subject, challenge)?;
        let mut enrollment = Self {
            authorities,
            key,
            certificate,
            subject: subject.clone(),
            transaction_id,
            nonce,
            message: Vec::new(),
        };
        enrollment.write(MessageType::PkcsReq, &request, nonce, now)?;
        Ok(enrollment)
    }

    /// The next message is a CertPoll (RFC 8894, 3.3.3): after [`Answer::Pending`] it asks whether the request is decided. A poll has
    /// a nonce of its own.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn poll(&mut self, nonce: [u8; 16], now: SystemTime) -> Result<(), ClientError> {
        let issuer = self.authorities.issuer().subject();
        let about = issuer.and_subject(&self.subject);
        self.write(MessageType::CertPoll, &about, nonce, now)
    }

    fn write(
        &mut self,
        kind: MessageType,
        content: &[u8],
        nonce: [u8; 16],
        now: SystemTime,
    ) -> Result<(), ClientError> {
        let envelope = cms::encrypt(content, &self.authorities.recipient, Cipher::Aes128Cbc)?;
        self.message = cms::Signer::new(self.key, &self.certificate)
            .signing_time(now)
            .attribute(Attribute::printable(MESSAGE_TYPE, kind.code().as_bytes()))
            .attribute(Attribute::printable(TRANSACTION_ID, &self.transaction_id))
            .attribute(Attribute::octets(SENDER_NONCE, &nonce))
            .sign(&envelope)?;
        self.nonce = nonce;
        Ok(())
    }

    /// The pkiMessage to send as PKIOperation.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Reads the answer: it must be signed by the endpoint's signer, be for this transaction and repeat our nonce.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn receive(&self, answer: &[u8]) -> Result<Answer, ClientError> {
        let signed = SignedMessage::parse(answer)?;
        let verified = match signed.unverified_content() {
            Some(_) => signed.verify(Strength::Modern)?,
            None => signed.verify_detached(&[], Strength::Modern)?,
        };
        if *verified.signer() != self.authorities.signer {
            return Err(ClientError::NotTheAnswer("signer"));
        }
        let same = |kind, expected: &[u8]| {
            attribute(&verified, kind).is_ok_and(|value| value == Some(expected))
        };
        if !same(MESSAGE_TYPE, MessageType::CertRep.code().as_bytes()) {
            return Err(ClientError::NotTheAnswer("messageType"));
        }
        if !same(TRANSACTION_ID, &self.transaction_id) {
            return Err(ClientError::NotTheAnswer("transactionID"));
        }
        if !same(RECIPIENT_NONCE, &self.nonce) {
            return Err(ClientError::NotTheAnswer("recipientNonce"));
        }
        match attribute(&verified, PKI_STATUS)?.and_then(PkiStatus::from_code) {
            Some(PkiStatus::Success) => self
                .certificate_inside(verified.content())
                .map(Answer::Issued),
            Some(PkiStatus::Pending) => Ok(Answer::Pending),
            Some(PkiStatus::Failure) => Ok(Answer::Failed {
                info: attribute(&verified, FAIL_INFO)?.and_then(FailInfo::from_code),
                text: attribute(&verified, FAIL_INFO_TEXT)?
                    .map(|text| String::from_utf8_lossy(text).into_owned()),
            }),
            None => Err(ClientError::NotTheAnswer("pkiStatus")),
        }
    }

    fn certificate_inside(&self, envelope: &[u8]) -> Result<Certificate, ClientError> {
        let content = Envelope::parse(envelope)?.decrypt(&self.certificate, self.key)?;
        cms::parse_certificates_only(&content)?
            .into_iter()
            .find(|certificate| certificate.public_key() == self.key.public_key())
            .ok_or(ClientError::NoCertificate)
    }
}

fn attribute<'a>(
    verified: &Verified<'a>,
    kind: lanyard_pki::ObjectIdentifier,
) -> Result<Option<&'a [u8]>, ClientError> {
    match verified.attributes() {
        Some(attributes) => Ok(attributes.value(kind)?),
        None => Ok(None),
    }
}

fn self_signed(
    key: &PrivateKey,
    subject: &Name,
    serial: SerialNumber,
    now: SystemTime,
) -> Result<Certificate, IssueError> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let template = Template {
        subject: subject.clone(),
        serial,
        not_before: now - DAY,
        not_after: now + 7 * DAY,
        key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT),
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    };
    Ok(Authority::self_signed(key.clone(), &template)?
        .certificate()
        .clone())
}
