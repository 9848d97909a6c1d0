//! `lanyard init`: a data directory with everything that a server needs to start.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

use lanyard_pki::{
    AlternativeName, Authority, Certificate, ExtendedKeyUsage, IssueError, KeyError, KeyUsage,
    Name, NameAttribute, PrivateKey, SerialNumber, Template, seal::SealingKey,
};

use crate::{
    configuration::{Configuration, ConfigurationError, FILE, ScepMode},
    secrets::{self, FileError},
};

/// Folders of the data directory, with certificates and keys.
pub(crate) const FOLDERS: [&str; 2] = ["authority", "server"];
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Apple accepts TLS certificates of at most 825 days under an anchor that a profile installs.
const TLS_LIFETIME: Duration = Duration::from_secs(800 * 24 * 3600);

/// What a new server is to be.
#[derive(Clone, Debug)]
pub struct Init {
    /// The host name that devices will use.
    pub name: String,
    /// Where it will listen.
    pub listen: SocketAddr,
    /// Shown to persons, and in certificates.
    pub organization: String,
    /// Who decrypts SCEP requests and signs the answers.
    pub scep: ScepMode,
    /// The kind of the authority's key; `CaOnly` needs RSA.
    pub authority_key: AuthorityKey,
}

/// The kind of an authority's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthorityKey {
    /// P-256: small and fast.
    P256,
    /// RSA of 2048 bits, for the cautious, and for an authority without a registration authority.
    #[value(name = "rsa-2048")]
    Rsa2048,
}

