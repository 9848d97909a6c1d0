//! Turns BER as devices send it into the definite, minimal encoding that the readers here take.
//!
//! Apple's and Java's clients write CMS with indefinite lengths and OCTET STRINGs cut into pieces (X.690 8.1.3.6, 8.7.3).
//! The order of elements is kept: a SET OF whose members a client did not sort stays unsorted, because signatures are
//! checked over the octets as they came.

use std::borrow::Cow;

/// Elements may nest this deep; CMS around a chain of certificates needs about 15.
pub const MAX_DEPTH: usize = 32;
/// Elements a message may have; sixteen certificates have about 1,600.
pub const MAX_ELEMENTS: usize = 4096;

const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;

/// Why octets are not one BER element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BerError {
    /// The input ends inside an element.
    #[error("the message ends inside an ASN.1 element")]
    Truncated,
    /// Something follows the element.
    #[error("bytes follow the ASN.1 element that should be the whole message")]
    TrailingData,
    /// More than [`MAX_DEPTH`] levels.
    #[error("ASN.1 elements are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements.
    #[error("the message has more than {MAX_ELEMENTS} ASN.1 elements")]
    TooManyElements,
    /// A length form that is reserved, or longer than four octets.
    #[error("an ASN.1 length is reserved or too large")]
    Length,
    /// A tag number above 30, which none of our messages has.
    #[error("an ASN.1 tag has a number above 30")]
    HighTag,
    /// An OCTET STRING in pieces whose pieces are something else.
    #[error("a constructed OCTET STRING holds something that is not an OCTET STRING")]
    Pieces,
}

/// The same element with definite, minimal lengths and OCTET STRINGs in one piece.
///
/// Input that is so already is borrowed. The output is never longer than the input.
///
/// # Errors
/// [`BerError`]; the work done is bounded by the input's length and the limits above.
pub fn normalise(input: &[u8]) -> Result<Cow<'_, [u8]>, BerError> {
    let mut walker = Walker {
        elements: 0,
        changed: false,
    };
    let mut output = Vec::with_capacity(input.len());
    let rest = walker.element(input, 0, &mut output)?;
    if !rest.is_empty() {
        return Err(BerError::TrailingData);
    }
    Ok(if walker.changed {
        Cow::Owned(output)
    } else {
        Cow::Borrowed(input)
    })
}

struct Walker {
    elements: usize,
    changed: bool,
}

enum Length {
    Definite(usize),
    Indefinite,
}

impl Walker {
    /// Copies the first element of `input` to `output` and returns what follows it.
    fn element<'a>(
        &mut self,
        input: &'a [u8],
        depth: usize,
        output: &mut Vec<u8>,
    ) -> Result<&'a [u8], BerError> {
        if depth >= MAX_DEPTH {
            return Err(BerError::TooDeep);
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(BerError::TooManyElements);
        }
        let (&tag, rest) = input.split_first().ok_or(BerError::Truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(BerError::HighTag);
        }
        let (length, rest) = self.length(rest)?;
        if tag & CONSTRUCTED == 0 {
            let Length::Definite(length) = length else {
                return Err(BerError::Length);
            };
            let (contents, rest) = rest.split_at_checked(length).ok_or(BerError::Truncated)?;
            write(tag, contents, output);
            return Ok(rest);
        }
        let mut contents = Vec::new();
        let rest = self.children(rest, length, depth, &mut contents)?;
        if tag == OCTET_STRING | CONSTRUCTED {
            self.changed = true;
            write(OCTET_STRING, &join(&contents)?, output);
        } else {
            write(tag, &contents, output);
        }
        Ok(rest)
    }

    fn children<'a>(
        &mut self,
        mut input: &'a [u8],
        length: Length,
        depth: usize,
        output: &mut Vec<u8>,
    ) -> Result<&'a [u8], BerError> {
        match length {
            Length::Definite(length) => {
                let (mut contents, rest) =
                    input.split_at_checked(length).ok_or(BerError::Truncated)?;
                while !contents.is_empty() {
                    contents = self.element(contents, depth + 1, output)?;
                }
                Ok(rest)
            }
            Length::Indefinite => loop {
                if let Some(rest) = input.strip_prefix(&[0, 0]) {
                    return Ok(rest);
                }
                input = self.element(input, depth + 1, output)?;
            },
        }
    }

    fn length<'a>(&mut self, input: &'a [u8]) -> Result<(Length, &'a [u8]), BerError> {
        let (&first, rest) = input.split_first().ok_or(BerError::Truncated)?;
        match first {
            0..=0x7f => Ok((Length::Definite(usize::from(first)), rest)),
            0x80 => {
                self.changed = true;
                Ok((Length::Indefinite, rest))
            }
            0x81..=0x84 => {
                let (octets, rest) = rest
                    .split_at_checked(usize::from(first & 0x7f))
                    .ok_or(BerError::Truncated)?;
                let length = octets
                    .iter()
                    .fold(0usize, |value, &octet| value << 8 | usize::from(octet));
                if octets[0] == 0 || length < 0x80 {
                    self.changed = true;
                }
                Ok((Length::Definite(length), rest))
            }
            _ => Err(BerError::Length),
        }
    }
}

