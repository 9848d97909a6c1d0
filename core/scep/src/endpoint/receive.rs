//! From the bytes of a message to a request whose sender is proven.

use lanyard_pki::{
    Certificate, CertificationRequest, Digest, SignatureError, Strength,
    cms::{Attributes, Cipher, CmsError, Envelope, SignedMessage},
};

use super::{Compatibility, Endpoint};
use crate::{
    Exchange, MessageType, Poll, Received, Refusal, RefusalReason, Request,
    message::{MESSAGE_TYPE, SENDER_NONCE, TRANSACTION_ID},
};

impl Endpoint {
    /// Reads a pkiMessage: everything that can be checked without a private key comes first, and nothing is looked at
    /// that is not signed. Opening the envelope, reading the request and checking that it is by the key that signed
    /// the message is one step with one outcome: told apart, they would be a decryption oracle. A poll's envelope is not opened.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn receive(&self, message: &[u8]) -> Result<Received, Refusal> {
        let signed = SignedMessage::parse(message)
            .map_err(|error| Refusal::Unanswerable(RefusalReason::Message(error)))?;
        let mut exchange = self.exchange(&signed).map_err(Refusal::Unanswerable)?;
        match self.open(&signed, &mut exchange) {
            Ok(Some(csr)) => Ok(Received::Request(Box::new(Request {
                endpoint: self.name.clone(),
                exchange,
                csr,
            }))),
            Ok(None) => Ok(Received::Poll(Poll {
                endpoint: self.name.clone(),
                exchange,
            })),
            Err(reason) => Err(Refusal::failed(exchange, reason)),
        }
    }

    /// What an answer needs, of a message that nobody has verified yet.
    fn exchange(&self, signed: &SignedMessage) -> Result<Exchange, RefusalReason> {
        let signer = signed
            .unverified_signer()
            .ok_or(RefusalReason::Message(CmsError::NoSignerCertificate))?;
        let no_attributes = Attributes::default();
        let attributes = signed.unverified_attributes().unwrap_or(&no_attributes);
        let missing = RefusalReason::Attribute;
        let transaction_id = within(255, attributes.string(TRANSACTION_ID));
        let sender_nonce = within(64, attributes.octets(SENDER_NONCE));
        Ok(Exchange {
            transaction_id: transaction_id.ok_or(missing("transactionID"))?,
            transaction: attributes
                .repeat(TRANSACTION_ID)
                .ok()
                .flatten()
                .ok_or(missing("transactionID"))?,
            sender_nonce: sender_nonce.ok_or(missing("senderNonce"))?,
            signer: signer.clone(),
            // An answer, a refusal among them, never uses what the endpoint would not take itself.
            digest: signed
                .digest()
                .filter(|&digest| digest != Digest::Sha1 || self.takes_old_algorithms())
                .unwrap_or(Digest::Sha256),
            cipher: Cipher::Aes128Cbc,
        })
    }

    /// The request that the message carries; `None` if it is a poll.
    fn open(
        &self,
        signed: &SignedMessage,
        exchange: &mut Exchange,
    ) -> Result<Option<CertificationRequest>, RefusalReason> {
        // The answer is encrypted to the signer, which only an RSA key can open.
        if exchange.signer.public_key().rsa_bits().is_none() {
            return Err(RefusalReason::Algorithm);
        }
        let verified = signed.verify(self.strength()).map_err(not_accepted)?;
        self.check_signer(verified.signer())?;
        let kind = verified
            .attributes()
            .and_then(|attributes| within(8, attributes.string(MESSAGE_TYPE)))
            .ok_or(RefusalReason::Attribute("messageType"))?;
        match MessageType::from_code(&kind) {
            Some(MessageType::PkcsReq) => {}
            // Who polls is told by transaction and key; the names inside add nothing (RFC 8894, 3.3.3), so that the private key
            // is not troubled. The envelope only tells which cipher the client has.
            Some(MessageType::CertPoll) => {
                if let Ok(envelope) = Envelope::parse(verified.content())
                    && (envelope.cipher() != Cipher::TripleDesCbc || self.takes_old_algorithms())
                {
                    exchange.cipher = envelope.cipher();
                }
                return Ok(None);
            }
            _ => {
                return Err(RefusalReason::MessageType(
                    String::from_utf8_lossy(&kind).escape_debug().to_string(),
                ));
            }
        }
        let envelope = Envelope::parse(verified.content()).map_err(|error| match error {
            CmsError::Algorithm(_) => RefusalReason::Algorithm,
            _ => RefusalReason::Envelope,
        })?;
        if envelope.cipher() == Cipher::TripleDesCbc && !self.takes_old_algorithms() {
            return Err(RefusalReason::Algorithm);
        }
        exchange.cipher = envelope.cipher();
        self.request_inside(&envelope, signed).map(Some)
    }

    /// The signer's certificate is signed by itself, or by this authority where a device uses the one that it has. Its
    /// names would otherwise be anybody's to change. Such a signature proves nothing more, so SHA-1 will do.
    fn check_signer(&self, signer: &Certificate) -> Result<(), RefusalReason> {
        signer
            .verify_signed_by(signer.public_key(), Strength::Sha1)
            .or_else(|error| {
                signer
                    .verify_signed_by(self.authority().public_key(), self.strength())
                    .map_err(|_| error)
            })
            .map_err(|error| not_accepted(error.into()))
    }

    /// Whatever is wrong from the private key's work on, one public-key check is done and one reason comes out.
    fn request_inside(
        &self,
        envelope: &Envelope,
        signed: &SignedMessage,
    ) -> Result<CertificationRequest, RefusalReason> {
        let (certificate, key) = self.recipient();
        let content = match envelope.decrypt(certificate, key) {
            Err(CmsError::NotRecipient) => return Err(RefusalReason::NotRecipient),
            // The key transport, which stands in the message for everybody to read.
            Err(CmsError::Algorithm(_)) => return Err(RefusalReason::Algorithm),
            opened => opened.ok(),
        };
        let signer = signed.unverified_signer().map(Certificate::public_key);
        let csr = content
            .and_then(|content| CertificationRequest::from_der(&content).ok())
            .filter(|csr| Some(csr.public_key()) == signer);
        let proven = match &csr {
            Some(csr) => csr.verify(self.strength()).is_ok(),
            None => {
                // By the same key, so that the time taken does not tell what the answer does not.
                let _ = signed.verify(self.strength());
                false
            }
        };
        csr.filter(|_| proven).ok_or(RefusalReason::Envelope)
    }

    fn takes_old_algorithms(&self) -> bool {
        self.compatibility == Compatibility::Compatible
    }

    fn strength(&self) -> Strength {
        if self.takes_old_algorithms() {
            Strength::Sha1
        } else {
            Strength::Modern
        }
    }
}

fn not_accepted(error: CmsError) -> RefusalReason {
    match error {
        CmsError::Signature(SignatureError::Strength | SignatureError::Algorithm)
        | CmsError::Algorithm(_) => RefusalReason::Algorithm,
        other => RefusalReason::Signature(other),
    }
}

/// An attribute's value, if it is there once, of the right type, and has from one to `limit` octets.
fn within(limit: usize, value: Result<Option<&[u8]>, CmsError>) -> Option<Vec<u8>> {
    let value = value.ok()??;
    (1..=limit).contains(&value.len()).then(|| value.to_vec())
}
