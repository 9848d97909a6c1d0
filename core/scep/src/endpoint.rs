use std::time::{Duration, SystemTime};

use lanyard_pki::{
    Authority, Certificate, CertificationRequest, Digest, IssueError, KeyUsage, PrivateKey,
    Strength, Template,
    cms::{self, Attribute, Attributes, Cipher, CmsError, Envelope, SignedMessage},
};

use crate::{
    Authorized, Exchange, FailInfo, MessageType, PkiStatus, Refusal, RefusalReason, Request,
    message::{
        FAIL_INFO, FAIL_INFO_TEXT, MESSAGE_TYPE, PKI_STATUS, RECIPIENT_NONCE, SENDER_NONCE,
        TRANSACTION_ID,
    },
};

/// Certificates begin this much before now: a device whose clock is behind must not refuse its own.
const BACKDATED: Duration = Duration::from_secs(3600);

/// An endpoint cannot be set up so.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// SCEP envelopes need RSA.
    #[error(
        "the {0} of an SCEP endpoint needs an RSA key; put an RSA registration authority in front of a P-256 authority"
    )]
    NotRsa(&'static str),
    /// The usage in the certificate does not allow what it is for.
    #[error("the certificate of the {0} does not carry the key usage that it needs")]
    KeyUsage(&'static str),
    /// Not issued by the authority.
    #[error("the certificate of the {0} was not issued by the endpoint's authority")]
    NotIssuedByAuthority(&'static str),
}

/// A certificate and its key, in use at an endpoint.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: PrivateKey,
}

/// Who decrypts requests and signs answers.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The authority itself, whose key is RSA.
    AuthorityOnly,
    /// One registration authority for both.
    OneRa(Identity),
    /// One registration authority that signs, one that decrypts: a decryption oracle could then forge nothing.
    SplitRa {
        /// Signs answers: digitalSignature.
        signing: Identity,
        /// Decrypts requests: keyEncipherment.
        encryption: Identity,
    },
}

/// Which algorithms clients may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// AES and SHA-2.
    Modern,
    /// Also 3DES and SHA-1, which old clients know only. Never DES, RC2 or MD5.
    Compatible,
}

/// The answer to GetCACert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityResponse {
    /// Clients compare it letter by letter.
    pub content_type: &'static str,
    /// One certificate, or a SignedData with several.
    pub body: Vec<u8>,
}

/// The server half of SCEP at one URL: one authority, one mode.
#[derive(Clone, Debug)]
pub struct Endpoint {
    name: String,
    authority: Authority,
    /// What stands above the authority, its own issuer first, the root last; empty for a root.
    above: Vec<Certificate>,
    mode: Mode,
    compatibility: Compatibility,
}

impl Endpoint {
    /// Sets an endpoint up. The name goes into its challenges and transactions.
    ///
    /// # Errors
    /// [`EndpointError`]
    pub fn new(
        name: &str,
        authority: Authority,
        above: Vec<Certificate>,
        mode: Mode,
        compatibility: Compatibility,
    ) -> Result<Self, EndpointError> {
        let endpoint = Self {
            name: name.to_owned(),
            authority,
            above,
            mode,
            compatibility,
        };
        match &endpoint.mode {
            Mode::AuthorityOnly if !endpoint.authority.key().is_rsa() => {
                return Err(EndpointError::NotRsa("authority"));
            }
            Mode::AuthorityOnly => {}
            Mode::OneRa(ra) => {
                let usage = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
                endpoint.check_ra("registration authority", ra, usage)?;
            }
            Mode::SplitRa {
                signing,
                encryption,
            } => {
                endpoint.check_ra(
                    "signing registration authority",
                    signing,
                    KeyUsage::DIGITAL_SIGNATURE,
                )?;
                endpoint.check_ra(
                    "encrypting registration authority",
                    encryption,
                    KeyUsage::KEY_ENCIPHERMENT,
                )?;
            }
        }
        Ok(endpoint)
    }

