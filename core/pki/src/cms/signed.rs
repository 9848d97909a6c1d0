//! SignedData as it is read and verified (RFC 5652, 5).

use std::fmt;

use der::Tag;

use super::{Attributes, CertificateId, CmsError, content_info};
use crate::{
    Certificate, Digest, ObjectIdentifier, SignatureError, Strength,
    asn1::{self, Walk},
    ber, oid,
};

const MAX_CERTIFICATES: usize = 16;

/// SignedData with exactly one signer (RFC 5652, 5), read and not yet verified.
///
/// `Debug` shows how long the content is, not what it says: messages carry secrets.
#[derive(Clone)]
pub struct SignedMessage {
    content_type: ObjectIdentifier,
    content: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    signer: SignerInfo,
}

#[derive(Clone)]
struct SignerInfo {
    id: CertificateId,
    digest: ObjectIdentifier,
    attributes: Option<Attributes>,
    signature_algorithm: ObjectIdentifier,
    /// Whether both algorithms are without parameters. RSASSA-PSS has some, and is not known here.
    plain: bool,
    signature: Vec<u8>,
}

/// What a verified message says, and who says it. That the signer's certificate is to be trusted is not known yet.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    content: &'a [u8],
    signer: &'a Certificate,
    message: &'a SignedMessage,
    digest: Digest,
}

impl SignedMessage {
    /// Reads a ContentInfo in BER or DER; nothing may follow it. Certificates in it that cannot be read are passed over.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn parse(message: &[u8]) -> Result<Self, CmsError> {
        let message = ber::normalise(message)?;
        let (kind, content) = content_info(&message)?;
        if kind != oid::SIGNED_DATA {
            return Err(CmsError::ContentType(kind));
        }
        let mut fields = content.expect(Tag::Sequence)?.children()?;
        let version = fields.next()?;
        let digests = fields.expect(Tag::Set)?;
        let (content_type, content) = encapsulated(fields.expect(Tag::Sequence)?)?;
        let certificates = match fields.optional(asn1::context(0))? {
            Some(set) => certificates(set)?,
            None => Vec::new(),
        };
        fields.optional(asn1::context(1))?;
        let signer = SignerInfo::read(only_signer(fields.expect(Tag::Set)?)?)?;
        fields.end()?;

        // What follows from the rest of the message must follow from it (RFC 5652, 5.1): no octet goes unchecked.
        let plain_content = content_type == oid::DATA && signer.id.version() == 1;
        version.version(if plain_content { 1 } else { 3 })?;
        if !lists(digests, signer.digest)? {
            return Err(CmsError::Algorithm(signer.digest));
        }
        Ok(Self {
            content_type,
            content,
            certificates,
            signer,
        })
    }

    /// The content carried in the message, as nobody has verified it yet.
    #[must_use]
    pub fn unverified_content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// The signed attributes, as nobody has verified them yet: a protocol needs them to answer a refusal.
    #[must_use]
    pub fn unverified_attributes(&self) -> Option<&Attributes> {
        self.signer.attributes.as_ref()
    }

    /// The certificates that the message carries, at most 16.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The certificate that the signer names, if the message carries it.
    #[must_use]
    pub fn unverified_signer(&self) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| self.signer.id.is(certificate))
    }

    /// The signer's digest algorithm, if it is a known one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        Digest::from_oid(self.signer.digest)
    }

    /// Verifies the signature over the content in the message, with the key of the signer's certificate in it.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn verify(&self, strength: Strength) -> Result<Verified<'_>, CmsError> {
        self.verify_over(
            self.content.as_deref().ok_or(CmsError::NoContent)?,
            strength,
        )
    }

    /// Verifies the signature of a message without content ("detached") over these octets. Content in the message is
    /// an error: two contents are one too many.
    ///
    /// # Errors
    /// [`CmsError`]
    pub fn verify_detached<'a>(
        &'a self,
        content: &'a [u8],
        strength: Strength,
    ) -> Result<Verified<'a>, CmsError> {
        if self.content.is_some() {
            return Err(CmsError::ContentType(self.content_type));
        }
        self.verify_over(content, strength)
    }

    fn verify_over<'a>(
        &'a self,
        content: &'a [u8],
        strength: Strength,
    ) -> Result<Verified<'a>, CmsError> {
        let signer = self
            .unverified_signer()
            .ok_or(CmsError::NoSignerCertificate)?;
        let digest = self
            .digest()
            .ok_or(CmsError::Algorithm(self.signer.digest))?;
        if !self.signer.plain {
            return Err(CmsError::Algorithm(self.signer.signature_algorithm));
        }
        match &self.signer.attributes {
            Some(attributes) => {
                self.check_attributes(attributes, digest, content)?;
                // Clients exist that sign their attributes unsorted, and clients that sort them for the signature only.
                let (came, sorted) = attributes.signed_octets()?;
                match (
                    self.check_signature(signer, digest, &came, strength),
                    sorted,
                ) {
                    (Err(SignatureError::Mismatch), Some(sorted)) => {
                        self.check_signature(signer, digest, &sorted, strength)?;
                    }
                    (outcome, _) => outcome?,
                }
            }
            None => {
                self.check_bare(content)?;
                self.check_signature(signer, digest, content, strength)?;
            }
        }
        Ok(Verified {
            content,
            signer,
            message: self,
            digest,
        })
    }

    /// Without attributes nothing signs the content type, so it can only be data (RFC 5652, 5.3). Attributes that were
    /// signed elsewhere, passed off as a content, would verify, too: they are refused.
    fn check_bare(&self, content: &[u8]) -> Result<(), CmsError> {
        if self.content_type != oid::DATA {
            return Err(CmsError::ContentType(self.content_type));
        }
        if Attributes::are(content) {
            return Err(CmsError::Attribute(oid::MESSAGE_DIGEST));
        }
        Ok(())
    }

    /// RFC 5652, 11.1 and 11.2. OpenSSL leaves the first of the two out.
    fn check_attributes(
        &self,
        attributes: &Attributes,
        digest: Digest,
        content: &[u8],
    ) -> Result<(), CmsError> {
        if attributes.required(oid::CONTENT_TYPE)?.oid()? != self.content_type {
            return Err(CmsError::Attribute(oid::CONTENT_TYPE));
        }
        let signed = attributes
            .required(oid::MESSAGE_DIGEST)?
            .expect(Tag::OctetString)?
            .contents;
        if signed == digest.of(content) {
            Ok(())
        } else {
            Err(CmsError::DigestMismatch)
        }
    }

    fn check_signature(
        &self,
        signer: &Certificate,
        digest: Digest,
        signed: &[u8],
        strength: Strength,
    ) -> Result<(), SignatureError> {
        let SignerInfo {
            signature_algorithm,
            signature,
            ..
        } = &self.signer;
        signer.public_key().verify_as(
            *signature_algorithm,
            Some(digest),
            signed,
            signature,
            strength,
        )
    }
}

