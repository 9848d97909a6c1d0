//! `lanyard.toml`: read, overridden from the environment, and checked.
//!
//! Paths in it are relative to the data directory. Every key but those of lists can be overridden from the environment:
//! `LANYARD_<SECTION>_<KEY>`, as in `LANYARD_SERVER_LISTEN=0.0.0.0:443`.

mod database_url;
mod observability;
mod overrides;
mod sections;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::Table;

pub use database_url::DatabaseUrl;
pub use observability::{LogFormat, Observability};
use overrides::{PREFIX, override_with};
pub use sections::{
    Configuration, Credential, CredentialScheme, Database, DeviceCa, Enrollment, Identity, Ldap,
    Limits, Plugins, Push, PushFile, Scep, ScepCompatibility, ScepMode, Server, Signing, Tls,
    TlsMode,
};
pub(crate) use sections::{default_pace, socket_address};

/// Name of the file in the data directory.
pub const FILE: &str = "lanyard.toml";

/// The configuration cannot be used. Every case names the file, what is wrong in it, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("{file}: cannot be read; `lanyard init --data {data}` makes one")]
    Unreadable {
        /// The file.
        file: String,
        /// The data directory.
        data: String,
        /// What the system says.
        #[source]
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
    #[error("{file}: {key} = {found:?} is not usable; expected {right}")]
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

    pub(crate) fn parse(
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
        for (key, url) in [
            ("server.public_url", &self.server.public_url),
            ("identity.public_url", &self.identity.public_url),
        ] {
            if let Some(url) = url
                && (!url.starts_with("https://") || url.ends_with('/'))
            {
                let right = "https://mdm.example.com: https, and no slash at the end";
                return wrong(key, url, right);
            }
        }
        if self.tls.mode == TlsMode::Proxy {
            if self.server.proxies.is_empty() {
                return wrong(
                    "server.proxies",
                    "[]",
                    "the addresses of the proxies that tls.mode = \"proxy\" is about, as in [\"192.0.2.7\"]",
                );
            }
            if let Some(address) = self.identity.listen {
                return wrong(
                    "identity.listen",
                    &address.to_string(),
                    "none with tls.mode = \"proxy\": let the proxy ask for certificates, and name it in identity.proxies",
                );
            }
        }
        if !["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| self.database.url.expose().starts_with(scheme))
        {
            return wrong(
                "database.url",
                &self.database.url.to_string(),
                "a URL such as sqlite://lanyard.db or postgres://lanyard@db.example.com/lanyard",
            );
        }
        if self.limits.scep_bytes < 8192 {
            return wrong(
                "limits.scep_bytes",
                &self.limits.scep_bytes.to_string(),
                "at least 8192; messages have 3 to 5 KB",
            );
        }
        self.observability
            .check()
            .or_else(|(key, found, right)| wrong(key, &found, right))
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A path of the configuration as seen from the working directory.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.data.join(path)
    }

    /// The database's URL with its path as seen from the working directory.
    #[must_use]
    pub fn database_url(&self) -> DatabaseUrl {
        match self.database.url.expose().strip_prefix("sqlite://") {
            Some(path) if !path.starts_with(':') => {
                DatabaseUrl::new(format!("sqlite://{}", self.path(Path::new(path)).display()))
            }
            _ => self.database.url.clone(),
        }
    }

    /// Every file that is read, by what the configuration says of it; those of another `scep.mode` or `tls.mode` are not.
    pub(crate) fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        let Self {
            server,
            tls,
            signing,
            scep,
            enrollment,
            push,
            ldap,
            credentials,
            ..
        } = self;
        let mut files = vec![
            &mut server.sealing_key,
            &mut signing.certificate,
            &mut signing.key,
            &mut scep.authority,
            &mut scep.authority_key,
        ];
        if tls.mode == TlsMode::Files {
            files.extend([&mut tls.certificate, &mut tls.key]);
        }
        if scep.mode != ScepMode::CaOnly {
            files.extend([&mut scep.ra, &mut scep.ra_key]);
        }
        if scep.mode == ScepMode::SplitRa {
            files.extend([&mut scep.encryption_ra, &mut scep.encryption_ra_key]);
        }
        files.extend(&mut tls.anchor);
        files.extend(&mut enrollment.apple_ca);
        files.extend(&mut enrollment.factory_roots);
        if let Some(push) = push {
            files.push(&mut push.certificate);
            files.extend(
                [&mut push.password_file, &mut push.roots]
                    .into_iter()
                    .flatten(),
            );
            for file in &mut push.further {
                files.push(&mut file.certificate);
                files.extend(&mut file.password_file);
            }
        }
        for directory in ldap.values_mut() {
            files.extend(
                [&mut directory.ca, &mut directory.bind_password_file]
                    .into_iter()
                    .flatten(),
            );
        }
        files.extend((credentials.values_mut()).map(|credential| &mut credential.secret_file));
        files
    }

    /// The file of a database of SQLite, as seen from the data directory.
    pub(crate) fn database_file(&self) -> Option<PathBuf> {
        let url = self.database.url.expose().strip_prefix("sqlite:")?;
        let path = url.strip_prefix("//").unwrap_or(url);
        let path = path.split('?').next().unwrap_or_default();
        (!path.starts_with(':')).then(|| PathBuf::from(path))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
        assert_eq!(
            configuration.database_url().expose(),
            "sqlite://data/lanyard.db"
        );
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

    /// The reader itself says which keys it knows: it lists them beside one that it does not know.
    #[test]
    fn every_key_is_documented() {
        let known = |text: &str| -> Vec<String> {
            let error = parse(text, &[]).unwrap_err();
            let list = error
                .split("expected one of")
                .nth(1)
                .or(error.split("expected").nth(1));
            let list = list.unwrap().lines().next().unwrap();
            list.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let page = include_str!("../../../../docs/configuration.md");
        let sections = known("nothing = 1");
        assert!(sections.len() > 5, "{sections:?}");
        for section in sections {
            // Sections of which there may be several have a name each.
            let section = match section.as_str() {
                "ldap" | "credentials" => format!("{section}.NAME"),
                _ => section,
            };
            let keys = known(&format!("[{section}]\nnothing = 1"));
            assert!(!keys.is_empty(), "{section}");
            for key in keys {
                let documented = format!("`{section}.{key}`");
                assert!(
                    page.contains(&documented),
                    "{documented} is not in docs/configuration.md"
                );
            }
        }
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
                &RIGHT.replace("127.0.0.1:8443", "localhost"),
                &["line 3", "listen", "localhost", "0.0.0.0:443"],
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
            (
                &format!("{RIGHT}[tls]\nmode = \"proxy\"\n"),
                &["server.proxies", "192.0.2.7"],
            ),
            (
                &format!(
                    "{RIGHT}proxies = [\"::1\"]\n[tls]\nmode = \"proxy\"\n[identity]\nlisten = \"[::]:9\"\n"
                ),
                &["identity.listen", "[::]:9", "identity.proxies"],
            ),
            (
                &format!("{RIGHT}[identity]\nproxies = [\"proxy.example\"]\n"),
                &["line 5", "proxy.example", "10.0.0.0/8"],
            ),
            (
                &format!("{RIGHT}[plugins]\ntrusted_keys = [\"RWQnonsense\"]\n"),
                &["line 5", "RWQnonsense", "begin with RW"],
            ),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
