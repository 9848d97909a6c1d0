//! Between a directory and the library that reads its answers: LDAP messages (RFC 4511, 4.1.1) are measured before they are handed on,
//! for the library goes down one call for each level of nesting, and takes messages of any length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

/// Longest message, in bytes: an entry with a photograph or a certificate list, and then some.
const MOST_BYTES: usize = 4 << 20;
/// Most elements within one another. A search's answer has seven.
const MOST_DEPTH: usize = 32;
/// Constructed, universal, 16: every message is one.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
/// Constructed, application, 24 (RFC 4511, 4.12).
const EXTENDED_RESPONSE: u8 = 0x78;
/// ExtendedRequest 1 with the name 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14.1).
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Asks for TLS (RFC 4511, 4.14). Nothing that follows the answer is read: it would not be the server's.
pub(crate) async fn start_tls<S: AsyncRead + AsyncWrite + Unpin>(server: &mut S) -> io::Result<()> {
    server.write_all(STARTTLS).await?;
    server.flush().await?;
    let message = next(server).await?;
    match result_code(&message.unwrap_or_default()) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::other(format!(
            "the server refuses StartTLS with result code {code}"
        ))),
        None => Err(malformed("its answer to StartTLS is none")),
    }
}

/// The other end of a connection to the server, over which only measured messages come. It ends with either side.
pub(crate) fn measured<S>(server: S) -> io::Result<std::os::unix::net::UnixStream>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (ours, library) = UnixStream::pair()?;
    tokio::spawn(async move {
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let (mut from_library, mut to_library) = ours.into_split();
        let forward = async {
            while let Some(message) = next(&mut from_server).await? {
                to_library.write_all(&message).await?;
            }
            Ok::<_, io::Error>(())
        };
        let ended = tokio::select! {
            sent = tokio::io::copy(&mut from_library, &mut to_server) => sent.map(drop),
            forwarded = forward => forwarded,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to a directory ended");
        }
        // Says goodbye, where that means something.
        let _ = to_server.shutdown().await;
    });
    library.into_std()
}

/// The next message, whole; `None` at the end of the connection.
async fn next(server: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = vec![0; 2];
    if server.read(&mut message[..1]).await? == 0 {
        return Ok(None);
    }
    server.read_exact(&mut message[1..]).await?;
    if message[0] != SEQUENCE {
        return Err(malformed("a message begins with another element"));
    }
    if let Some(further) = further_octets(message[1]) {
        message.resize(2 + further?, 0);
        server.read_exact(&mut message[2..]).await?;
    }
    let header = message.len();
    let (_, length) = length(&message[1..]).ok_or(malformed("a message has no length"))?;
    if length > MOST_BYTES {
        return Err(malformed("a message is longer than is read"));
    }
    message.resize(header + length, 0);
    server.read_exact(&mut message[header..]).await?;
    if is_shallow(&message) {
        Ok(Some(message))
    } else {
        Err(malformed("a message is nested too deeply, or in disorder"))
    }
}

/// How many octets of length follow the first; `None` if it is the length.
fn further_octets(first: u8) -> Option<io::Result<usize>> {
    match first {
        0..=0x7f => None,
        0x81..=0x84 => Some(Ok(usize::from(first & 0x7f))),
        // RFC 4511, 5.1: the definite form only. Four octets are four gigabytes.
        _ => Some(Err(malformed("a message has a length in another form"))),
    }
}

/// Octets that a length takes, and what it says.
fn length(octets: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = octets.split_first()?;
    let Some(further) = further_octets(first) else {
        return Some((1, usize::from(first)));
    };
    let further = further.ok()?;
    let value = rest.get(..further)?.iter();
    let value = value.fold(0_usize, |value, octet| value << 8 | usize::from(*octet));
    Some((1 + further, value))
}

/// Whether elements lie within those around them, and not too deep. Walked with a list of ends, and not by calls.
fn is_shallow(message: &[u8]) -> bool {
    let mut ends: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < message.len() {
        while ends.last() == Some(&at) {
            ends.pop();
        }
        let Some(element) = Element::at(message, at) else {
            return false;
        };
        if element.end > ends.last().copied().unwrap_or(message.len()) {
            return false;
        }
        at = if element.is_constructed {
            ends.push(element.end);
            element.content
        } else {
            element.end
        };
        if ends.len() > MOST_DEPTH {
            return false;
        }
    }
    true
}