impl<'a> Verified<'a> {
    /// What was signed.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Who signed it.
    #[must_use]
    pub fn signer(&self) -> &'a Certificate {
        self.signer
    }

    /// All certificates of the message, the signer's among them.
    #[must_use]
    pub fn certificates(&self) -> &'a [Certificate] {
        &self.message.certificates
    }

    /// The signed attributes; none if the signature is straight over the content.
    #[must_use]
    pub fn attributes(&self) -> Option<&'a Attributes> {
        self.message.signer.attributes.as_ref()
    }

    /// The digest that was signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl SignerInfo {
    fn read(element: asn1::Element<'_>) -> Result<Self, CmsError> {
        let mut fields = element.expect(Tag::Sequence)?.children()?;
        let version = fields.next()?;
        let id = CertificateId::read(fields.next()?)?;
        version.version(id.version())?;
        let digest = fields.next()?.algorithm()?;
        let attributes = match fields.optional(asn1::context(0))? {
            Some(attributes) => Some(Attributes::read(attributes.contents)?),
            None => None,
        };
        let algorithm = fields.next()?.algorithm()?;
        let signature = fields.expect(Tag::OctetString)?.contents.to_vec();
        fields.optional(asn1::context(1))?;
        fields.end()?;
        Ok(Self {
            id,
            digest: digest.kind,
            attributes,
            signature_algorithm: algorithm.kind,
            plain: digest.is_plain() && algorithm.is_plain(),
            signature,
        })
    }
}

impl fmt::Debug for SignedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedMessage")
            .field("content_octets", &self.content.as_ref().map(Vec::len))
            .field("attributes", &self.signer.attributes)
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("content_octets", &self.content.len())
            .field("signer", self.signer)
            .finish_non_exhaustive()
    }
}

/// The element of a SET OF that has one; otherwise how many it has, counted up to 16.
fn only_signer(set: asn1::Element<'_>) -> Result<asn1::Element<'_>, CmsError> {
    let mut walk = set.children()?;
    let mut signers = Vec::new();
    while !walk.is_empty() && signers.len() < MAX_CERTIFICATES {
        signers.push(walk.next()?);
    }
    match signers[..] {
        [signer] => Ok(signer),
        _ => Err(CmsError::Signers(signers.len())),
    }
}

/// Whether the SET OF digest algorithms has this one.
fn lists(set: asn1::Element<'_>, digest: ObjectIdentifier) -> der::Result<bool> {
    let mut walk = set.children()?;
    let mut listed = false;
    while !walk.is_empty() {
        let algorithm = walk.next()?.algorithm()?;
        listed |= algorithm.kind == digest && algorithm.is_plain();
    }
    Ok(listed)
}

/// EncapsulatedContentInfo ::= SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }
fn encapsulated(
    element: asn1::Element<'_>,
) -> Result<(ObjectIdentifier, Option<Vec<u8>>), CmsError> {
    let mut fields = element.children()?;
    let kind = fields.expect(Tag::ObjectIdentifier)?.oid()?;
    let content = match fields.optional(asn1::context(0))? {
        Some(content) => Some(
            Walk::only(content.contents)?
                .expect(Tag::OctetString)?
                .contents
                .to_vec(),
        ),
        None => None,
    };
    fields.end()?;
    Ok((kind, content))
}

pub(super) fn certificates(set: asn1::Element<'_>) -> Result<Vec<Certificate>, CmsError> {
    let mut walk = set.children()?;
    let mut certificates = Vec::new();
    while !walk.is_empty() {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(CmsError::TooMany("certificates"));
        }
        let element = walk.next()?;
        if let Ok(certificate) = Certificate::from_der(element.raw) {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}
