//! `lanyard.toml`: as it is written, checked, and as it is meant.
//!
//! Paths in it are relative to the data directory. Every key can be overridden from the environment:
//! `LANYARD_<SECTION>_<KEY>`, as in `LANYARD_SERVER_LISTEN=0.0.0.0:443`.

use std::{
    env, fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

/// Name of the file in the data directory.
pub const FILE: &str = "lanyard.toml";

/// The configuration cannot be used. Every case names the file, what is wrong in it, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("{file}: cannot be read ({error}); `lanyard init --data {data}` makes one")]
    Unreadable {
        /// The file.
        file: String,
        /// The data directory.
        data: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type; names the line.
    #[error("{file}: {error}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong and where.
        error: String,
    },
    /// A value that cannot be meant.
    #[error("{file}: {key} = {found:?} is not usable: {right}")]
    Value {
        /// The file.
        file: String,
        /// The key, with its section.
        key: &'static str,
        /// The value.
        found: String,
        /// What would be right.
        right: &'static str,
    },
}

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
    /// Certificates for devices.
    #[serde(default)]
    pub scep: Scep,
    /// Who may enroll what.
    #[serde(default)]
    pub enrollment: Enrollment,
    /// APNs.
    pub push: Option<Push>,
    /// Sandboxed directories, asked in this order before the native one.
    #[serde(default)]
    pub directory: Vec<DirectoryPlugin>,
    /// How large requests may be.
    #[serde(default)]
    pub limits: Limits,
    #[serde(skip)]
    data: PathBuf,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The host name that devices use; it stands in the TLS certificate.
    pub name: String,
    /// Where to listen for devices.
    pub listen: SocketAddr,
    /// What devices put before the path, if it is not `https://<name>:<port>`: behind a proxy, say.
    pub public_url: Option<String>,
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
    /// `sqlite://` and a path.
    pub url: String,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The root that devices are made to trust; leave it out if the certificate is publicly trusted.
    pub anchor: Option<PathBuf>,
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
    /// APNs' host, if it is not Apple's.
    pub host: Option<String>,
    /// APNs' port.
    pub port: Option<u16>,
    /// The roots that vouch for APNs, PEM, if they are not the public ones.
    pub roots: Option<PathBuf>,
}

/// `[[directory]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPlugin {
    /// Its name: stands in the persons that it vouches for.
    pub name: String,
    /// The component.
    pub plugin: PathBuf,
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
}

fn default_socket() -> PathBuf {
    "admin.sock".into()
}

fn default_organization() -> String {
    "Lanyard".to_owned()
}

fn default_sealing_key() -> PathBuf {
    "sealing.key".into()
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite://lanyard.db".to_owned(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "server/tls.pem".into(),
            key: "server/tls.key".into(),
            anchor: None,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            scep_bytes: 64 * 1024,
            mdm_bytes: 2 * 1024 * 1024,
            connections: 10_000,
        }
    }
}

