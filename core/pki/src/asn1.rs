//! The few lines of DER that the typed readers and writers here share: walking elements as they stand, and writing them.

use der::{
    Encode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, ObjectIdentifier},
};

/// Context-specific constructed tag `[n]`.
pub(crate) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// Context-specific primitive tag `[n]`.
pub(crate) const fn context_primitive(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: false,
        number: TagNumber(number),
    }
}

/// One element: its tag, its contents, and all of its octets as they stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    pub(crate) contents: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside a constructed element.
    pub(crate) fn children(&self) -> der::Result<Walk<'a>> {
        Walk::new(self.contents)
    }

    /// The object identifier that this element is.
    pub(crate) fn oid(&self) -> der::Result<ObjectIdentifier> {
        AnyRef::new(self.tag, self.contents)?.decode_as()
    }

    /// An AlgorithmIdentifier's algorithm and parameters.
    pub(crate) fn algorithm(self) -> der::Result<Algorithm<'a>> {
        let mut fields = self.expect(Tag::Sequence)?.children()?;
        let kind = fields.expect(Tag::ObjectIdentifier)?.oid()?;
        let parameters = if fields.is_empty() {
            None
        } else {
            Some(fields.next()?)
        };
        fields.end()?;
        Ok(Algorithm { kind, parameters })
    }

    /// The octets of a BIT STRING without unused bits; keys and signatures have none.
    pub(crate) fn whole_bits(self) -> der::Result<&'a [u8]> {
        match self.expect(Tag::BitString)?.contents {
            [0, octets @ ..] => Ok(octets),
            _ => Err(malformed(Tag::BitString)),
        }
    }

    /// Nothing, if this is the INTEGER `expected`.
    pub(crate) fn version(self, expected: u8) -> der::Result<()> {
        if self.expect(Tag::Integer)?.contents == [expected] {
            Ok(())
        } else {
            Err(malformed(Tag::Integer))
        }
    }

    /// The contents, if the element has this tag.
    pub(crate) fn expect(self, tag: Tag) -> der::Result<Self> {
        if self.tag == tag {
            Ok(self)
        } else {
            Err(der::ErrorKind::TagUnexpected {
                expected: Some(tag),
                actual: self.tag,
            }
            .into())
        }
    }
}

/// AlgorithmIdentifier (RFC 5280, 4.1.1.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Algorithm<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) parameters: Option<Element<'a>>,
}

impl Algorithm<'_> {
    /// Whether the algorithm says all: its parameters are NULL, or not there.
    pub(crate) fn is_plain(&self) -> bool {
        self.parameters
            .is_none_or(|parameters| parameters.raw == [0x05, 0x00])
    }
}

fn malformed(tag: Tag) -> der::Error {
    der::ErrorKind::Value { tag }.into()
}

/// Walks the elements of a byte string in order.
pub(crate) struct Walk<'a>(SliceReader<'a>);

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> der::Result<Self> {
        Ok(Self(SliceReader::new(bytes)?))
    }

    /// The one element that `bytes` is made of: nothing may follow it.
    pub(crate) fn only(bytes: &'a [u8]) -> der::Result<Element<'a>> {
        let mut walk = Self::new(bytes)?;
        let element = walk.next()?;
        walk.end()?;
        Ok(element)
    }

    /// The next element, whatever it is.
    pub(crate) fn next(&mut self) -> der::Result<Element<'a>> {
        let raw = self.0.tlv_bytes()?;
        let any = AnyRef::try_from(raw)?;
        Ok(Element {
            tag: der::Tagged::tag(&any),
            contents: any.value(),
            raw,
        })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: Tag) -> der::Result<Element<'a>> {
        self.next()?.expect(tag)
    }

    /// The next element if it has this tag; otherwise nothing is taken.
    pub(crate) fn optional(&mut self, tag: Tag) -> der::Result<Option<Element<'a>>> {
        if self.is_empty() || Tag::peek(&self.0)? != tag {
            return Ok(None);
        }
        self.next().map(Some)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> der::Result<()> {
        self.0.finish()
    }
}

/// Writes one element. Contents here are bounded far below the 256 MiB that DER lengths of this library reach.
pub(crate) fn write(tag: Tag, contents: &[u8]) -> Vec<u8> {
    AnyRef::new(tag, contents)
        .and_then(|any| any.to_der())
        .expect("contents are shorter than 256 MiB")
}

/// Writes a SEQUENCE of elements that are already encoded.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    write(Tag::Sequence, &parts.concat())
}

/// Writes a SET OF, in DER's order.
pub(crate) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    write(Tag::Set, &sorted(&mut parts))
}

/// The contents of a SET OF in DER's order (X.690 11.6).
pub(crate) fn sorted(parts: &mut [Vec<u8>]) -> Vec<u8> {
    parts.sort();
    parts.concat()
}

pub(crate) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    write(Tag::ObjectIdentifier, oid.as_bytes())
}

/// AlgorithmIdentifier with NULL parameters, as RSA and the digests want it.
pub(crate) fn algorithm_with_null(algorithm: ObjectIdentifier) -> Vec<u8> {
    sequence(&[&oid(algorithm), &write(Tag::Null, &[])])
}
