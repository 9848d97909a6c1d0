//! What may stand in `lanyard.toml`, section by section, with the defaults.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use lanyard_wasm::UrlPrefix;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{DatabaseUrl, Observability};
use crate::{proxies::Networks, signature::TrustedKeys};

/// The configuration of one node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Who and where this server is.
    pub server: Server,
    /// Where it remembers things.
    #[serde(default)]
    pub database: Database,
    /// TLS towards devices.
    #[serde(default)]
    pub tls: Tls,
    /// Who signs profiles.
    #[serde(default)]
    pub signing: Signing,
    /// How managed devices prove who they are, and for how long.
    #[serde(default)]
    pub identity: Identity,
    /// Certificates for devices.
    #[serde(default)]
    pub scep: Scep,
    /// Who may enroll what.
    #[serde(default)]
    pub enrollment: Enrollment,
    /// APNs.
    pub push: Option<Push>,
    /// How long what is over stays on record.
    #[serde(default)]
    pub retention: Retention,
    /// LDAP directories that policies can grant, by name.
    #[serde(default)]
    pub ldap: BTreeMap<String, Ldap>,
    /// Credentials of HTTP requests that policies can grant, by name.
    #[serde(default)]
    pub credentials: BTreeMap<String, Credential>,
    /// Which plugins may be bound.
    #[serde(default)]
    pub plugins: Plugins,
    /// How large requests may be.
    #[serde(default)]
    pub limits: Limits,
    /// What operators see of the server.
    #[serde(default)]
    pub observability: Observability,
    /// The data directory.
    #[serde(skip)]
    pub(super) data: PathBuf,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The host name that devices use; it stands in the TLS certificate.
    pub name: String,
    /// Where to listen for devices.
    #[serde(deserialize_with = "written_address")]
    pub listen: SocketAddr,
    /// What devices put before the path, if it is not `https://<name>:<port>`: behind a proxy, say.
    pub public_url: Option<String>,
    /// Proxies in front of this server: what they say in `X-Forwarded-For` is believed.
    #[serde(default)]
    pub proxies: Networks,
    /// The Unix socket of the administration.
    #[serde(default = "default_socket")]
    pub admin_socket: PathBuf,
    /// Shown to persons, and in certificates.
    #[serde(default = "default_organization")]
    pub organization: String,
    /// The sealing key.
    #[serde(default = "default_sealing_key")]
    pub sealing_key: PathBuf,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://` and a path, or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: DatabaseUrl,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Who speaks TLS with devices.
    pub mode: TlsMode,
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The root that devices are made to trust; leave it out if the certificate is publicly trusted.
    pub anchor: Option<PathBuf>,
}

/// `tls.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// This server, with the certificate and key that are named.
    #[default]
    Files,
    /// A proxy of `server.proxies`; nobody else may connect.
    Proxy,
}

/// `[identity]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// A second address, where managed devices show their certificate in TLS.
    #[serde(deserialize_with = "maybe_written_address")]
    pub listen: Option<SocketAddr>,
    /// What devices put before the path there, if it is not `https://<name>:<port>`.
    pub public_url: Option<String>,
    /// Proxies whose `Client-Cert` (RFC 9440) is believed.
    pub proxies: Networks,
    /// Days that an identity is valid.
    pub lifetime_days: NonZeroU32,
    /// Days before its end from which on the server reminds of it.
    pub reminder_days: NonZeroU32,
}

/// `[signing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signing {
    /// The certificate and its chain, root included, PEM.
    pub certificate: PathBuf,
    /// Its key: sealed, or PEM.
    pub key: PathBuf,
}

/// `[scep]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scep {
    /// Who decrypts requests and signs answers.
    pub mode: ScepMode,
    /// Which algorithms clients may use.
    pub compatibility: ScepCompatibility,
    /// The authority's certificate, and what stands above it, PEM.
    pub authority: PathBuf,
    /// Its key: sealed, or PEM.
    pub authority_key: PathBuf,
    /// The registration authority's certificate (`one-ra`), or that of the one that signs (`split-ra`).
    pub ra: PathBuf,
    /// Its key.
    pub ra_key: PathBuf,
    /// The certificate of the registration authority that decrypts (`split-ra`).
    pub encryption_ra: PathBuf,
    /// Its key.
    pub encryption_ra_key: PathBuf,
}

/// `scep.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScepMode {
    /// The authority itself, which must have an RSA key.
    CaOnly,
    /// One registration authority in front of it.
    #[default]
    OneRa,
    /// Two: one signs, one decrypts.
    SplitRa,
}

/// `scep.compatibility`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScepCompatibility {
    /// AES and SHA-2.
    Modern,
    /// Also 3DES and SHA-1.
    #[default]
    Compatible,
}

/// `[enrollment]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enrollment {
    /// What a device gets that no factory authority vouches for.
    pub device_ca: DeviceCa,
    /// Apple's device authorities, PEM, as Apple publishes them; compared with their fingerprints.
    pub apple_ca: Option<PathBuf>,
    /// Further roots of factory identities, PEM: a test bench's.
    pub factory_roots: Vec<PathBuf>,
    /// Minutes from the sign-in to the installed profile.
    pub session_minutes: NonZeroU32,
    /// Sign-ins a minute with one name.
    pub sign_ins_per_name: NonZeroU32,
    /// Sign-ins a minute from one address.
    pub sign_ins_per_address: NonZeroU32,
}

/// `enrollment.device_ca`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceCa {
    /// It is a fact for enrollment-approval.
    #[default]
    Record,
    /// It is refused.
    Require,
}

