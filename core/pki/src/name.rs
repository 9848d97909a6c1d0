//! Distinguished names (RFC 5280, 4.1.2.4).

use std::fmt;

use der::Tag;

use crate::{
    ObjectIdentifier,
    asn1::{self, Walk},
    oid,
};

/// The attribute types that names written here have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameAttribute {
    /// C: two letters.
    Country,
    /// O
    Organization,
    /// OU
    OrganizationalUnit,
    /// CN
    CommonName,
    /// serialNumber: for devices, the hardware's.
    SerialNumber,
    /// UID: in push certificates, the topic.
    UserId,
}

impl NameAttribute {
    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Country => oid::COUNTRY,
            Self::Organization => oid::ORGANIZATION,
            Self::OrganizationalUnit => oid::ORGANIZATIONAL_UNIT,
            Self::CommonName => oid::COMMON_NAME,
            Self::SerialNumber => oid::SUBJECT_SERIAL_NUMBER,
            Self::UserId => oid::USER_ID,
        }
    }

    /// X.520 fixes PrintableString for country and serial number; UTF8String is for all others.
    fn tag(self, value: &str) -> Tag {
        let printable = value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
        match self {
            Self::Country | Self::SerialNumber if printable => Tag::PrintableString,
            _ => Tag::Utf8String,
        }
    }
}

/// A distinguished name (RFC 5280, 4.1.2.4), in the octets that it came in.
///
/// Names are compared by their octets. `Display` shows attributes in encoded order, `CN=iPhone, O=Example`, with
/// control characters escaped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// Writes a name with one attribute a relative distinguished name. Values are at most 64 characters in most of
    /// X.520's types; longer ones are cut there, so that no certificate is refused for its subject.
    #[must_use]
    pub fn new(attributes: &[(NameAttribute, &str)]) -> Self {
        let names: Vec<Vec<u8>> = attributes
            .iter()
            .map(|&(attribute, value)| {
                let value: String = value
                    .chars()
                    .filter(|character| !character.is_control())
                    .take(64)
                    .collect();
                let pair = asn1::sequence(&[
                    &asn1::oid(attribute.oid()),
                    &asn1::write(attribute.tag(&value), value.as_bytes()),
                ]);
                asn1::write(Tag::Set, &pair)
            })
            .collect();
        Self(asn1::write(Tag::Sequence, &names.concat()))
    }

    pub(crate) fn from_der(der: &[u8]) -> Self {
        Self(der.to_vec())
    }

    /// The encoded name.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// IssuerAndSubject (RFC 8894, 3.3.3), this name being the issuer's: what a poll for a pending certificate is about.
    #[must_use]
    pub fn and_subject(&self, subject: &Self) -> Vec<u8> {
        asn1::sequence(&[self.der(), subject.der()])
    }

    /// Whether the name has no attribute at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0x30, 0]
    }

    /// The first value of the attribute type, as text.
    #[must_use]
    pub fn attribute(&self, attribute: NameAttribute) -> Option<String> {
        self.attributes()
            .into_iter()
            .find(|(oid, _)| *oid == attribute.oid())
            .map(|(_, value)| value)
    }

    /// Type and value of every attribute, in encoded order; what cannot be read is left out.
    #[must_use]
    pub fn attributes(&self) -> Vec<(ObjectIdentifier, String)> {
        let mut attributes = Vec::new();
        // A name that is damaged half-way shows the half that is not.
        let _ = self.walk(&mut attributes);
        attributes
    }

    fn walk(&self, attributes: &mut Vec<(ObjectIdentifier, String)>) -> der::Result<()> {
        let mut names = Walk::only(&self.0)?.children()?;
        while !names.is_empty() {
            let mut pairs = names.expect(Tag::Set)?.children()?;
            while !pairs.is_empty() {
                let mut pair = pairs.expect(Tag::Sequence)?.children()?;
                let oid = pair.expect(Tag::ObjectIdentifier)?.oid()?;
                attributes.push((oid, text(pair.next()?)));
            }
        }
        Ok(())
    }
}

/// The text of a DirectoryString. T.61 is read as Latin-1, as everybody does; undecodable octets become U+FFFD.
pub(crate) fn text(element: asn1::Element<'_>) -> String {
    match element.tag {
        Tag::BmpString => {
            let units = element
                .contents
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        Tag::TeletexString => element
            .contents
            .iter()
            .map(|&octet| char::from(octet))
            .collect(),
        _ => String::from_utf8_lossy(element.contents).into_owned(),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (oid, value)) in self.attributes().into_iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match oid {
                oid::COUNTRY => f.write_str("C")?,
                oid::ORGANIZATION => f.write_str("O")?,
                oid::ORGANIZATIONAL_UNIT => f.write_str("OU")?,
                oid::COMMON_NAME => f.write_str("CN")?,
                oid::SUBJECT_SERIAL_NUMBER => f.write_str("serialNumber")?,
                oid::USER_ID => f.write_str("UID")?,
                other => write!(f, "{other}")?,
            }
            f.write_str("=")?;
            for character in value.chars() {
                match character {
                    ',' | '\\' | '"' | '+' | ';' => write!(f, "\\{character}")?,
                    control if control.is_control() => write!(f, "{}", control.escape_unicode())?,
                    plain => write!(f, "{plain}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_in_order_and_escaped() {
        let name = Name::new(&[
            (NameAttribute::CommonName, "a,b\nc"),
            (NameAttribute::SerialNumber, "C02"),
            (NameAttribute::Country, "US"),
        ]);
        assert_eq!(name.to_string(), "CN=a\\,bc, serialNumber=C02, C=US");
        assert_eq!(
            name.attribute(NameAttribute::SerialNumber).as_deref(),
            Some("C02")
        );
    }

    #[test]
    fn damaged_names_show_what_is_readable() {
        assert_eq!(Name::from_der(b"\x30\x05\x31").to_string(), "");
    }
}