    /// Apple's client sorts by key usage, jscep checks that the RA is issued by the authority itself.
    fn check_ra(
        &self,
        what: &'static str,
        ra: &Identity,
        usage: KeyUsage,
    ) -> Result<(), EndpointError> {
        if !ra.key.is_rsa() {
            return Err(EndpointError::NotRsa(what));
        }
        if ra.certificate.is_authority()
            || !ra
                .certificate
                .key_usage()
                .is_some_and(|has| has.contains(usage))
        {
            return Err(EndpointError::KeyUsage(what));
        }
        let key = self.authority.key().public_key();
        ra.certificate
            .verify_signed_by(key, Strength::Modern)
            .map_err(|_| EndpointError::NotIssuedByAuthority(what))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificate of the authority that issues here.
    #[must_use]
    pub fn authority(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// The answer to GetCACaps (RFC 8894, 3.5.2), as `text/plain`. No empty line, no blank at a line's end, `\n` and not
    /// `\r\n`: each of these has broken a client. SHA-384 is there because strongSwan before 5.9.11 sees AES only with it.
    #[must_use]
    pub fn capabilities(&self) -> &'static str {
        match self.compatibility {
            Compatibility::Modern => {
                "AES\nPOSTPKIOperation\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n"
            }
            Compatibility::Compatible => {
                "AES\nDES3\nPOSTPKIOperation\nSCEPStandard\nSHA-1\nSHA-256\nSHA-384\nSHA-512\n"
            }
        }
    }

    /// The answer to GetCACert (RFC 8894, 4.2.1). Without a registration authority it is one bare certificate: Apple's
    /// client takes a bundle for a sign that there are registration authorities. With one: RAs, the authority, the root.
    #[must_use]
    pub fn authorities(&self) -> AuthorityResponse {
        let ras: &[&Certificate] = match &self.mode {
            Mode::AuthorityOnly => {
                return AuthorityResponse {
                    content_type: "application/x-x509-ca-cert",
                    body: self.authority().der().to_vec(),
                };
            }
            Mode::OneRa(ra) => &[&ra.certificate],
            Mode::SplitRa {
                signing,
                encryption,
            } => &[&signing.certificate, &encryption.certificate],
        };
        let bundle: Vec<&Certificate> = ras
            .iter()
            .copied()
            .chain([self.authority()])
            .chain(&self.above)
            .collect();
        AuthorityResponse {
            content_type: "application/x-x509-ca-ra-cert",
            body: cms::certificates_only(&bundle),
        }
    }

    /// The certificate whose fingerprint a device is given to recognise this endpoint by: the root of the bundle, or the
    /// one certificate.
    #[must_use]
    pub fn anchor(&self) -> &Certificate {
        match self.mode {
            Mode::AuthorityOnly => self.authority(),
            Mode::OneRa(_) | Mode::SplitRa { .. } => self.above.last().unwrap_or(self.authority()),
        }
    }

    fn recipient(&self) -> (&Certificate, &PrivateKey) {
        match &self.mode {
            Mode::AuthorityOnly => (self.authority.certificate(), self.authority.key()),
            Mode::OneRa(ra) | Mode::SplitRa { encryption: ra, .. } => (&ra.certificate, &ra.key),
        }
    }

    fn signer(&self) -> (&Certificate, &PrivateKey) {
        match &self.mode {
            Mode::AuthorityOnly => (self.authority.certificate(), self.authority.key()),
            Mode::OneRa(ra) | Mode::SplitRa { signing: ra, .. } => (&ra.certificate, &ra.key),
        }
    }

    fn strength(&self) -> Strength {
        match self.compatibility {
            Compatibility::Modern => Strength::Modern,
            Compatibility::Compatible => Strength::Sha1,
        }
    }

    /// Reads a pkiMessage: everything that can be checked without a private key comes first, and nothing is looked at
    /// that is not signed. Opening the envelope, reading the request and checking that it is by the key that signed
    /// the message is one step with one outcome: told apart, they would be a decryption oracle.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn receive(&self, message: &[u8]) -> Result<Request, Refusal> {
        let unanswerable = |reason| Err(Refusal::Unanswerable(reason));
        let signed = match SignedMessage::parse(message) {
            Ok(signed) => signed,
            Err(error) => return unanswerable(RefusalReason::Message(error)),
        };
        let Some(signer) = signed.unverified_signer() else {
            return unanswerable(RefusalReason::Message(CmsError::NoSignerCertificate));
        };
        let no_attributes = Attributes::default();
        let attributes = signed.unverified_attributes().unwrap_or(&no_attributes);
        let (transaction_id, sender_nonce) = match (
            attribute(attributes, TRANSACTION_ID, 255),
            attribute(attributes, SENDER_NONCE, 64),
        ) {
            (Some(transaction_id), Some(sender_nonce)) => (transaction_id, sender_nonce),
            (None, _) => return unanswerable(RefusalReason::Attribute("transactionID")),
            (_, None) => return unanswerable(RefusalReason::Attribute("senderNonce")),
        };
        let mut exchange = Exchange {
            transaction_id,
            sender_nonce,
            signer: signer.clone(),
            digest: signed.digest().unwrap_or(Digest::Sha256),
            cipher: Cipher::Aes128Cbc,
        };
        match self.open(&signed, attributes, &mut exchange) {
            Ok(csr) => Ok(Request {
                endpoint: self.name.clone(),
                exchange,
                csr,
            }),
            Err(reason) => Err(Refusal::failed(exchange, reason)),
        }
    }

