//! From a decision to the bytes of the answer.

use std::time::{Duration, SystemTime};

use lanyard_pki::{
    Certificate, IssueError, SerialNumber, Template,
    cms::{self, Attribute, CmsError},
};

use super::Endpoint;
use crate::{
    Authorized, Exchange, FailInfo, MessageType, PkiStatus,
    message::{FAIL_INFO, FAIL_INFO_TEXT, MESSAGE_TYPE, PKI_STATUS, RECIPIENT_NONCE, SENDER_NONCE},
};

/// Certificates begin this much before now: a device whose clock is behind must not refuse its own.
const BACKDATED: Duration = Duration::from_secs(3600);

impl Endpoint {
    /// Issues the certificate that was authorised. The serial number must be new and unguessable.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(
        &self,
        authorized: &Authorized,
        serial: SerialNumber,
        now: SystemTime,
    ) -> Result<Certificate, IssueError> {
        let Authorized { request, profile } = authorized;
        let limit = self.authority().not_after();
        let not_after = now
            .checked_add(profile.lifetime)
            .map_or(limit, |end| end.min(limit));
        let template = Template {
            subject: profile.subject.clone(),
            serial,
            not_before: (now - BACKDATED).max(self.authority().not_before()),
            not_after,
            key_usage: profile.key_usage,
            extended_key_usage: profile.extended_key_usage.clone(),
            alternative_names: profile.alternative_names.clone(),
            authority: None,
            permitted_hosts: Vec::new(),
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

    /// The answer to a request that somebody has yet to decide. It has no content; the client asks again.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn pending(
        &self,
        exchange: &Exchange,
        nonce: [u8; 16],
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        self.answer(exchange, PkiStatus::Pending, nonce, now)
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
            .attribute(exchange.transaction.clone())
            .attribute(Attribute::octets(SENDER_NONCE, &nonce))
            .attribute(Attribute::octets(RECIPIENT_NONCE, &exchange.sender_nonce))
    }
}
