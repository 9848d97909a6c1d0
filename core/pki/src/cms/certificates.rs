//! SignedData that carries certificates only (RFC 8894, 3.4).

use der::Tag;

use super::{CmsError, content_info, signed::certificates, write_content_info};
use crate::{Certificate, asn1, ber, oid};

/// SignedData that carries certificates and nothing else, in the order given. The order is kept although DER would sort
/// the SET: clients take the first certificate for the one that they asked for.
#[must_use]
pub fn certificates_only(certificates: &[&Certificate]) -> Vec<u8> {
    let certificates: Vec<&[u8]> = certificates
        .iter()
        .map(|certificate| certificate.der())
        .collect();
    let signed_data = asn1::sequence(&[
        &asn1::write(Tag::Integer, &[1]),
        &asn1::write(Tag::Set, &[]),
        &asn1::sequence(&[&asn1::oid(oid::DATA)]),
        &asn1::write(asn1::context(0), &certificates.concat()),
        &asn1::write(Tag::Set, &[]),
    ]);
    write_content_info(oid::SIGNED_DATA, &signed_data)
}

/// The certificates of a SignedData without signers, at most 16, in encoded order.
///
/// # Errors
/// [`CmsError`]
pub fn parse_certificates_only(message: &[u8]) -> Result<Vec<Certificate>, CmsError> {
    let message = ber::normalise(message)?;
    let (kind, content) = content_info(&message)?;
    if kind != oid::SIGNED_DATA {
        return Err(CmsError::ContentType(kind));
    }
    let mut fields = content.expect(Tag::Sequence)?.children()?;
    fields.expect(Tag::Integer)?;
    fields.expect(Tag::Set)?;
    fields.expect(Tag::Sequence)?;
    match fields.optional(asn1::context(0))? {
        Some(set) => certificates(set),
        None => Ok(Vec::new()),
    }
}
