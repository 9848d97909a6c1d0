//! Signed attributes, written and read (RFC 5652, 5.3).

use std::fmt;

use der::Tag;

use super::CmsError;
use crate::{
    ObjectIdentifier,
    asn1::{self, Walk},
    oid,
};

const MAX_ATTRIBUTES: usize = 32;

/// One signed attribute to write: a type and one value.
#[derive(Clone)]
pub struct Attribute {
    pub(super) kind: ObjectIdentifier,
    pub(super) value: Vec<u8>,
}

impl Attribute {
    /// An attribute whose value is a PrintableString. The caller answers for the alphabet; SCEP echoes what clients sent.
    #[must_use]
    pub fn printable(kind: ObjectIdentifier, value: &[u8]) -> Self {
        Self {
            kind,
            value: asn1::write(Tag::PrintableString, value),
        }
    }

    /// An attribute whose value is a UTF8String.
    #[must_use]
    pub fn utf8(kind: ObjectIdentifier, value: &str) -> Self {
        Self {
            kind,
            value: asn1::write(Tag::Utf8String, value.as_bytes()),
        }
    }

    /// An attribute whose value is an OCTET STRING.
    #[must_use]
    pub fn octets(kind: ObjectIdentifier, value: &[u8]) -> Self {
        Self {
            kind,
            value: asn1::write(Tag::OctetString, value),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        asn1::sequence(&[&asn1::oid(self.kind), &asn1::write(Tag::Set, &self.value)])
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({})", self.kind)
    }
}

/// The signed attributes of a message, in the octets that they came in.
///
/// `Debug` shows their types only: Macs put the challenge of an SCEP request here in clear.
#[derive(Clone, Default)]
pub struct Attributes {
    contents: Vec<u8>,
    each: Vec<(ObjectIdentifier, Vec<u8>)>,
}

impl Attributes {
    /// Reads the contents of the SET OF Attribute.
    pub(super) fn read(contents: &[u8]) -> Result<Self, CmsError> {
        let mut walk = Walk::new(contents)?;
        let mut each = Vec::new();
        while !walk.is_empty() {
            let mut attribute = walk.expect(Tag::Sequence)?.children()?;
            let kind = attribute.expect(Tag::ObjectIdentifier)?.oid()?;
            let values = attribute.expect(Tag::Set)?;
            attribute.end()?;
            if each.len() == MAX_ATTRIBUTES {
                return Err(CmsError::TooMany("signed attributes"));
            }
            each.push((kind, values.contents.to_vec()));
        }
        Ok(Self {
            contents: contents.to_vec(),
            each,
        })
    }

    /// Whether this content is itself a SET of signed attributes.
    pub(super) fn are(content: &[u8]) -> bool {
        Walk::only(content)
            .and_then(|set| set.expect(Tag::Set))
            .is_ok_and(|set| {
                Self::read(set.contents).is_ok_and(|attributes| {
                    attributes
                        .each
                        .iter()
                        .any(|(kind, _)| *kind == oid::MESSAGE_DIGEST)
                })
            })
    }

    /// The SET OF as it is signed: with the order that it came in, and with DER's order where that is another one.
    pub(super) fn signed_octets(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), CmsError> {
        let came = asn1::write(Tag::Set, &self.contents);
        let mut members = Vec::new();
        let mut walk = Walk::new(&self.contents)?;
        while !walk.is_empty() {
            members.push(walk.next()?.raw.to_vec());
        }
        let sorted = asn1::set_of(members);
        let sorted = (sorted != came).then_some(sorted);
        Ok((came, sorted))
    }

    /// The contents of the attribute's only value, whatever its type; `None` if the attribute is not there.
    ///
    /// # Errors
    /// [`CmsError::Attribute`] if it is there twice, or has no value or several.
    pub fn value(&self, kind: ObjectIdentifier) -> Result<Option<&[u8]>, CmsError> {
        Ok(self.element(kind)?.map(|element| element.contents))
    }

    /// The same, of a value that is a PrintableString, UTF8String or IA5String.
    ///
    /// # Errors
    /// [`CmsError::Attribute`], also for a value of another type.
    pub fn string(&self, kind: ObjectIdentifier) -> Result<Option<&[u8]>, CmsError> {
        self.typed(
            kind,
            &[Tag::PrintableString, Tag::Utf8String, Tag::Ia5String],
        )
    }

    /// The same, of a value that is an OCTET STRING.
    ///
    /// # Errors
    /// [`CmsError::Attribute`], also for a value of another type.
    pub fn octets(&self, kind: ObjectIdentifier) -> Result<Option<&[u8]>, CmsError> {
        self.typed(kind, &[Tag::OctetString])
    }

    /// The attribute as it came, to be repeated in an answer.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn repeat(&self, kind: ObjectIdentifier) -> Result<Option<Attribute>, CmsError> {
        Ok(self.element(kind)?.map(|element| Attribute {
            kind,
            value: element.raw.to_vec(),
        }))
    }

    fn typed(&self, kind: ObjectIdentifier, tags: &[Tag]) -> Result<Option<&[u8]>, CmsError> {
        match self.element(kind)? {
            Some(element) if tags.contains(&element.tag) => Ok(Some(element.contents)),
            Some(_) => Err(CmsError::Attribute(kind)),
            None => Ok(None),
        }
    }

    pub(super) fn required(&self, kind: ObjectIdentifier) -> Result<asn1::Element<'_>, CmsError> {
        self.element(kind)?.ok_or(CmsError::Attribute(kind))
    }

    fn element(&self, kind: ObjectIdentifier) -> Result<Option<asn1::Element<'_>>, CmsError> {
        let mut found = self.each.iter().filter(|(each, _)| *each == kind);
        let Some((_, values)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(CmsError::Attribute(kind));
        }
        Walk::only(values)
            .map(Some)
            .map_err(|_| CmsError::Attribute(kind))
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.each.iter().map(|(kind, _)| kind.to_string()).collect();
        write!(f, "Attributes({})", kinds.join(", "))
    }
}
