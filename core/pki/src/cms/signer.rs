//! SignedData as it is written (RFC 5652, 5).

use std::time::SystemTime;

use der::{
    Encode as _, Tag,
    asn1::{GeneralizedTime, UtcTime},
};

use super::{Attribute, CmsError, issuer_and_serial, write_content_info};
use crate::{Certificate, Digest, PrivateKey, asn1, oid};

/// Writes SignedData (RFC 5652, 5) in DER: one signer, its certificate and a chain inside in the order given, SHA-256
/// unless another digest is asked for.
#[derive(Debug)]
pub struct Signer<'a> {
    key: &'a PrivateKey,
    certificate: &'a Certificate,
    chain: &'a [Certificate],
    digest: Digest,
    /// `None`: the signature is straight over the content.
    attributes: Option<Vec<Attribute>>,
    attached: bool,
}

impl<'a> Signer<'a> {
    /// Signs with this key, in the name of this certificate.
    #[must_use]
    pub fn new(key: &'a PrivateKey, certificate: &'a Certificate) -> Self {
        Self {
            key,
            certificate,
            chain: &[],
            digest: Digest::Sha256,
            attributes: Some(Vec::new()),
            attached: true,
        }
    }

    /// Adds certificates behind the signer's.
    #[must_use]
    pub fn chain(mut self, chain: &'a [Certificate]) -> Self {
        self.chain = chain;
        self
    }

    /// Uses another digest.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.digest = digest;
        self
    }

    /// Adds a signed attribute beside contentType and messageDigest.
    #[must_use]
    pub fn attribute(mut self, attribute: Attribute) -> Self {
        self.attributes.get_or_insert_default().push(attribute);
        self
    }

    /// Adds the signed attribute signingTime.
    #[must_use]
    pub fn signing_time(self, time: SystemTime) -> Self {
        let value = UtcTime::from_system_time(time)
            .and_then(|time| time.to_der())
            .or_else(|_| GeneralizedTime::from_system_time(time).and_then(|time| time.to_der()));
        match value {
            Ok(value) => self.attribute(Attribute {
                kind: oid::SIGNING_TIME,
                value,
            }),
            Err(_) => self,
        }
    }

    /// Leaves signed attributes away: what Apple's devices do in phase 2 of over-the-air enrollment.
    #[must_use]
    pub fn without_attributes(mut self) -> Self {
        self.attributes = None;
        self
    }

    /// Leaves the content out of the message.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.attached = false;
        self
    }

    /// Writes the message: a ContentInfo.
    ///
    /// # Errors
    /// [`CmsError::Key`]
    pub fn sign(&self, content: &[u8]) -> Result<Vec<u8>, CmsError> {
        let digest_algorithm = asn1::algorithm_with_null(self.digest.oid());
        let mut encapsulated = vec![asn1::oid(oid::DATA)];
        if self.attached {
            encapsulated.push(asn1::write(
                asn1::context(0),
                &asn1::write(Tag::OctetString, content),
            ));
        }
        let certificates: Vec<&[u8]> = std::iter::once(self.certificate)
            .chain(self.chain)
            .map(Certificate::der)
            .collect();
        let signed_data = asn1::sequence(&[
            &asn1::write(Tag::Integer, &[1]),
            &asn1::write(Tag::Set, &digest_algorithm),
            &asn1::write(Tag::Sequence, &encapsulated.concat()),
            &asn1::write(asn1::context(0), &certificates.concat()),
            &asn1::write(Tag::Set, &self.signer_info(content, &digest_algorithm)?),
        ]);
        Ok(write_content_info(oid::SIGNED_DATA, &signed_data))
    }

    fn signer_info(&self, content: &[u8], digest_algorithm: &[u8]) -> Result<Vec<u8>, CmsError> {
        let (attributes, signature) = match self.signed_attributes(content) {
            Some(set) => {
                let signature = self.key.sign(self.digest, &asn1::write(Tag::Set, &set))?;
                (asn1::write(asn1::context(0), &set), signature)
            }
            None => (Vec::new(), self.key.sign(self.digest, content)?),
        };
        Ok(asn1::sequence(&[
            &asn1::write(Tag::Integer, &[1]),
            &issuer_and_serial(self.certificate),
            digest_algorithm,
            &attributes,
            &self.key.cms_signature_algorithm(self.digest),
            &asn1::write(Tag::OctetString, &signature),
        ]))
    }

    /// The contents of the SET OF signed attributes, in DER's order.
    fn signed_attributes(&self, content: &[u8]) -> Option<Vec<u8>> {
        let content_type = Attribute {
            kind: oid::CONTENT_TYPE,
            value: asn1::oid(oid::DATA),
        };
        let message_digest = Attribute::octets(oid::MESSAGE_DIGEST, &self.digest.of(content));
        let mut each: Vec<Vec<u8>> = self
            .attributes
            .as_ref()?
            .iter()
            .chain([&content_type, &message_digest])
            .map(Attribute::encode)
            .collect();
        Some(asn1::sorted(&mut each))
    }
}