struct Element {
    tag: u8,
    is_constructed: bool,
    /// Where its content begins, and where it ends.
    content: usize,
    end: usize,
}

impl Element {
    fn at(message: &[u8], at: usize) -> Option<Self> {
        let tag = *message.get(at)?;
        // A number of several octets; LDAP has none.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (octets, length) = length(message.get(at + 1..)?)?;
        let content = at + 1 + octets;
        let end = content.checked_add(length)?;
        (end <= message.len()).then_some(Self {
            tag,
            is_constructed: tag & 0x20 != 0,
            content,
            end,
        })
    }
}

/// Result code of an ExtendedResponse to message 1.
fn result_code(message: &[u8]) -> Option<u8> {
    let outer = Element::at(message, 0)?;
    let id = Element::at(message, outer.content)?;
    let response = Element::at(message, id.end)?;
    let code = Element::at(message, response.content)?;
    let is_one = (outer.tag, id.tag, response.tag, code.tag)
        == (SEQUENCE, INTEGER, EXTENDED_RESPONSE, ENUMERATED);
    match (
        is_one,
        &message[id.content..id.end],
        &message[code.content..code.end],
    ) {
        (true, [1], [code]) => Some(*code),
        _ => None,
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("what the server sends is not read: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequences within one another, six octets each.
    fn nested(depth: u32) -> Vec<u8> {
        (0..depth)
            .rev()
            .flat_map(|within| {
                let [a, b, c, d] = (within * 6).to_be_bytes();
                [SEQUENCE, 0x84, a, b, c, d]
            })
            .collect()
    }

    async fn read(sent: &[u8]) -> io::Result<Option<Vec<u8>>> {
        next(&mut &*sent).await
    }

    #[tokio::test]
    async fn a_message_is_handed_on_as_it_came() {
        let bind_response = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        let deepest = nested(u32::try_from(MOST_DEPTH).unwrap());
        let both = [&bind_response[..], &deepest].concat();
        let mut server = &both[..];
        assert_eq!(next(&mut server).await.unwrap().unwrap(), bind_response);
        let deep = next(&mut server).await.unwrap().unwrap();
        assert_eq!(deep, deepest);
        assert_eq!(next(&mut server).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_would_end_the_process_is_not_handed_on() {
        let beyond = u32::try_from(MOST_DEPTH).unwrap() + 1;
        assert!(read(&nested(beyond)).await.is_err());
        assert!(read(&nested(100_000)).await.is_err());
    }

    #[tokio::test]
    async fn disorder_is_not_handed_on() {
        let long = [&[SEQUENCE, 0x84][..], &u32::MAX.to_be_bytes()].concat();
        for (what, sent) in [
            ("longer than is read", &long[..]),
            ("indefinite", b"\x30\x80\x00\x00"),
            ("a length of five octets", b"\x30\x85\x00\x00\x00\x00\x00"),
            ("no sequence", b"\x04\x00"),
            ("an element beyond its end", b"\x30\x04\x30\x01\x04\x01"),
            ("an element cut off", b"\x30\x02\x04\x01"),
            ("a tag of several octets", b"\x30\x03\x1f\x01\x00"),
            ("an end before the message's", b"\x30\x05\x02"),
            ("half a header", b"\x30"),
        ] {
            assert!(read(sent).await.is_err(), "{what}");
        }
    }

    #[tokio::test]
    async fn starttls_goes_on_only_where_it_was_granted() {
        for (answer, granted) in [
            (
                &b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"[..],
                true,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00",
                false,
            ),
            (
                b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
                false,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
                false,
            ),
            (b"\x30\x00", false),
            (b"", false),
        ] {
            let (mut ours, mut server) = tokio::io::duplex(256);
            server.write_all(answer).await.unwrap();
            server.shutdown().await.unwrap();
            assert_eq!(start_tls(&mut ours).await.is_ok(), granted, "{answer:?}");
            let mut asked = vec![0; STARTTLS.len()];
            server.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, STARTTLS);
        }
    }
}
