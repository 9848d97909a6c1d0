//! What a message asked for, for whoever decides.

use std::time::Duration;

use lanyard_pki::{
    AlternativeName, Certificate, CertificationRequest, Digest, ExtendedKeyUsage, KeyUsage, Name,
    cms::{Attribute, Cipher, CmsError},
};

use crate::{ChallengeError, ChallengeKey, Claims, FailInfo};

/// What the answer to a message needs: whom it goes to, and what it repeats.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(crate) transaction_id: Vec<u8>,
    /// The same as it stood in the message: it is repeated in the same string type.
    pub(crate) transaction: Attribute,
    pub(crate) sender_nonce: Vec<u8>,
    pub(crate) signer: Certificate,
    pub(crate) digest: Digest,
    pub(crate) cipher: Cipher,
}

impl Exchange {
    /// The client's transactionID: 1 to 255 octets of its choosing. Escape it before it is shown.
    #[must_use]
    pub fn transaction_id(&self) -> &[u8] {
        &self.transaction_id
    }

    /// The certificate that signed the message.
    #[must_use]
    pub fn signer(&self) -> &Certificate {
        &self.signer
    }

    fn transaction_of(&self, endpoint: &str) -> TransactionKey {
        TransactionKey {
            endpoint: endpoint.to_owned(),
            transaction_id: self.transaction_id.clone(),
            signer: self.signer.public_key().fingerprint(),
        }
    }
}

/// What tells one transaction from another: the client's identifier, which is often a hash of its key and so repeats,
/// together with the endpoint and the key that signs, so that nobody can sit on somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    /// The endpoint's name.
    pub endpoint: String,
    /// transactionID, as it came.
    pub transaction_id: Vec<u8>,
    /// SHA-256 of the signer's SubjectPublicKeyInfo.
    pub signer: [u8; 32],
}

/// A message whose signature holds.
#[derive(Clone, Debug)]
pub enum Received {
    /// PKCSReq: a certificate, please.
    Request(Box<Request>),
    /// CertPoll: is the pending certificate decided?
    Poll(Poll),
}

impl Received {
    /// Whom to answer, and how.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        match self {
            Self::Request(request) => &request.exchange,
            Self::Poll(poll) => &poll.exchange,
        }
    }

    /// The transaction that this belongs to.
    #[must_use]
    pub fn transaction(&self) -> TransactionKey {
        match self {
            Self::Request(request) => request.transaction(),
            Self::Poll(poll) => poll.transaction(),
        }
    }

    /// For an endpoint where nothing ever waits, and so nobody may poll.
    ///
    /// # Errors
    /// A refusal of the poll, to answer with [`Endpoint::failure`](crate::Endpoint::failure).
    pub fn request(self) -> Result<Request, Refusal> {
        match self {
            Self::Request(request) => Ok(*request),
            Self::Poll(poll) => Err(poll.refuse()),
        }
    }
}

/// A CertPoll whose signature holds. It says which transaction it is about, and nothing else: whoever remembered the request
/// goes on from there.
#[derive(Clone, Debug)]
pub struct Poll {
    pub(crate) endpoint: String,
    pub(crate) exchange: Exchange,
}

impl Poll {
    /// The transaction that is polled for. Another signer's poll is about another transaction.
    #[must_use]
    pub fn transaction(&self) -> TransactionKey {
        self.exchange.transaction_of(&self.endpoint)
    }

    /// The request that this poll is about: the one that was remembered under its transaction, from
    /// [`CertificationRequest::der`].
    ///
    /// # Errors
    /// A refusal if that is no request by the key that signed this poll.
    pub fn resume(self, csr: &[u8]) -> Result<Request, Refusal> {
        let csr = CertificationRequest::from_der(csr).ok();
        match csr.filter(|csr| csr.public_key() == self.exchange.signer.public_key()) {
            Some(csr) => Ok(Request {
                endpoint: self.endpoint,
                exchange: self.exchange,
                csr,
            }),
            None => Err(self.refuse()),
        }
    }

    /// There is no such transaction.
    #[must_use]
    pub fn refuse(self) -> Refusal {
        Refusal::failed(self.exchange, RefusalReason::UnknownTransaction)
    }
}

/// A PKCSReq whose signature holds, whose envelope opened, and whose sender has the key that it wants certified. Nothing
/// is known yet about whether it may have a certificate.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) endpoint: String,
    pub(crate) exchange: Exchange,
    pub(crate) csr: CertificationRequest,
}

impl Request {
    /// Whom to answer, and how.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// What is asked for. Its challenge is a secret.
    #[must_use]
    pub fn csr(&self) -> &CertificationRequest {
        &self.csr
    }

    /// The transaction that this belongs to.
    #[must_use]
    pub fn transaction(&self) -> TransactionKey {
        self.exchange.transaction_of(&self.endpoint)
    }

    /// Checks the challenge.
    ///
    /// # Errors
    /// A refusal to answer with [`Endpoint::failure`](crate::Endpoint::failure): the client is only told that it is not
    /// authorised.
    pub fn authenticate(
        self,
        key: &ChallengeKey,
        now: std::time::SystemTime,
    ) -> Result<Authenticated, Refusal> {
        let verified = match self.csr.challenge() {
            Some(challenge) => key.verify(&self.endpoint, challenge, now),
            None => Err(ChallengeError::Missing),
        };
        match verified {
            Ok(claims) => Ok(Authenticated {
                request: self,
                claims,
            }),
            Err(error) => Err(Refusal::failed(
                self.exchange,
                RefusalReason::Challenge(error),
            )),
        }
    }
}