    fn open(
        &self,
        signed: &SignedMessage,
        attributes: &Attributes,
        exchange: &mut Exchange,
    ) -> Result<CertificationRequest, RefusalReason> {
        // The answer is encrypted to the signer, which only an RSA key can open.
        if signed.digest().is_none() || exchange.signer.public_key().rsa_bits().is_none() {
            return Err(RefusalReason::Algorithm);
        }
        let verified = signed
            .verify(self.strength())
            .map_err(|error| match error {
                CmsError::Signature(lanyard_pki::SignatureError::Mismatch)
                | CmsError::DigestMismatch => RefusalReason::Signature(error),
                CmsError::Signature(_) | CmsError::Algorithm(_) => RefusalReason::Algorithm,
                other => RefusalReason::Signature(other),
            })?;
        let kind = attribute(attributes, MESSAGE_TYPE, 8)
            .ok_or(RefusalReason::Attribute("messageType"))?;
        if MessageType::from_code(&kind) != Some(MessageType::PkcsReq) {
            return Err(RefusalReason::MessageType(
                String::from_utf8_lossy(&kind).escape_debug().to_string(),
            ));
        }
        let envelope = Envelope::parse(verified.content()).map_err(|error| match error {
            CmsError::Algorithm(_) => RefusalReason::Algorithm,
            _ => RefusalReason::Envelope,
        })?;
        if envelope.cipher() == Cipher::TripleDesCbc && self.compatibility == Compatibility::Modern
        {
            return Err(RefusalReason::Algorithm);
        }
        exchange.cipher = envelope.cipher();
        let (certificate, key) = self.recipient();
        if !envelope.is_for(certificate) {
            return Err(RefusalReason::NotRecipient);
        }
        self.request_inside(&envelope, certificate, key, verified.signer())
            .ok_or(RefusalReason::Envelope)
    }

    fn request_inside(
        &self,
        envelope: &Envelope,
        certificate: &Certificate,
        key: &PrivateKey,
        signer: &Certificate,
    ) -> Option<CertificationRequest> {
        let content = envelope.decrypt(certificate, key).ok()?;
        let csr = CertificationRequest::from_der(&content).ok()?;
        let possessed = csr.verify(self.strength()).is_ok();
        (possessed && csr.public_key() == signer.public_key()).then_some(csr)
    }

    /// Issues the certificate that was authorised. The serial number must be new and unguessable.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(
        &self,
        authorized: &Authorized,
        serial: [u8; 16],
        now: SystemTime,
    ) -> Result<Certificate, IssueError> {
        let Authorized { request, profile } = authorized;
        let not_after = (now + profile.lifetime).min(self.authority().not_after());
        let template = Template {
            subject: profile.subject.clone(),
            serial,
            not_before: (now - BACKDATED).max(self.authority().not_before()),
            not_after,
            key_usage: profile.key_usage,
            extended_key_usage: profile.extended_key_usage.clone(),
            alternative_names: profile.alternative_names.clone(),
            authority: None,
        };
        self.authority
            .danger_issue(&template, request.csr.public_key())
    }

    /// The answer that carries a certificate: that certificate alone, encrypted to whoever signed the request.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn success(
        &self,
        exchange: &Exchange,
        certificate: &Certificate,
        nonce: [u8; 16],
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        let content = cms::certificates_only(&[certificate]);
        let envelope = cms::encrypt(&content, &exchange.signer, exchange.cipher)?;
        self.answer(exchange, PkiStatus::Success, nonce, now)
            .sign(&envelope)
    }

    /// The answer to a request that gets no certificate. It has no content.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn failure(
        &self,
        exchange: &Exchange,
        fail_info: FailInfo,
        text: &str,
        nonce: [u8; 16],
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        self.answer(exchange, PkiStatus::Failure, nonce, now)
            .attribute(Attribute::printable(FAIL_INFO, fail_info.code().as_bytes()))
            .attribute(Attribute::utf8(FAIL_INFO_TEXT, text))
            .detached()
            .sign(&[])
    }

    /// What every CertRep has (RFC 8894, 3.3.2): clients were seen to refuse it, or to crash, where one of these is missing.
    fn answer(
        &self,
        exchange: &Exchange,
        status: PkiStatus,
        nonce: [u8; 16],
        now: SystemTime,
    ) -> cms::Signer<'_> {
        let (certificate, key) = self.signer();
        cms::Signer::new(key, certificate)
            .digest(exchange.digest)
            .signing_time(now)
            .attribute(Attribute::printable(
                MESSAGE_TYPE,
                MessageType::CertRep.code().as_bytes(),
            ))
            .attribute(Attribute::printable(PKI_STATUS, status.code().as_bytes()))
            .attribute(Attribute::printable(
                TRANSACTION_ID,
                &exchange.transaction_id,
            ))
            .attribute(Attribute::octets(SENDER_NONCE, &nonce))
            .attribute(Attribute::octets(RECIPIENT_NONCE, &exchange.sender_nonce))
    }
}

/// An attribute's value, if it is there once and has at most `limit` octets and at least one.
fn attribute(
    attributes: &Attributes,
    kind: lanyard_pki::ObjectIdentifier,
    limit: usize,
) -> Option<Vec<u8>> {
    let value = attributes.value(kind).ok()??;
    (1..=limit).contains(&value.len()).then(|| value.to_vec())
}
