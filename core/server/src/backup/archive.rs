//! Writes the archive while it is sent: nothing but the copy of the database needs room on the disk.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::{Contents, FORMAT, Listed, MANIFEST, Manifest};

/// Parts under way: the slower side makes the other one wait.
const PARTS: usize = 4;
/// Bytes of one part.
const PART: usize = 64 * 1024;

/// An archive on its way, as the body of an answer.
pub(crate) struct ArchiveBody(mpsc::Receiver<io::Result<Bytes>>);

impl Body for ArchiveBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let part = self.0.poll_recv(context);
        part.map(|part| part.map(|part| part.map(Frame::data)))
    }
}

/// Begins to write an archive, on a thread of its own: it waits for the disk and for the client. It ends early when nobody receives it.
pub(super) fn send(contents: Contents) -> ArchiveBody {
    let (sender, receiver) = mpsc::channel(PARTS);
    tokio::task::spawn_blocking(move || {
        let parts = io::BufWriter::with_capacity(PART, Parts(sender.clone()));
        if let Err(error) = write(&contents, parts) {
            tracing::error!(%error, "a backup was not finished");
            let _ = sender.blocking_send(Err(error));
        }
    });
    ArchiveBody(receiver)
}

fn write(contents: &Contents, out: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(out);
    let mut files = Vec::new();
    for (path, content) in &contents.files {
        let bytes = content.len() as u64;
        files.push(append(
            &mut archive,
            path,
            bytes,
            contents.made_at,
            &mut content.as_slice(),
        )?);
    }
    if let Some(database) = &contents.database {
        let mut file = &database.file;
        let bytes = file.metadata()?.len();
        files.push(append(
            &mut archive,
            &database.entry,
            bytes,
            contents.made_at,
            &mut file,
        )?);
    }
    let manifest = serde_json::to_vec_pretty(&Manifest {
        format: FORMAT,
        lanyard: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: contents.made_at,
        database: (contents.database.as_ref()).map(|database| database.entry.clone()),
        outside: contents.outside.clone(),
        files,
    })?;
    let bytes = manifest.len() as u64;
    append(
        &mut archive,
        MANIFEST,
        bytes,
        contents.made_at,
        &mut manifest.as_slice(),
    )?;
    archive.into_inner()?.flush()
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    bytes: u64,
    made_at: u64,
    content: &mut dyn Read,
) -> io::Result<Listed> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(made_at);
    let mut hashed = Hashed::new(content);
    archive.append_data(&mut header, path, &mut hashed)?;
    Ok(Listed {
        path: path.to_owned(),
        bytes,
        sha256: hashed.finish(),
    })
}

/// Reads, and takes the digest of what was read.
pub(super) struct Hashed<R> {
    inner: R,
    digest: Sha256,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }

    /// SHA-256, hex.
    pub(super) fn finish(self) -> String {
        hex::encode(self.digest.finalize())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// The sending end, to write to.
struct Parts(mpsc::Sender<io::Result<Bytes>>);

impl Write for Parts {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(part)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody receives it any more"))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
