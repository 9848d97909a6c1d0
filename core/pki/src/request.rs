//! Certification requests, PKCS #10 (RFC 2986).

use std::fmt;

use der::Tag;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Extension},
};
use zeroize::Zeroizing;

use crate::{
    AlternativeName, Digest, KeyError, KeyUsage, Name, ObjectIdentifier, PrivateKey, PublicKey,
    SignatureError, Strength,
    asn1::{self, Walk},
    name, oid,
};

/// A certification request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a PKCS#10 structure.
    #[error("not a PKCS#10 certification request: {0}")]
    Malformed(der::Error),
    /// The same attribute or extension twice: which one counts would be the attacker's choice.
    #[error("the certification request has {0} more than once")]
    Duplicate(&'static str),
    /// RSASSA-PSS, or another signature algorithm with parameters.
    #[error(
        "the certification request is signed with an algorithm that has parameters; PKCS#1 v1.5 or ECDSA is expected"
    )]
    Algorithm,
    /// The extensions asked for cannot be read.
    #[error("the certification request asks for an extension that cannot be read")]
    Extension,
}

impl From<der::Error> for RequestError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error)
    }
}

/// A certification request (PKCS#10, RFC 2986), read leniently and not yet verified.
///
/// What it asks for is a wish: certificates are built from a [`Template`](crate::Template), never from a request.
#[derive(Clone)]
pub struct CertificationRequest {
    /// All of it, as it came.
    der: Zeroizing<Vec<u8>>,
    /// The octets that are signed; the challenge is among them.
    signed: Zeroizing<Vec<u8>>,
    signature_algorithm: ObjectIdentifier,
    signature: Vec<u8>,
    subject: Name,
    public_key: PublicKey,
    challenge: Option<Zeroizing<String>>,
    extensions: Vec<u8>,
    alternative_names: Vec<AlternativeName>,
    key_usage: Option<KeyUsage>,
}

impl CertificationRequest {
    /// Reads a request in DER; nothing may follow it.
    ///
    /// # Errors
    /// [`RequestError`]
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let mut outer = Walk::only(der)?.expect(Tag::Sequence)?.children()?;
        let info = outer.expect(Tag::Sequence)?;
        let algorithm = outer.next()?.algorithm()?;
        if !algorithm.is_plain() {
            return Err(RequestError::Algorithm);
        }
        let signature = outer.next()?.whole_bits()?.to_vec();
        outer.end()?;