/// The pieces of a constructed OCTET STRING, already normalised, as one value.
fn join(mut pieces: &[u8]) -> Result<Vec<u8>, BerError> {
    let mut walker = Walker {
        elements: 0,
        changed: false,
    };
    let mut value = Vec::with_capacity(pieces.len());
    while let Some((&tag, rest)) = pieces.split_first() {
        let (Length::Definite(length), rest) = walker.length(rest)? else {
            return Err(BerError::Pieces);
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(BerError::Truncated)?;
        if tag != OCTET_STRING {
            return Err(BerError::Pieces);
        }
        value.extend_from_slice(contents);
        pieces = rest;
    }
    Ok(value)
}

fn write(tag: u8, contents: &[u8], output: &mut Vec<u8>) {
    output.push(tag);
    let length = contents.len();
    if length < 0x80 {
        output.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let significant = &octets[octets.iter().take_while(|&&octet| octet == 0).count()..];
        output.push(0x80 | significant.len() as u8);
        output.extend_from_slice(significant);
    }
    output.extend_from_slice(contents);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_and_pieces_become_definite_and_whole() {
        let ber = [
            0x30, 0x80, 0x24, 0x80, 0x04, 0x02, b'a', b'b', 0x04, 0x01, b'c', 0, 0, 0x02, 0x81,
            0x01, 7, 0, 0,
        ];
        assert_eq!(
            *normalise(&ber).unwrap(),
            [0x30, 0x08, 0x04, 0x03, b'a', b'b', b'c', 0x02, 0x01, 7]
        );
    }

    #[test]
    fn der_is_borrowed_and_its_order_kept() {
        let unsorted = [0x31, 0x06, 0x02, 0x01, 9, 0x02, 0x01, 1];
        assert!(matches!(normalise(&unsorted), Ok(Cow::Borrowed(same)) if same == unsorted));
    }

    #[test]
    fn bombs_are_refused() {
        let deep = [0x30, 0x80].repeat(40);
        let many = [
            [0x30, 0x83, 0x00, 0x40, 0x00].as_slice(),
            &[0x05, 0x00].repeat(0x2000),
        ]
        .concat();
        for (input, error) in [
            (deep.as_slice(), BerError::TooDeep),
            (&many, BerError::TooManyElements),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], BerError::Truncated),
            (&[0x30, 0x89], BerError::Length),
            (&[0x04, 0x80], BerError::Length),
            (&[0x1f, 0x81, 0x01, 0x00], BerError::HighTag),
            (&[0x24, 0x03, 0x02, 0x01, 0x00], BerError::Pieces),
            (&[0x05, 0x00, 0x00], BerError::TrailingData),
            (&[], BerError::Truncated),
        ] {
            assert_eq!(normalise(input), Err(error));
        }
    }
}
