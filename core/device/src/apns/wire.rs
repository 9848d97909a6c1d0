//! The protocol between devices and the simulated APNs: JSON values, one a line, over TLS.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A notification has at most 4096 octets of payload.
const LONGEST_LINE: u64 = 16 * 1024;

/// What a device says. It begins with `Register`, once a connection.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromDevice {
    /// Asks for the token of this device and topic.
    Register { udid: String, topic: String },
    /// Confirms the notification with this identifier.
    Received { id: String },
    /// Gives the token up.
    Unregister,
}

/// What the simulated APNs says.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToDevice {
    /// The token, in hexadecimal.
    Registered { token: String },
    /// A notification: its identifier, and the push magic.
    Notification { id: String, mdm: String },
    /// The token is dead. The connection ends.
    Unregistered,
}

/// Reads one line; `None` at the end of the stream.
pub(super) async fn read<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    reader
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line that is too long or has no end",
        )),
    }
}

/// Writes one line.
pub(super) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}
