//! Directories that the operator configured: where they are, who vouches for them, and the connections to them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lanyard_policy::Secret;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::ldap_messages;
use crate::trust::{self, RootsError};

/// LDAP directories, by the names that bindings grant them under.
pub type Directories = BTreeMap<String, LdapDirectory>;

/// Where a directory is and how it is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySettings {
    /// `ldap://host:port` or `ldaps://host:port`.
    pub url: String,
    /// Whether a connection to `ldap://` is encrypted before anything is said (RFC 4511, 4.14).
    pub starttls: bool,
    /// Who vouches for the server, PEM; `None` for the public authorities.
    pub roots: Option<Vec<u8>>,
    /// The distinguished name that searches stay at or below.
    pub base: String,
    /// Distinguished name and password of the account that searches; `None` for anonymous searches.
    pub account: Option<(String, Secret)>,
    /// How long connecting, or one operation, takes at most.
    pub timeout: Duration,
}

/// A directory that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The URL names no LDAP server.
    #[error("{0:?} is no directory's URL; expected ldap://host:389 or ldaps://host:636")]
    Url(String),
    /// StartTLS on a connection that is encrypted already.
    #[error("starttls goes with ldap://, and not with ldaps://")]
    AlreadyEncrypted,
    /// The roots cannot be read.
    #[error(transparent)]
    Roots(#[from] RootsError),
}

/// A directory with the connection that searches share. Cheap to clone.
#[derive(Clone)]
pub struct LdapDirectory(Arc<Inner>);

struct Inner {
    settings: DirectorySettings,
    host: String,
    port: u16,
    /// From the beginning, or from StartTLS on.
    is_encrypted: bool,
    tls: Arc<ClientConfig>,
    searching: Mutex<Option<Ldap>>,
}

impl LdapDirectory {
    /// Checks the settings; nothing is connected to.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub fn new(settings: DirectorySettings) -> Result<Self, DirectoryError> {
        let wrong = || DirectoryError::Url(settings.url.clone());
        let url = Url::parse(&settings.url).map_err(|_| wrong())?;
        let usual = match url.scheme() {
            "ldap" => 389,
            "ldaps" if settings.starttls => return Err(DirectoryError::AlreadyEncrypted),
            "ldaps" => 636,
            _ => return Err(wrong()),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(wrong)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let tls = trust::client_config(settings.roots.as_deref())?;
        Ok(Self(Arc::new(Inner {
            port: url.port().unwrap_or(usual),
            host,
            is_encrypted: settings.starttls || url.scheme() == "ldaps",
            tls,
            settings,
            searching: Mutex::default(),
        })))
    }

    pub(crate) fn base(&self) -> &str {
        &self.0.settings.base
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// A connection of its own, over which nothing was said yet.
    pub(crate) async fn connect(&self) -> Result<Ldap, LdapError> {
        let Inner {
            settings,
            host,
            port,
            is_encrypted,
            tls,
            ..
        } = &*self.0;
        let connected = tokio::time::timeout(settings.timeout, async {
            let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
            // Without it, each small message waits for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            if settings.starttls {
                ldap_messages::start_tls(&mut stream).await?;
            }
            let measured = if *is_encrypted {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::clone(tls));
                ldap_messages::measured(connector.connect(name, stream).await?)?
            } else {
                ldap_messages::measured(stream)?
            };
            let ldap = LdapConnSettings::new().set_std_stream(StdStream::Unix(measured));
            // The stream is open already; this URL says of which kind it is.
            LdapConnAsync::with_settings(ldap, "ldapi://measured").await
        });
        let (connection, ldap) = connected.await??;
        tokio::spawn(connection.drive());
        Ok(ldap)
    }

    /// The connection that searches share: opened when there is none, or when it broke.
    pub(crate) async fn searching(&self) -> Result<Ldap, LdapError> {
        let mut shared = self.0.searching.lock().await;
        if let Some(ldap) = &mut *shared
            && !ldap.is_closed()
        {
            return Ok(ldap.clone());
        }
        let mut ldap = self.connect().await?;
        if let Some((dn, password)) = &self.0.settings.account {
            ldap.with_timeout(self.timeout());
            let bound = ldap.simple_bind(dn, password.expose()).await?;
            bound.success()?;
        }
        *shared = Some(ldap.clone());
        Ok(ldap)
    }

    /// Lets go of a connection that failed; the next search opens one.
    pub(crate) async fn forget(&self) {
        self.0.searching.lock().await.take();
    }
}

impl fmt::Debug for LdapDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LdapDirectory")
            .field(&self.0.settings)
            .finish()
    }
}