/// `[push]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// The push certificate with its key: PEM, or PKCS#12 (`.p12`, `.pfx`).
    pub certificate: PathBuf,
    /// A file with the password of a PKCS#12 certificate.
    pub password_file: Option<PathBuf>,
    /// Push certificates for devices that enrolled with another topic.
    #[serde(default)]
    pub further: Vec<PushFile>,
    /// Devices that one node wakes a second, at most.
    #[serde(default = "default_pace")]
    pub per_second: NonZeroU32,
    /// APNs' host, if it is not Apple's.
    pub host: Option<String>,
    /// APNs' port.
    pub port: Option<u16>,
    /// The roots that vouch for APNs, PEM, if they are not the public ones.
    pub roots: Option<PathBuf>,
}

/// `[[push.further]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushFile {
    /// The push certificate with its key: PEM, or PKCS#12 (`.p12`, `.pfx`).
    pub certificate: PathBuf,
    /// A file with the password of a PKCS#12 certificate.
    pub password_file: Option<PathBuf>,
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days from a command's end on.
    pub commands_days: NonZeroU32,
    /// Days of a decision.
    pub decisions_days: NonZeroU32,
}

/// `[ldap.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ldap {
    /// `ldap://host:389` or `ldaps://host:636`.
    pub url: String,
    /// Whether a connection to `ldap://` is encrypted first.
    #[serde(default)]
    pub starttls: bool,
    /// Who vouches for the server, PEM, if it is not a public authority.
    pub ca: Option<PathBuf>,
    /// The distinguished name that searches stay at or below.
    pub base: String,
    /// Who searches, if searches are not anonymous.
    pub bind_dn: Option<String>,
    /// A file with its password.
    pub bind_password_file: Option<PathBuf>,
    /// How long connecting, or one operation, takes at most.
    #[serde(default = "default_ldap_timeout")]
    pub timeout_ms: NonZeroU32,
}

/// `[credentials.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// How it stands in a request.
    pub scheme: CredentialScheme,
    /// A file with the token, password or value.
    pub secret_file: PathBuf,
    /// The user name (`basic`).
    pub user: Option<String>,
    /// The header's name (`header`).
    pub header: Option<String>,
    /// The URLs that it is sent to, each with what is below it.
    pub urls: Vec<UrlPrefix>,
}

/// `credentials.NAME.scheme`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialScheme {
    /// `Authorization: Bearer`
    Bearer,
    /// `Authorization: Basic`
    Basic,
    /// A header of its own.
    Header,
}

/// `[plugins]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plugins {
    /// Public keys of those who may vouch for plugins; if there are any, a plugin without a signature by one of them is not bound.
    pub trusted_keys: TrustedKeys,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A SCEP message or an enrollment message, in bytes.
    pub scep_bytes: usize,
    /// A check-in message or a result, in bytes.
    pub mdm_bytes: usize,
    /// Connections at the same time.
    pub connections: usize,
    /// SCEP and enrollment messages a minute from one address; an enrollment takes about six.
    pub messages_per_address: NonZeroU32,
}

/// The reader of the standard library does not say what an address looks like.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no address with a port: expected one such as 0.0.0.0:443 or [::]:443")
    })
}

fn written_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    socket_address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn maybe_written_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    written_address(deserializer).map(Some)
}

fn default_socket() -> PathBuf {
    "admin.sock".into()
}

fn default_organization() -> String {
    "Lanyard".to_owned()
}

/// So many devices that are woken at once are about what one node serves without a queue.
pub(crate) fn default_pace() -> NonZeroU32 {
    const { NonZeroU32::new(1000).expect("not zero") }
}

fn default_ldap_timeout() -> NonZeroU32 {
    const { NonZeroU32::new(2000).expect("not zero") }
}

fn default_sealing_key() -> PathBuf {
    "sealing.key".into()
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::new("sqlite://lanyard.db"),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::default(),
            certificate: "server/tls.pem".into(),
            key: "server/tls.key".into(),
            anchor: None,
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            proxies: Networks::default(),
            lifetime_days: const { NonZeroU32::new(365).expect("not zero") },
            reminder_days: const { NonZeroU32::new(30).expect("not zero") },
        }
    }
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            certificate: "server/signing.pem".into(),
            key: "server/signing.key".into(),
        }
    }
}

impl Default for Scep {
    fn default() -> Self {
        Self {
            mode: ScepMode::default(),
            compatibility: ScepCompatibility::default(),
            authority: "authority/ca.pem".into(),
            authority_key: "authority/ca.key".into(),
            ra: "authority/ra.pem".into(),
            ra_key: "authority/ra.key".into(),
            encryption_ra: "authority/encryption-ra.pem".into(),
            encryption_ra_key: "authority/encryption-ra.key".into(),
        }
    }
}

impl Default for Enrollment {
    fn default() -> Self {
        const fn number(number: u32) -> NonZeroU32 {
            NonZeroU32::new(number).expect("not zero")
        }
        Self {
            device_ca: DeviceCa::default(),
            apple_ca: None,
            factory_roots: Vec::new(),
            session_minutes: number(60),
            sign_ins_per_name: number(10),
            sign_ins_per_address: number(100),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        let days = const { NonZeroU32::new(90).expect("not zero") };
        Self {
            commands_days: days,
            decisions_days: days,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            scep_bytes: 64 * 1024,
            mdm_bytes: 2 * 1024 * 1024,
            connections: 10_000,
            messages_per_address: const { NonZeroU32::new(1200).expect("not zero") },
        }
    }
}
