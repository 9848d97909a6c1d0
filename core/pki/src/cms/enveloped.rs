//! EnvelopedData: content encrypted to certificates (RFC 5652, 6).

use der::Tag;
use openssl::symm::{self, Crypter, Mode};
use zeroize::Zeroizing;

use super::{CertificateId, CmsError, content_info, issuer_and_serial, write_content_info};
use crate::{
    Certificate, ObjectIdentifier, PrivateKey,
    asn1::{self, Walk},
    ber, oid,
};

const MAX_RECIPIENTS: usize = 8;

/// A content encryption that is accepted. Single DES and RC2 are not here, so nothing can accept them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// AES-128 in CBC mode: what we write unless asked for another.
    Aes128Cbc,
    /// AES-192 in CBC mode.
    Aes192Cbc,
    /// AES-256 in CBC mode.
    Aes256Cbc,
    /// Triple DES in CBC mode, for old SCEP clients only.
    TripleDesCbc,
}

impl Cipher {
    const ALL: [Self; 4] = [
        Self::Aes128Cbc,
        Self::Aes192Cbc,
        Self::Aes256Cbc,
        Self::TripleDesCbc,
    ];

    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Aes128Cbc => oid::AES128_CBC,
            Self::Aes192Cbc => oid::AES192_CBC,
            Self::Aes256Cbc => oid::AES256_CBC,
            Self::TripleDesCbc => oid::DES_EDE3_CBC,
        }
    }

    fn openssl(self) -> symm::Cipher {
        match self {
            Self::Aes128Cbc => symm::Cipher::aes_128_cbc(),
            Self::Aes192Cbc => symm::Cipher::aes_192_cbc(),
            Self::Aes256Cbc => symm::Cipher::aes_256_cbc(),
            Self::TripleDesCbc => symm::Cipher::des_ede3_cbc(),
        }
    }

    fn block(self) -> usize {
        self.openssl().block_size()
    }
}

/// Writes EnvelopedData (RFC 5652, 6) to one recipient, named by issuer and serial number: DER, version 0, PKCS#1 v1.5.
///
/// # Errors
/// [`CmsError::Signature`] if the recipient's key is not RSA; [`CmsError::Key`]
pub fn encrypt(
    content: &[u8],
    recipient: &Certificate,
    cipher: Cipher,
) -> Result<Vec<u8>, CmsError> {
    let mut key = Zeroizing::new(vec![0; cipher.openssl().key_len()]);
    let mut iv = vec![0; cipher.block()];
    openssl::rand::rand_bytes(&mut key)?;
    openssl::rand::rand_bytes(&mut iv)?;
    let encrypted_key = recipient.public_key().encrypt_key(&key)?;
    let encrypted = symm::encrypt(cipher.openssl(), &key, Some(&iv), content)?;

    let version = asn1::write(Tag::Integer, &[0]);
    let recipient_info = asn1::sequence(&[
        &version,
        &issuer_and_serial(recipient),
        &asn1::algorithm_with_null(oid::RSA_ENCRYPTION),
        &asn1::write(Tag::OctetString, &encrypted_key),
    ]);
    let content_info = asn1::sequence(&[
        &asn1::oid(oid::DATA),
        &asn1::sequence(&[
            &asn1::oid(cipher.oid()),
            &asn1::write(Tag::OctetString, &iv),
        ]),
        &asn1::write(asn1::context_primitive(0), &encrypted),
    ]);
    let enveloped = asn1::sequence(&[
        &version,
        &asn1::write(Tag::Set, &recipient_info),
        &content_info,
    ]);
    Ok(write_content_info(oid::ENVELOPED_DATA, &enveloped))
}

/// EnvelopedData, read and not yet opened.
#[derive(Clone, Debug)]
pub struct Envelope {
    recipients: Vec<Recipient>,
    cipher: Cipher,
    iv: Vec<u8>,
    encrypted: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Recipient {
    id: CertificateId,
    transport: ObjectIdentifier,
    /// Whether the transport is without parameters. RSAES-OAEP has some, and is not known here.
    plain: bool,
    encrypted_key: Vec<u8>,
}

impl Envelope {
    /// Reads a ContentInfo in BER or DER; nothing may follow it. Recipients of other kinds than RSA's are passed over.
    ///
    /// # Errors
    /// [`CmsError`]; [`CmsError::Algorithm`] for a cipher that is not accepted.
    pub fn parse(message: &[u8]) -> Result<Self, CmsError> {
        let message = ber::normalise(message)?;
        let (kind, content) = content_info(&message)?;
        if kind != oid::ENVELOPED_DATA {
            return Err(CmsError::ContentType(kind));
        }
        let mut fields = content.expect(Tag::Sequence)?.children()?;
        let version = fields.next()?;
        let originator = fields.optional(asn1::context(0))?;
        let (recipients, simple) = recipients(fields.expect(Tag::Set)?)?;
        let mut info = fields.expect(Tag::Sequence)?.children()?;
        let attributes = fields.optional(asn1::context(1))?;
        fields.end()?;
        // RFC 5652, 6.1. Version 3 is for recipients of kinds that are passed over here.
        if simple && originator.is_none() && attributes.is_none() {
            version.version(0)?;
        } else {
            version.version(2).or_else(|_| version.version(3))?;
        }
        let content_type = info.next()?.oid()?;
        if content_type != oid::DATA {
            return Err(CmsError::ContentType(content_type));
        }
        let algorithm = info.next()?.algorithm()?;
        let encrypted = pieces(info.next()?)?;
        info.end()?;

        let cipher = Cipher::ALL
            .into_iter()
            .find(|known| known.oid() == algorithm.kind)
            .ok_or(CmsError::Algorithm(algorithm.kind))?;
        let iv = match algorithm.parameters {
            Some(iv) if iv.tag == Tag::OctetString && iv.contents.len() == cipher.block() => {
                iv.contents.to_vec()
            }
            _ => return Err(CmsError::Algorithm(cipher.oid())),
        };
        Ok(Self {
            recipients,
            cipher,
            iv,
            encrypted,
        })
    }