impl Configuration {
    /// Reads `lanyard.toml` in the data directory, with the environment's overrides.
    ///
    /// # Errors
    /// [`ConfigurationError`]
    pub fn load(data: &Path) -> Result<Self, ConfigurationError> {
        let file = data.join(FILE);
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).map_err(|error| ConfigurationError::Unreadable {
            file: name.clone(),
            data: data.display().to_string(),
            error,
        })?;
        Self::parse(&text, &name, data, env::vars())
    }

    fn parse(
        text: &str,
        file: &str,
        data: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigurationError> {
        let syntax = |error: String| ConfigurationError::Syntax {
            file: file.to_owned(),
            error,
        };
        // Read as it stands first, so that a mistake is shown with its line.
        let written: Self = toml::from_str(text).map_err(|error| syntax(error.to_string()))?;
        let overrides: Vec<(String, String)> = environment
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        let mut configuration = if overrides.is_empty() {
            written
        } else {
            let mut table: Table =
                toml::from_str(text).map_err(|error| syntax(error.to_string()))?;
            for (name, value) in overrides {
                override_with(&mut table, &name, &value);
            }
            Self::deserialize(table).map_err(|error| {
                syntax(format!("with the overrides of the environment: {error}"))
            })?
        };
        configuration.data = data.to_owned();
        configuration.check(file)?;
        Ok(configuration)
    }

    fn check(&self, file: &str) -> Result<(), ConfigurationError> {
        let wrong = |key, found: &str, right| {
            Err(ConfigurationError::Value {
                file: file.to_owned(),
                key,
                found: found.to_owned(),
                right,
            })
        };
        let name = &self.server.name;
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return wrong(
                "server.name",
                name,
                "a host name such as mdm.example.com, without scheme, port or blanks",
            );
        }
        if let Some(url) = &self.server.public_url
            && (!url.starts_with("https://") || url.ends_with('/'))
        {
            return wrong(
                "server.public_url",
                url,
                "https://mdm.example.com: https, and no slash at the end",
            );
        }
        if !self.database.url.starts_with("sqlite:") {
            return wrong("database.url", &self.database.url, "sqlite://lanyard.db");
        }
        if self.limits.scep_bytes < 8192 {
            return wrong(
                "limits.scep_bytes",
                &self.limits.scep_bytes.to_string(),
                "at least 8192; messages have 3 to 5 KB",
            );
        }
        Ok(())
    }

    /// A path of the configuration as seen from the working directory.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.data.join(path)
    }

    /// The database's URL with its path as seen from the working directory.
    #[must_use]
    pub fn database_url(&self) -> String {
        match self.database.url.strip_prefix("sqlite://") {
            Some(path) if !path.starts_with(':') => {
                format!("sqlite://{}", self.path(Path::new(path)).display())
            }
            _ => self.database.url.clone(),
        }
    }
}

const PREFIX: &str = "LANYARD_";

/// `LANYARD_SERVER_ADMIN_SOCKET` is `admin_socket` in `[server]`. Names of other variables make no section, and so no error.
fn override_with(table: &mut Table, name: &str, value: &str) {
    let name = name[PREFIX.len()..].to_lowercase();
    let Some((section, key)) = name.split_once('_') else {
        return;
    };
    const SECTIONS: [&str; 8] = [
        "server",
        "database",
        "tls",
        "signing",
        "scep",
        "enrollment",
        "push",
        "limits",
    ];
    if !SECTIONS.contains(&section) {
        return;
    }
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    if let Value::Table(section) = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()))
    {
        section.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "[server]\nname = \"mdm.example.com\"\nlisten = \"127.0.0.1:8443\"\n";

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Configuration, String> {
        let environment = environment
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Configuration::parse(text, "lanyard.toml", Path::new("data"), environment)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn little_is_needed_and_paths_are_in_the_data_directory() {
        let configuration = parse(RIGHT, &[]).unwrap();
        assert_eq!(configuration.scep.mode, ScepMode::OneRa);
        assert_eq!(
            configuration.path(&configuration.server.admin_socket),
            Path::new("data/admin.sock")
        );
        assert_eq!(configuration.database_url(), "sqlite://data/lanyard.db");
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let environment = [
            ("LANYARD_SERVER_LISTEN", "127.0.0.1:9"),
            ("LANYARD_LIMITS_MDM_BYTES", "7"),
            ("LANYARD_SHARED", "elsewhere"),
        ];
        let configuration = parse(RIGHT, &environment).unwrap();
        assert_eq!(
            configuration.server.listen,
            SocketAddr::from(([127, 0, 0, 1], 9))
        );
        assert_eq!(configuration.limits.mdm_bytes, 7);
    }

    #[test]
    fn mistakes_are_named_with_file_place_and_what_is_right() {
        for (text, expected) in [
            (
                "[server]\nnam = \"x\"\n",
                &["lanyard.toml", "line 2", "nam", "expected", "name"][..],
            ),
            (
                "[server]\nname = \"x\"\nlisten = 8443\n",
                &["lanyard.toml", "line 3", "listen"],
            ),
            (
                &format!("{RIGHT}[scep]\nmode = \"both\"\n"),
                &["line 5", "ca-only", "one-ra", "split-ra"],
            ),
            (
                &RIGHT.replace("mdm.example.com", "https://x"),
                &["lanyard.toml", "server.name", "mdm.example.com"],
            ),
            (
                &format!("{RIGHT}[database]\nurl = \"mysql://x\"\n"),
                &["database.url", "sqlite://lanyard.db"],
            ),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
