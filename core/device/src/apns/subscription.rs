//! A device's connection to the simulated APNs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_pki::{Certificate, CertificateError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::wire::{self, FromDevice, ToDevice};
use crate::tls;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How a device gets to the simulated APNs.
#[derive(Clone)]
pub struct Courier {
    address: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

/// A device that is registered for a topic and waits to be woken. It reconnects by itself until it is dropped.
pub struct Subscription {
    token: watch::Receiver<DeviceToken>,
    wakes: mpsc::Receiver<PushMagic>,
    unregister: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

struct Device {
    courier: Courier,
    udid: String,
    topic: String,
    token: watch::Sender<DeviceToken>,
    wakes: mpsc::Sender<PushMagic>,
    unregister: mpsc::Receiver<()>,
    /// Whether the token is to be given up, on the next connection if this one breaks.
    leaving: bool,
}

type Reader = BufReader<ReadHalf<TlsStream<TcpStream>>>;
type Writer = WriteHalf<TlsStream<TcpStream>>;

impl Courier {
    /// The device address of a simulated APNs as host and port, and the PEM text of its authority.
    ///
    /// # Errors
    /// An address without a port, or PEM text without a certificate.
    pub fn new(address: &str, ca: &[u8]) -> Result<Courier, CourierError> {
        let error = || CourierError::Address {
            address: address.to_owned(),
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(error)?;
        port.parse::<u16>().map_err(|_| error())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Courier {
            name: ServerName::try_from(host.to_owned()).map_err(|_| error())?,
            address: address.to_owned(),
            tls: Arc::new(tls::client(&Certificate::many_from_pem(ca)?, None)?),
        })
    }

    async fn register(&self, udid: &str, topic: &str) -> io::Result<(Reader, Writer, DeviceToken)> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(self.name.clone(), tcp)
            .await?;
        let (reader, mut writer) = tokio::io::split(stream);
        let mut reader = BufReader::new(reader);
        let (udid, topic) = (udid.to_owned(), topic.to_owned());
        wire::write(&mut writer, &FromDevice::Register { udid, topic }).await?;
        let Some(ToDevice::Registered { token }) = wire::read(&mut reader).await? else {
            return Err(io::Error::other("the simulated APNs gave no token"));
        };
        let token = crate::hex::decode(&token)
            .ok_or_else(|| io::Error::other("the token is not hexadecimal"))?;
        Ok((reader, writer, DeviceToken::new(token)))
    }
}

impl Subscription {
    /// Registers a device for a topic.
    ///
    /// # Errors
    /// The simulated APNs cannot be reached. Later, this is only waited out.
    pub async fn connect(
        courier: &Courier,
        udid: &str,
        topic: &str,
    ) -> Result<Subscription, SubscriptionError> {
        let registered = timeout(CONNECT_WITHIN, courier.register(udid, topic)).await;
        let (reader, writer, first) = match registered {
            Ok(Ok(registered)) => registered,
            Ok(Err(source)) => return Err(courier.unreachable(source)),
            Err(elapsed) => return Err(courier.unreachable(elapsed.into())),
        };
        let (token_sender, token) = watch::channel(first);
        // One wake-up says as much as many, so few need to queue.
        let (wake_sender, wakes) = mpsc::channel(4);
        let (unregister, unregister_receiver) = mpsc::channel(1);
        let device = Device {
            courier: courier.clone(),
            udid: udid.to_owned(),
            topic: topic.to_owned(),
            token: token_sender,
            wakes: wake_sender,
            unregister: unregister_receiver,
            leaving: false,
        };
        Ok(Subscription {
            token,
            wakes,
            unregister,
            task: tokio::spawn(device.run(reader, writer)),
        })
    }

    /// The token, for TokenUpdate. It changes only if the simulated APNs has lost its memory in between.
    pub fn token(&self) -> DeviceToken {
        self.token.borrow().clone()
    }

    /// The token whenever it changes.
    pub fn tokens(&self) -> watch::Receiver<DeviceToken> {
        self.token.clone()
    }

    /// Waits for the next wake-up: the push magic in it. Nothing is lost when this is cancelled. `None` after
    /// [`Subscription::unregister`].
    pub async fn next_wake(&mut self) -> Option<PushMagic> {
        self.wakes.recv().await
    }

    /// Gives the token up, as an erased device does; pushes to it are refused from then on. Takes as long as it takes to
    /// reach the simulated APNs.
    pub async fn unregister(mut self) {
        // If the task has ended, there is no token to give up.
        let _ = self.unregister.send(()).await;
        while self.wakes.recv().await.is_some() {}
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    async fn run(mut self, reader: Reader, writer: Writer) {
        let mut connection = Some((reader, writer));
        let mut wait = FIRST_WAIT;
        loop {
            if let Some((mut reader, mut writer)) = connection.take() {
                wait = FIRST_WAIT;
                match self.converse(&mut reader, &mut writer).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, "the simulated APNs is gone"),
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            let register = self.courier.register(&self.udid, &self.topic);
            if let Ok(Ok((reader, writer, token))) = timeout(CONNECT_WITHIN, register).await {
                self.token.send_replace(token);
                connection = Some((reader, writer));
            }
        }
    }

    /// `Ok` when nobody wants to be woken any more, an error when the connection broke.
    async fn converse(&mut self, reader: &mut Reader, writer: &mut Writer) -> io::Result<()> {
        if !self.leaving {
            tokio::select! {
                ended = pass_on(reader, writer, &self.wakes) => return ended,
                _ = self.unregister.recv() => self.leaving = true,
            }
        }
        wire::write(writer, &FromDevice::Unregister).await?;
        loop {
            match wire::read(reader).await? {
                Some(ToDevice::Unregistered) => return Ok(()),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// Passes wake-ups on and confirms them. `Ok` when nobody takes them.
async fn pass_on(
    reader: &mut Reader,
    writer: &mut Writer,
    wakes: &mpsc::Sender<PushMagic>,
) -> io::Result<()> {
    while let Some(message) = wire::read(reader).await? {
        let ToDevice::Notification { id, mdm } = message else {
            return Err(io::Error::other("a token came unasked"));
        };
        if wakes.send(PushMagic::new(mdm)).await.is_err() {
            return Ok(());
        }
        wire::write(writer, &FromDevice::Received { id }).await?;
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

impl Courier {
    fn unreachable(&self, source: io::Error) -> SubscriptionError {
        SubscriptionError {
            address: self.address.clone(),
            source,
        }
    }
}

/// How to get to the simulated APNs is not said as it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CourierError {
    /// Not an address.
    #[error(
        "{address:?} is no address of a simulated APNs: write HOST:PORT, as apns.json has it in device_address"
    )]
    Address {
        /// What was given.
        address: String,
    },
    /// The authority's file has no certificate.
    #[error("the authority of the simulated APNs cannot be read")]
    Authority(#[from] CertificateError),
    /// TLS cannot work with the authority.
    #[error("the authority of the simulated APNs cannot be a trust anchor")]
    Tls(#[from] rustls::Error),
}

/// The simulated APNs cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the simulated APNs cannot be reached at {address}: is `lanyard-device apns` running?")]
pub struct SubscriptionError {
    /// Host and port.
    pub address: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}