    /// The content encryption used.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Whether the envelope names this certificate as a recipient.
    #[must_use]
    pub fn is_for(&self, certificate: &Certificate) -> bool {
        self.recipient(certificate).is_some()
    }

    fn recipient(&self, certificate: &Certificate) -> Option<&Recipient> {
        self.recipients
            .iter()
            .find(|recipient| recipient.id.is(certificate))
    }

    /// Opens the envelope with the key of the certificate that it names; no other key is tried.
    ///
    /// However the key transport or the padding is broken, the same work is done and the same error comes out. What
    /// decrypts to rubbish is the caller's to notice, by a signature inside or by the structure of the content: callers
    /// answer that as they answer [`CmsError::Undecryptable`].
    ///
    /// # Errors
    /// [`CmsError::NotRecipient`], [`CmsError::Algorithm`], [`CmsError::Undecryptable`]
    pub fn decrypt(
        &self,
        certificate: &Certificate,
        key: &PrivateKey,
    ) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let recipient = self.recipient(certificate).ok_or(CmsError::NotRecipient)?;
        if recipient.transport != oid::RSA_ENCRYPTION || !recipient.plain {
            return Err(CmsError::Algorithm(recipient.transport));
        }
        let content_key = key
            .decrypt_key(&recipient.encrypted_key, self.cipher.openssl().key_len())
            .map_err(|_| CmsError::Undecryptable)?;
        self.decrypt_content(&content_key)
    }

    fn decrypt_content(&self, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let block = self.cipher.block();
        let mut crypter = Crypter::new(self.cipher.openssl(), Mode::Decrypt, key, Some(&self.iv))?;
        // The padding is checked here, in one place with one outcome, rather than by OpenSSL's own error.
        crypter.pad(false);
        let mut content = Zeroizing::new(vec![0; self.encrypted.len() + block]);
        let written = crypter
            .update(&self.encrypted, &mut content)
            .and_then(|written| Ok(written + crypter.finalize(&mut content[written..])?))
            .map_err(|_| CmsError::Undecryptable)?;
        let padding = usize::from(*content[..written].last().ok_or(CmsError::Undecryptable)?);
        let wrong = content[..written]
            .iter()
            .rev()
            .take(block)
            .enumerate()
            .fold(
                u8::from(padding == 0 || padding > block),
                |wrong, (index, &octet)| {
                    let inside = u8::from(index < padding);
                    wrong | (inside * u8::from(usize::from(octet) != padding))
                },
            );
        if wrong != 0 || padding > written {
            return Err(CmsError::Undecryptable);
        }
        content.truncate(written - padding);
        Ok(content)
    }
}

/// The recipients of RSA's kind, and whether there are only such, named by issuer and serial number.
fn recipients(set: asn1::Element<'_>) -> Result<(Vec<Recipient>, bool), CmsError> {
    let mut walk = set.children()?;
    let mut recipients = Vec::new();
    let mut simple = true;
    while !walk.is_empty() {
        let element = walk.next()?;
        // Every alternative but KeyTransRecipientInfo is tagged.
        if element.tag != Tag::Sequence {
            simple = false;
            continue;
        }
        if recipients.len() == MAX_RECIPIENTS {
            return Err(CmsError::TooMany("recipients"));
        }
        let mut fields = element.children()?;
        let version = fields.next()?;
        let id = CertificateId::read(fields.next()?)?;
        version.version(id.version() - 1)?;
        simple &= matches!(id, CertificateId::IssuerAndSerial(_));
        let transport = fields.next()?.algorithm()?;
        let encrypted_key = fields.expect(Tag::OctetString)?.contents.to_vec();
        fields.end()?;
        recipients.push(Recipient {
            id,
            transport: transport.kind,
            plain: transport.is_plain(),
            encrypted_key,
        });
    }
    Ok((recipients, simple))
}

/// encryptedContent [0] IMPLICIT OCTET STRING, in one piece or, from BER, in several.
fn pieces(element: asn1::Element<'_>) -> Result<Vec<u8>, CmsError> {
    if element.tag == asn1::context_primitive(0) {
        return Ok(element.contents.to_vec());
    }
    let mut walk: Walk<'_> = element.expect(asn1::context(0))?.children()?;
    let mut whole = Vec::with_capacity(element.contents.len());
    while !walk.is_empty() {
        whole.extend_from_slice(walk.expect(Tag::OctetString)?.contents);
    }
    Ok(whole)
}