        let mut fields = info.children()?;
        fields.expect(Tag::Integer)?;
        let subject = Name::from_der(fields.expect(Tag::Sequence)?.raw);
        let public_key = PublicKey::from_spki(fields.expect(Tag::Sequence)?.raw)?;
        let mut request = Self {
            der: Zeroizing::new(der.to_vec()),
            signed: Zeroizing::new(info.raw.to_vec()),
            signature_algorithm: algorithm.kind,
            signature,
            subject,
            public_key,
            challenge: None,
            extensions: Vec::new(),
            alternative_names: Vec::new(),
            key_usage: None,
        };
        if let Some(attributes) = fields.optional(asn1::context(0))? {
            request.read_attributes(attributes.children()?)?;
        }
        fields.end()?;
        Ok(request)
    }

    fn read_attributes(&mut self, mut attributes: Walk<'_>) -> Result<(), RequestError> {
        while !attributes.is_empty() {
            let mut attribute = attributes.expect(Tag::Sequence)?.children()?;
            let kind = attribute.expect(Tag::ObjectIdentifier)?.oid()?;
            let mut values = attribute.expect(Tag::Set)?.children()?;
            match kind {
                oid::CHALLENGE_PASSWORD => {
                    let value = values.next()?;
                    if self.challenge.is_some() || !values.is_empty() {
                        return Err(RequestError::Duplicate("a challengePassword"));
                    }
                    self.challenge = Some(Zeroizing::new(name::text(value)));
                }
                oid::EXTENSION_REQUEST | oid::EXTENSION_REQUEST_MICROSOFT => {
                    let value = values.expect(Tag::Sequence)?;
                    if !self.extensions.is_empty() || !values.is_empty() {
                        return Err(RequestError::Duplicate("an extension request"));
                    }
                    self.extensions = value.raw.to_vec();
                    self.read_extensions(value.children()?)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_extensions(&mut self, mut extensions: Walk<'_>) -> Result<(), RequestError> {
        let mut seen = Vec::new();
        while !extensions.is_empty() {
            let raw = extensions.expect(Tag::Sequence)?.raw;
            let (_, extension) =
                X509Extension::from_der(raw).map_err(|_| RequestError::Extension)?;
            if seen.contains(&extension.oid) {
                return Err(RequestError::Duplicate("an extension"));
            }
            seen.push(extension.oid.clone());
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    self.alternative_names = names
                        .general_names
                        .iter()
                        .filter_map(alternative_name)
                        .collect();
                }
                ParsedExtension::KeyUsage(usage) => {
                    self.key_usage = Some(KeyUsage::from_bits(usage.flags))
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Proof of possession: the request is signed by the key that it asks a certificate for.
    ///
    /// # Errors
    /// [`SignatureError`]
    pub fn verify(&self, strength: Strength) -> Result<(), SignatureError> {
        self.public_key.verify_as(
            self.signature_algorithm,
            None,
            &self.signed,
            &self.signature,
            strength,
        )
    }

    /// The encoded request. The challenge is in it, so it is as secret.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The name asked for.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key to certify.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The challengePassword. It is a secret.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_ref().map(|challenge| challenge.as_str())
    }

    /// The subjectAltNames asked for, of the kinds known here.
    #[must_use]
    pub fn alternative_names(&self) -> &[AlternativeName] {
        &self.alternative_names
    }

    /// The key usage asked for.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.key_usage
    }

    /// SHA-256 over subject, key and requested extensions, without challenge and signature: two requests for the same
    /// thing have the same value, however often they are signed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Digest::sha256(&asn1::sequence(&[
            self.subject.der(),
            self.public_key.spki(),
            &self.extensions,
        ]))
    }

    /// A request in PEM, with lines of 64 characters.
    #[must_use]
    pub fn pem(der: &[u8]) -> String {
        crate::certificate::pem("CERTIFICATE REQUEST", der)
    }

    /// Writes and signs a request, as a client.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn sign(
        key: &PrivateKey,
        subject: &Name,
        challenge: Option<&str>,
    ) -> Result<Vec<u8>, KeyError> {
        let attribute = challenge.map(|challenge| {
            let value = asn1::write(Tag::Utf8String, challenge.as_bytes());
            asn1::sequence(&[
                &asn1::oid(oid::CHALLENGE_PASSWORD),
                &asn1::write(Tag::Set, &value),
            ])
        });
        let info = asn1::sequence(&[
            &asn1::write(Tag::Integer, &[0]),
            subject.der(),
            key.public_key().spki(),
            &asn1::write(asn1::context(0), &attribute.unwrap_or_default()),
        ]);
        let signature = [&[0], key.sign(Digest::Sha256, &info)?.as_slice()].concat();
        Ok(asn1::sequence(&[
            &info,
            &key.x509_signature_algorithm(),
            &asn1::write(Tag::BitString, &signature),
        ]))
    }
}

fn alternative_name(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::DNSName(name) => Some(AlternativeName::Dns((*name).to_owned())),
        GeneralName::RFC822Name(name) => Some(AlternativeName::Email((*name).to_owned())),
        GeneralName::URI(name) => Some(AlternativeName::Uri((*name).to_owned())),
        GeneralName::IPAddress([a, b, c, d]) => Some(AlternativeName::Ip([*a, *b, *c, *d].into())),
        _ => None,
    }
}

impl fmt::Debug for CertificationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CertificationRequest({}, {:?})",
            self.subject, self.public_key
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NameAttribute;

    #[test]
    fn what_is_written_is_read() {
        let key = PrivateKey::generate_rsa(2048).unwrap();
        let subject = Name::new(&[(NameAttribute::CommonName, "device")]);
        let der = CertificationRequest::sign(&key, &subject, Some("secret")).unwrap();
        let request = CertificationRequest::from_der(&der).unwrap();
        assert_eq!(request.verify(Strength::Modern), Ok(()));
        assert_eq!(
            (request.subject(), request.challenge()),
            (&subject, Some("secret"))
        );
        assert_eq!(request.public_key(), key.public_key());
        assert!(!format!("{request:?}").contains("secret"));
        let other = CertificationRequest::sign(&key, &subject, None).unwrap();
        assert_eq!(
            CertificationRequest::from_der(&other).unwrap().digest(),
            request.digest()
        );
    }

    #[test]
    fn a_changed_request_does_not_verify() {
        let key = PrivateKey::generate_p256().unwrap();
        let der = CertificationRequest::sign(&key, &Name::new(&[]), Some("secret")).unwrap();
        for index in 0..der.len() {
            let mut changed = der.clone();
            changed[index] ^= 1;
            let accepted = CertificationRequest::from_der(&changed)
                .is_ok_and(|request| request.verify(Strength::Modern).is_ok());
            assert!(!accepted, "octet {index}");
        }
    }
}