/// A data directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a server in it already.
    #[error(
        "{0} holds a server already: nothing was changed. Use another --data, or start it with `lanyard serve --data {0}`"
    )]
    Exists(String),
    /// There is something else in it.
    #[error(
        "{0} is not empty, and no data directory of a server: nothing was changed. Use another --data"
    )]
    Foreign(String),
    /// The configuration would not be usable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// An authority alone needs RSA.
    #[error(
        "--scep ca-only needs --ca-key rsa-2048: SCEP clients encrypt to the authority, which only RSA can do"
    )]
    AuthorityAloneNeedsRsa,
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory could not be made.
    #[error("the directory {0} cannot be made")]
    Directory(String, #[source] io::Error),
    /// A key could not be made.
    #[error("a key could not be made")]
    Key(#[from] KeyError),
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Issue(#[from] IssueError),
}

impl Init {
    /// Makes the data directory: beside it first, then renamed, so that there is all of it or nothing.
    ///
    /// # Errors
    /// [`InitError`]; a directory that has something in it is left alone.
    pub fn run(&self, data: &Path) -> Result<(), InitError> {
        let directory_error =
            |error: io::Error| InitError::Directory(data.display().to_string(), error);
        if self.scep == ScepMode::CaOnly && self.authority_key != AuthorityKey::Rsa2048 {
            return Err(InitError::AuthorityAloneNeedsRsa);
        }
        let configuration = self.configuration();
        Configuration::parse(&configuration, FILE, data, std::iter::empty())?;
        let unfinished = beside(data)?;
        self.fill(unfinished.path(), &configuration)?;
        fs::rename(unfinished.path(), data).map_err(directory_error)
    }

    fn fill(&self, data: &Path, configuration: &str) -> Result<(), InitError> {
        for name in FOLDERS {
            let directory = data.join(name);
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&directory)
                .map_err(|error| InitError::Directory(directory.display().to_string(), error))?;
        }
        let now = SystemTime::now();
        let sealing = SealingKey::generate();
        secrets::write_secret(&data.join("sealing.key"), sealing.to_text().as_bytes())?;
        self.make_device_authority(data, &sealing, now)?;
        self.make_server_identity(data, &sealing, now)?;
        secrets::write_public(&data.join(FILE), configuration.as_bytes())?;
        Ok(())
    }

    /// The authority of devices, and its registration authorities. Devices never trust it for servers.
    fn make_device_authority(
        &self,
        data: &Path,
        sealing: &SealingKey,
        now: SystemTime,
    ) -> Result<(), InitError> {
        let directory = data.join("authority");
        let (key, usage) = match (self.authority_key, self.scep) {
            (AuthorityKey::P256, _) => (PrivateKey::generate_p256()?, AUTHORITY_USAGE),
            (AuthorityKey::Rsa2048, ScepMode::CaOnly) => (
                PrivateKey::generate_rsa(2048)?,
                AUTHORITY_USAGE.and(RA_SIGNS).and(RA_DECRYPTS),
            ),
            (AuthorityKey::Rsa2048, _) => (PrivateKey::generate_rsa(2048)?, AUTHORITY_USAGE),
        };
        let authority = Authority::self_signed(
            key,
            &Template {
                key_usage: usage,
                authority: Some(0),
                ..self.template("Device CA", now, 10 * YEAR)
            },
        )?;
        write_identity(
            &directory,
            "ca",
            authority.key(),
            &[authority.certificate()],
            sealing,
        )?;
        let registration_authorities: &[(&str, &str, KeyUsage)] = match self.scep {
            ScepMode::CaOnly => &[],
            ScepMode::OneRa => &[("ra", "Device RA", RA_SIGNS.and(RA_DECRYPTS))],
            ScepMode::SplitRa => &[
                ("ra", "Device RA (signing)", RA_SIGNS),
                ("encryption-ra", "Device RA (encryption)", RA_DECRYPTS),
            ],
        };
        for &(file, name, key_usage) in registration_authorities {
            let key = PrivateKey::generate_rsa(2048)?;
            let template = Template {
                key_usage,
                ..self.template(name, now, 10 * YEAR - DAY)
            };
            let certificate = authority.danger_issue(&template, key.public_key())?;
            write_identity(&directory, file, &key, &[&certificate], sealing)?;
        }
        Ok(())
    }

    /// The anchor of servers, and under it the certificates for TLS and for signing profiles.
    fn make_server_identity(
        &self,
        data: &Path,
        sealing: &SealingKey,
        now: SystemTime,
    ) -> Result<(), InitError> {
        let directory = data.join("server");
        let root = Authority::self_signed(
            PrivateKey::generate_p256()?,
            &Template {
                key_usage: AUTHORITY_USAGE,
                authority: Some(0),
                // Whoever gets hold of the root's key can impersonate this server to its devices, and no other.
                permitted_hosts: self.hosts(),
                ..self.template("Server Root", now, 10 * YEAR)
            },
        )?;
        write_identity(
            &directory,
            "root",
            root.key(),
            &[root.certificate()],
            sealing,
        )?;

        let tls_key = PrivateKey::generate_p256()?;
        let tls = root.danger_issue(&self.tls_template(now), tls_key.public_key())?;
        let chain = format!("{}{}", tls.to_pem(), root.certificate().to_pem());
        secrets::write_public(&directory.join("tls.pem"), chain.as_bytes())?;
        // In clear, as every other program that serves TLS would want it; the file is the owner's alone.
        secrets::write_secret(&directory.join("tls.key"), tls_key.to_pem()?.as_bytes())?;

        let key = PrivateKey::generate_rsa(2048)?;
        let template = Template {
            key_usage: KeyUsage::DIGITAL_SIGNATURE,
            ..self.template("Profile Signing", now, 10 * YEAR - DAY)
        };
        let certificate = root.danger_issue(&template, key.public_key())?;
        write_identity(
            &directory,
            "signing",
            &key,
            &[&certificate, root.certificate()],
            sealing,
        )
    }

    fn template(&self, name: &str, now: SystemTime, lifetime: Duration) -> Template {
        Template {
            subject: Name::new(&[
                (NameAttribute::Organization, &self.organization),
                (
                    NameAttribute::CommonName,
                    &format!("{} {name}", self.organization),
                ),
            ]),
            serial: SerialNumber::from_random(rand::random()),
            not_before: now - DAY,
            not_after: now + lifetime,
            key_usage: KeyUsage::default(),
            extended_key_usage: Vec::new(),
            alternative_names: Vec::new(),
            authority: None,
            permitted_hosts: Vec::new(),
        }
    }

    /// What devices may call this server.
    fn hosts(&self) -> Vec<AlternativeName> {
        let mut names = vec![match self.name.parse::<IpAddr>() {
            Ok(address) => AlternativeName::Ip(address),
            Err(_) => AlternativeName::Dns(self.name.clone()),
        }];
        if self.name == "localhost" {
            names.push(AlternativeName::Ip(IpAddr::from([127, 0, 0, 1])));
        }
        names
    }

    fn tls_template(&self, now: SystemTime) -> Template {
        Template {
            subject: Name::new(&[(NameAttribute::CommonName, &self.name)]),
            key_usage: KeyUsage::DIGITAL_SIGNATURE,
            extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
            alternative_names: self.hosts(),
            ..self.template("TLS", now, TLS_LIFETIME)
        }
    }

    fn configuration(&self) -> String {
        let Self {
            name,
            listen,
            organization,
            scep,
            ..
        } = self;
        let mode = match scep {
            ScepMode::CaOnly => "ca-only",
            ScepMode::OneRa => "one-ra",
            ScepMode::SplitRa => "split-ra",
        };
        let quoted = |text: &str| toml::Value::String(text.to_owned());
        let (url, name, organization) = (
            quoted(&format!("https://{name}")),
            quoted(name),
            quoted(organization),
        );
        format!(
            r#"# Configuration of a Lanyard server. Paths are relative to this directory.
# Every key can be overridden from the environment: LANYARD_SERVER_LISTEN=0.0.0.0:443

[server]
name = {name}               # the host name that devices use
listen = "{listen}"
organization = {organization}
# public_url = {url}  # what devices put before the path, if it is not https://<name>:<port>

[tls]
anchor = "server/root.pem"    # installed on devices; leave it out with a publicly trusted certificate

[scep]
mode = "{mode}"               # ca-only, one-ra or split-ra

[enrollment]
device_ca = "record"          # "require" refuses devices without a factory identity that is known here
# apple_ca = "apple-iphone-device-ca.pem"   # Apple's three device authorities, in PEM

# Without a push certificate nobody can enroll. Apple's comes from identity.apple.com/pushcert.
# [push]
# certificate = "push.pem"    # PEM with its key, or .p12 with password_file = "…"

# Every other key: docs/configuration.md
"#
        )
    }
}

/// A directory beside this one, to be filled and renamed.
///
/// # Errors
/// [`InitError`]; a directory that has something in it is left alone.
pub(crate) fn beside(data: &Path) -> Result<tempfile::TempDir, InitError> {
    let name = data.display().to_string();
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(if data.join(FILE).exists() {
            InitError::Exists(name)
        } else {
            InitError::Foreign(name)
        });
    }
    let parent = match data.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)
        .and_then(|()| {
            tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(parent)
        })
        .map_err(|error| InitError::Directory(name, error))
}

const AUTHORITY_USAGE: KeyUsage = KeyUsage::KEY_CERT_SIGN.and(KeyUsage::CRL_SIGN);
const RA_SIGNS: KeyUsage = KeyUsage::DIGITAL_SIGNATURE;
const RA_DECRYPTS: KeyUsage = KeyUsage::KEY_ENCIPHERMENT;

fn write_identity(
    directory: &Path,
    name: &str,
    key: &PrivateKey,
    certificates: &[&Certificate],
    sealing: &SealingKey,
) -> Result<(), InitError> {
    let pem: String = certificates
        .iter()
        .map(|certificate| certificate.to_pem())
        .collect();
    secrets::write_public(&directory.join(format!("{name}.pem")), pem.as_bytes())?;
    secrets::write_private_key(&directory.join(format!("{name}.key")), key, sealing)?;
    Ok(())
}
