//! What stands in the URL: the operation, and for GET the message itself.
//!
//! Clients disagree about how base64 goes into a query, so the raw query string is read here rather than a decoded form.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// An SCEP operation (RFC 8894, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// What can this endpoint do?
    GetCaCaps,
    /// The authority's certificates, please.
    GetCaCert,
    /// A pkiMessage.
    PkiOperation,
}

/// The query string has no message that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No operation, or one that is unknown here.
    #[error(
        "the query names no operation known here: GetCACaps, GetCACert or PKIOperation is expected"
    )]
    Operation,
    /// No `message=`.
    #[error("the query has no message=")]
    NoMessage,
    /// Not base64.
    #[error("the query's message= is not base64")]
    Base64,
}

/// The operation that the raw query string of a GET names, in whatever case.
///
/// # Errors
/// [`QueryError::Operation`]
pub fn operation(query: &str) -> Result<Operation, QueryError> {
    let name = parameter(query, "operation").ok_or(QueryError::Operation)?;
    [
        ("GetCACaps", Operation::GetCaCaps),
        ("GetCACert", Operation::GetCaCert),
        ("PKIOperation", Operation::PkiOperation),
    ]
    .into_iter()
    .find(|(known, _)| known.eq_ignore_ascii_case(name))
    .map(|(_, operation)| operation)
    .ok_or(QueryError::Operation)
}

/// The operation of a POST: one that names none means PKIOperation, and nothing else is posted (RFC 8894, 4.3).
///
/// # Errors
/// [`QueryError::Operation`]
pub fn posted_operation(query: &str) -> Result<Operation, QueryError> {
    match (parameter(query, "operation"), operation(query)) {
        (None, _) | (Some(_), Ok(Operation::PkiOperation)) => Ok(Operation::PkiOperation),
        _ => Err(QueryError::Operation),
    }
}

/// The pkiMessage in a raw query string, in any of the ways that clients write it: percent-encoded once or twice, with
/// line breaks, with a bare `+` or `/`, in the URL alphabet, with and without padding, or with `+` turned into a space by a
/// proxy.
///
/// # Errors
/// [`QueryError`]
pub fn pki_message(query: &str) -> Result<Vec<u8>, QueryError> {
    let raw = parameter(query, "message").ok_or(QueryError::NoMessage)?;
    let mut text = percent_decode(raw.as_bytes());
    if text.contains(&b'%') {
        text = percent_decode(&text);
    }
    let without_space = decode(
        text.iter()
            .copied()
            .filter(|octet| !octet.is_ascii_whitespace()),
    );
    if !text.contains(&b' ') || is_whole(&without_space) {
        return without_space;
    }
    let with_plus = decode(
        text.iter()
            .map(|&octet| if octet == b' ' { b'+' } else { octet })
            .filter(|octet| !octet.is_ascii_whitespace()),
    );
    if is_whole(&with_plus) {
        with_plus
    } else {
        without_space
    }
}

/// Four spaces can be left out of base64, and something comes out; that it is one ASN.1 element tells whether they were
/// folded lines or lost pluses.
fn is_whole(message: &Result<Vec<u8>, QueryError>) -> bool {
    message
        .as_ref()
        .is_ok_and(|message| lanyard_pki::ber::normalise(message).is_ok())
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |octet: u8| {
        char::from(octet)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(octet),
            },
            _ => decoded.push(octet),
        }
    }
    decoded
}

fn decode(text: impl Iterator<Item = u8>) -> Result<Vec<u8>, QueryError> {
    const LENIENT_PADDING: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let standard: Vec<u8> = text
        .map(|octet| match octet {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    LENIENT_PADDING
        .decode(standard)
        .map_err(|_| QueryError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_base64_is_read() {
        const LOST_TWO: &[u8] = &[0x30, 6, 4, 4, 0, 0, 0xfb, 0xef];
        const LOST_FOUR: &[u8] = &[0x30, 7, 4, 5, 0, 0, 0xfb, 0xef, 0xbe];
        // 30 fb ff = "MPv/" in the standard alphabet, "MPv_" in the URL one; 30 fb e0 = "MPvg"; 30 ef be = "MO++".
        for (query, message) in [
            (
                "operation=PKIOperation&message=MPv/",
                &[0x30, 0xfb, 0xff][..],
            ),
            ("message=MPv_&operation=PKIOperation", &[0x30, 0xfb, 0xff]),
            ("message=MPv%2F", &[0x30, 0xfb, 0xff]),
            ("message=MPv%252F", &[0x30, 0xfb, 0xff]),
            ("message=MP%0Av%0D%0A/", &[0x30, 0xfb, 0xff]),
            ("message=MO++", &[0x30, 0xef, 0xbe]),
            ("message=MO%2B%2B", &[0x30, 0xef, 0xbe]),
            ("message=MAYEBAAA%20%208=", LOST_TWO),
            ("message=MAcEBQAA    ", LOST_FOUR),
            ("message=MAA=", &[0x30, 0x00]),
            ("message=MAA%3D", &[0x30, 0x00]),
            ("message=MAA", &[0x30, 0x00]),
        ] {
            assert_eq!(pki_message(query).as_deref(), Ok(message), "{query}");
        }
        assert_eq!(
            pki_message("operation=PKIOperation"),
            Err(QueryError::NoMessage)
        );
        assert_eq!(pki_message("message=%zz"), Err(QueryError::Base64));
    }

    #[test]
    fn operations_are_found_in_any_case() {
        assert_eq!(
            operation("operation=getcacaps&message="),
            Ok(Operation::GetCaCaps)
        );
        assert_eq!(
            operation("message=x&operation=PKIOperation"),
            Ok(Operation::PkiOperation)
        );
        assert_eq!(operation("operation=Update"), Err(QueryError::Operation));
        assert_eq!(operation(""), Err(QueryError::Operation));
        for posted in ["", "x=1", "operation=PKIOperation"] {
            assert_eq!(posted_operation(posted), Ok(Operation::PkiOperation));
        }
        for posted in ["operation=GetCACert", "operation=Update"] {
            assert_eq!(posted_operation(posted), Err(QueryError::Operation));
        }
    }
}
