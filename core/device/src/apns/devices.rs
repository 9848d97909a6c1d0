//! The device side: a device registers and is told what comes for it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::exchange::Notification;
use super::service::Service;
use super::wire::{self, FromDevice, ToDevice};

/// A connection that does not register by then is closed.
const REGISTER_WITHIN: Duration = Duration::from_secs(10);

/// Serves one connection until its end.
pub(super) async fn serve(stream: TlsStream<TcpStream>, service: Arc<Service>) {
    if let Err(error) = converse(stream, &service).await {
        tracing::debug!(%error, "a device's connection broke");
    }
}

async fn converse(stream: TlsStream<TcpStream>, service: &Service) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let Some(FromDevice::Register { udid, topic }) =
        timeout(REGISTER_WITHIN, wire::read(&mut reader)).await??
    else {
        return Err(io::Error::other("a device must register first"));
    };
    let (token, notifications) = service.register(&udid, &topic)?;
    wire::write(
        &mut writer,
        &ToDevice::Registered {
            token: token.clone(),
        },
    )
    .await?;
    let listen = async {
        while let Some(message) = wire::read(&mut reader).await? {
            match message {
                FromDevice::Received { id } => service.received(&token, id),
                FromDevice::Unregister => return Ok(true),
                FromDevice::Register { .. } => {
                    return Err(io::Error::other("a device must register once"));
                }
            }
        }
        Ok(false)
    };
    let unregisters = tokio::select! {
        ended = listen => ended?,
        ended = tell(&mut writer, notifications) => {
            ended?;
            false
        }
    };
    if unregisters {
        service.unregister(&token)?;
        wire::write(&mut writer, &ToDevice::Unregistered).await?;
    }
    Ok(())
}

/// Writes each notification as it comes. The first may have been kept from before, and have expired since.
async fn tell(
    writer: &mut (impl AsyncWrite + Unpin),
    mut notifications: watch::Receiver<Option<Notification>>,
) -> io::Result<()> {
    let now = SystemTime::now();
    let kept = notifications
        .borrow_and_update()
        .clone()
        .filter(|kept| kept.kept_until.is_some_and(|until| until > now));
    let mut next = kept;
    loop {
        if let Some(Notification { id, magic, .. }) = next {
            wire::write(writer, &ToDevice::Notification { id, mdm: magic }).await?;
        }
        if notifications.changed().await.is_err() {
            return Ok(());
        }
        next = notifications.borrow_and_update().clone();
    }
}
