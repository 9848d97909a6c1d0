//! The simulated APNs as a whole: start, stop, and the ways to make it misbehave.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::authority::{PKCS12_PASSWORD, PushAuthority};
use super::check::Refusal;
use super::providers::Ending;
use super::service::Service;
use super::start_error::StartError;
use super::{devices, listener, providers, tls};
use crate::file::{self, Readers};

/// Where to listen, and where to keep certificates, tokens and the record.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Made if it is not there. A second run in the same directory goes on where the first one ended.
    pub directory: PathBuf,
    /// For MDM servers.
    pub listen: SocketAddr,
    /// For devices.
    pub device_listen: SocketAddr,
}

/// What others need to know to use it: the contents of `apns.json` in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Where MDM servers connect.
    pub push_address: SocketAddr,
    /// Where devices connect.
    pub device_address: SocketAddr,
    /// The authority to trust for both, in PEM.
    pub ca: PathBuf,
    /// A push certificate with its key, in PEM.
    pub push_certificate: PathBuf,
    /// The same in PKCS#12.
    pub push_pkcs12: PathBuf,
    /// The password of the PKCS#12 file.
    pub push_pkcs12_password: String,
    /// The topic of the push certificate.
    pub topic: String,
    /// What happened so far, one JSON object a line.
    pub record: PathBuf,
}

/// A running simulated APNs; it stops when it is dropped.
pub struct Simulator {
    announcement: Announcement,
    authority: PushAuthority,
    service: Arc<Service>,
    endings: watch::Sender<Ending>,
    listeners: JoinSet<()>,
}

impl Simulator {
    /// Starts it and writes `apns.json`.
    ///
    /// # Errors
    /// An address that is taken, or a directory that cannot be written.
    pub async fn start(settings: &Settings) -> Result<Simulator, StartError> {
        let now = SystemTime::now();
        let authority = PushAuthority::open(&settings.directory, now)?;
        let directory = std::fs::canonicalize(&settings.directory)?;
        let push = authority.push_files(&directory, now)?;
        let server = authority.server(now)?;
        let record = directory.join("record.jsonl");
        let service = Arc::new(Service::open(&directory.join("tokens.jsonl"), &record)?);
        let provider_listener = bind(settings.listen).await?;
        let device_listener = bind(settings.device_listen).await?;
        let announcement = Announcement {
            push_address: provider_listener.local_addr()?,
            device_address: device_listener.local_addr()?,
            ca: directory.join("ca.pem"),
            push_certificate: push.pem,
            push_pkcs12: push.pkcs12,
            push_pkcs12_password: PKCS12_PASSWORD.to_owned(),
            topic: push.topic,
            record,
        };
        let mut simulator = Simulator {
            announcement,
            service,
            endings: watch::Sender::new(Ending::Broken),
            listeners: JoinSet::new(),
            authority,
        };
        let provider_tls = tls::providers(&server, simulator.authority.certificate())?;
        simulator.listen(
            provider_listener,
            provider_tls,
            device_listener,
            tls::devices(&server)?,
        );
        let json = serde_json::to_vec_pretty(&simulator.announcement).map_err(io::Error::from)?;
        file::replace(&directory.join("apns.json"), &json, Readers::Owner)?;
        Ok(simulator)
    }

    fn listen(
        &mut self,
        provider_listener: TcpListener,
        provider_tls: Arc<rustls::ServerConfig>,
        device_listener: TcpListener,
        device_tls: Arc<rustls::ServerConfig>,
    ) {
        let (service, endings) = (Arc::clone(&self.service), self.endings.clone());
        self.listeners.spawn(listener::accept(
            provider_listener,
            provider_tls,
            move |stream| providers::serve(stream, Arc::clone(&service), endings.subscribe()),
        ));
        let service = Arc::clone(&self.service);
        self.listeners.spawn(listener::accept(
            device_listener,
            device_tls,
            move |stream| devices::serve(stream, Arc::clone(&service)),
        ));
    }

    /// What others need to know to use it.
    pub fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// The authority behind it, for further push certificates.
    pub fn authority(&self) -> &PushAuthority {
        &self.authority
    }

    /// Answers the next push so, whatever it is. Several calls queue up.
    pub fn refuse_next(&self, refusal: Refusal) {
        self.service.force(refusal);
    }

    /// Answers the next push to this token, in hexadecimal, so. Several calls queue up, and go before those of all tokens.
    pub fn refuse_token(&self, token: &str, refusal: Refusal) {
        self.service.force_for(token.to_owned(), refusal);
    }

    /// Answers every push so; with `None`, again as it deserves.
    pub fn refuse_all(&self, refusal: Option<Refusal>) {
        self.service.force_always(refusal);
    }

    /// Closes every provider's connection with GOAWAY after the requests that are under way on it.
    pub fn close_provider_connections(&self) {
        self.endings.send_replace(Ending::GoAway);
    }

    /// Breaks every provider's connection in the middle of whatever is under way on it.
    pub fn break_provider_connections(&self) {
        self.endings.send_replace(Ending::Broken);
    }

    /// Stops it: no listener, no connection and no task of it is left when this returns.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Bind { address, source })
}

/// Reads the announcement of a simulated APNs that runs in `directory`.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read_announcement(directory: &Path) -> io::Result<Announcement> {
    let json = std::fs::read(directory.join("apns.json"))?;
    Ok(serde_json::from_slice(&json)?)
}