/// A request whose challenge is ours and alive. It awaits the decision of whoever the challenge was minted by.
#[derive(Clone, Debug)]
pub struct Authenticated {
    request: Request,
    claims: Claims,
}

impl Authenticated {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What the challenge says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The caller decided that this request gets a certificate, and which.
    #[must_use]
    pub fn approve(self, profile: CertificateProfile) -> Authorized {
        Authorized {
            request: self.request,
            profile,
        }
    }

    /// The caller decided against it. The reason is for the log.
    #[must_use]
    pub fn reject(self, reason: String) -> Refusal {
        Refusal::failed(self.request.exchange, RefusalReason::Rejected(reason))
    }
}

/// What a certificate will say. Nothing of it is taken from the request but the key.
#[derive(Clone, Debug)]
pub struct CertificateProfile {
    /// Whom the certificate is about.
    pub subject: Name,
    /// subjectAltNames.
    pub alternative_names: Vec<AlternativeName>,
    /// Key usage. Devices need both signing and key encipherment, to open what is encrypted to them.
    pub key_usage: KeyUsage,
    /// Extended key usage.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// How long it is valid from now on. It begins an hour earlier, for devices whose clock is behind.
    pub lifetime: Duration,
}

/// A request that was authenticated and approved: the only thing that can be issued, and once.
#[derive(Debug)]
pub struct Authorized {
    pub(crate) request: Request,
    pub(crate) profile: CertificateProfile,
}

impl Authorized {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }
}

/// A message that does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to sign an answer to: 400 at the transport.
    #[error("not a message that can be answered")]
    Unanswerable(#[source] RefusalReason),
    /// To be answered with a FAILURE.
    #[error("refused")]
    Failed {
        /// Whom to answer.
        exchange: Box<Exchange>,
        /// For the log; what the client is told is less.
        #[source]
        reason: RefusalReason,
    },
}

/// Why a message is refused: for the log.
#[derive(Debug, thiserror::Error)]
pub enum RefusalReason {
    /// Not a pkiMessage.
    #[error("the message is not SignedData")]
    Message(#[source] CmsError),
    /// An attribute of the pkiMessage is missing, twice there or malformed.
    #[error("the pkiMessage attribute {0} is missing or malformed")]
    Attribute(&'static str),
    /// The outer signature does not hold.
    #[error("the message's signature is not accepted")]
    Signature(#[source] CmsError),
    /// An algorithm or key that this endpoint does not accept.
    #[error("the message uses an algorithm or a key that this endpoint does not accept")]
    Algorithm,
    /// A messageType that is unknown or not served.
    #[error("messageType {0} is not served here")]
    MessageType(String),
    /// A poll for what nobody has asked for, or for what is over.
    #[error("there is no such transaction to poll for")]
    UnknownTransaction,
    /// Encrypted to another key.
    #[error("the message is not encrypted to this endpoint")]
    NotRecipient,
    /// The envelope does not open, or what is in it is no request by the sender's key. One reason for all of it: see
    /// [`Endpoint::receive`](crate::Endpoint::receive).
    #[error("the envelope does not hold a request by the key that signed the message")]
    Envelope,
    /// The challenge.
    #[error("the challenge is not accepted")]
    Challenge(#[source] ChallengeError),
    /// The caller's decision.
    #[error("rejected: {0}")]
    Rejected(String),
}

impl RefusalReason {
    /// What stands in the answer.
    #[must_use]
    pub fn fail_info(&self) -> FailInfo {
        match self {
            Self::Algorithm => FailInfo::BadAlg,
            Self::Signature(_) | Self::Envelope => FailInfo::BadMessageCheck,
            Self::Message(_)
            | Self::Attribute(_)
            | Self::MessageType(_)
            | Self::NotRecipient
            | Self::UnknownTransaction
            | Self::Challenge(_)
            | Self::Rejected(_) => FailInfo::BadRequest,
        }
    }

    /// What the client is told: enough to mend a configuration, nothing to learn from.
    #[must_use]
    pub fn fail_text(&self) -> &'static str {
        match self {
            Self::Algorithm => {
                "algorithm or key not accepted: AES or 3DES, SHA-1 or SHA-2, RSA of 2048 bits or more"
            }
            Self::MessageType(_) => "unsupported messageType",
            Self::UnknownTransaction => "no such transaction",
            Self::NotRecipient => "not encrypted to this CA: fetch GetCACert again",
            Self::Signature(_) | Self::Envelope => "message check failed",
            Self::Message(_) | Self::Attribute(_) => "malformed message",
            Self::Challenge(_) | Self::Rejected(_) => "not authorised",
        }
    }
}

impl Refusal {
    pub(crate) fn failed(exchange: Exchange, reason: RefusalReason) -> Self {
        Self::Failed {
            exchange: Box::new(exchange),
            reason,
        }
    }

    /// Why: for the log.
    #[must_use]
    pub fn reason(&self) -> &RefusalReason {
        match self {
            Self::Unanswerable(reason) | Self::Failed { reason, .. } => reason,
        }
    }
}
