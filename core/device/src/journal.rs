//! What a device keeps in its directory: its memory over a restart, and evidence for whoever wants to know what it did.
//!
//! | file of `DIR/<UDID>/` | what |
//! |---|---|
//! | `state.json` | [`State`]; replaced as a whole after each step |
//! | `factory.pem`, `factory.key` | the factory identity with its chain |
//! | `interim.pem`, `interim.key` | the certificate of phase 3 |
//! | `identity.pem`, `identity.key` | the certificate that the device is managed under |
//! | `anchors.pem` | the authorities that it trusts |
//! | `enrollment.mobileconfig` | the profile of phase 3 as it came: signed and encrypted |
//! | `payloads.plist` | what was encrypted in it |
//!
//! Keys, tokens and challenges lie open in these files, readable by the owner alone: the devices are not real.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_pki::{Certificate, CertificateError, Digest, KeyError, PrivateKey};
use serde::{Deserialize, Serialize};

use crate::certificates::{AuthorityError, write_certificates, write_key};
use crate::factory::Identity;
use crate::file::{self, Readers};
use crate::hex;
use crate::management::Management;
use crate::model::Model;
use crate::phase::Phase;

const STATE: &str = "state.json";

/// Wake-ups kept as evidence; older ones are forgotten.
const WAKES_KEPT: usize = 256;

/// `state.json`.
#[derive(Serialize, Deserialize)]
pub struct State {
    /// Where the device stands.
    pub status: Status,
    /// The last phase that it has come through.
    pub reached: Option<Phase>,
    /// Why it came no further.
    pub failure: Option<String>,
    /// Its UDID.
    pub udid: String,
    /// Its serial number.
    pub serial: String,
    /// The name under which somebody signed in.
    pub person: Option<String>,
    /// Whether DeviceLock holds its screen.
    pub locked: bool,
    /// Whether it has a passcode.
    pub passcode_present: bool,
    /// The certificate of phase 3.
    pub interim: Option<CertificateFacts>,
    /// The certificate that it is managed under.
    pub identity: Option<CertificateFacts>,
    /// `PayloadIdentifier` of the enrollment profile.
    pub enrollment_profile: Option<String>,
    /// How it is managed.
    pub management: Option<Management>,
    /// What a push must say.
    pub push_magic: Option<String>,
    /// SHA-256 of the device token in the last TokenUpdate.
    pub token_sha256: Option<String>,
    /// The last wake-ups, oldest first.
    pub wakes: Vec<Woken>,
    /// What the device is and remembers; `answered` in it are the commands.
    pub model: Model,
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// On its way.
    Enrolling,
    /// It came no further.
    Failed,
    /// Under management.
    Enrolled,
    /// EraseDevice was carried out.
    Erased,
    /// The enrollment profile was removed.
    Unenrolled,
    /// The server told it to unenroll.
    Dismissed,
}

/// A wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Woken {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whether it said the push magic.
    pub believed: bool,
}

/// A certificate, as others name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// SHA-256 of its DER, in hexadecimal.
    pub sha256: String,
}

/// A device's directory, and who hears what happens.
pub struct Journal {
    folder: PathBuf,
    echo: fn(&str),
    /// What `state.json` says.
    pub state: State,
}

impl Journal {
    /// Begins a journal in `root/<UDID>`, over one that may be there. `echo` is told each step, as a line for people.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn begin(root: &Path, model: &Model, echo: fn(&str)) -> Result<Journal, JournalError> {
        let folder = root.join(&model.facts.udid);
        fs::create_dir_all(&folder).map_err(|source| JournalError::File {
            path: folder.clone(),
            source,
        })?;
        let mut journal = Journal {
            state: State::new(model),
            folder,
            echo,
        };
        journal.save(model)?;
        Ok(journal)
    }

    /// Reads the journal of a device back.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn open(folder: &Path, echo: fn(&str)) -> Result<Journal, JournalError> {
        let path = folder.join(STATE);
        let json = read(&path)?;
        Ok(Journal {
            state: serde_json::from_slice(&json)
                .map_err(|source| JournalError::Damaged { path, source })?,
            folder: folder.to_owned(),
            echo,
        })
    }

    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells a line, under the device's name.
    pub(crate) fn tell(&self, line: &str) {
        (self.echo)(&format!("{} {line}", self.state.udid));
    }

    /// Tells what keeps the device from the next phase.
    pub(crate) fn wait_for(&self, phase: Phase, why: &impl fmt::Display) {
        self.tell(&format!("{phase}: {why}"));
    }

    pub(crate) fn reach(
        &mut self,
        phase: Phase,
        model: &Model,
        with: &str,
    ) -> Result<(), JournalError> {
        self.state.reached = Some(phase);
        self.save(model)?;
        self.tell(&format!("{phase}: {with}"));
        Ok(())
    }

    /// Replaces `state.json`.
    pub(crate) fn save(&mut self, model: &Model) -> Result<(), JournalError> {
        self.state.locked = model.lock.is_some();
        self.state.passcode_present = model.passcode_present;
        self.state.model = model.clone();
        let path = self.folder.join(STATE);
        let json =
            serde_json::to_vec_pretty(&self.state).map_err(|source| JournalError::Damaged {
                path: path.clone(),
                source,
            })?;
        file::replace(&path, &json, Readers::Owner)
            .map_err(|source| JournalError::File { path, source })
    }

    pub(crate) fn woken(&mut self, believed: bool, now: SystemTime) {
        let at = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let wakes = &mut self.state.wakes;
        if wakes.len() == WAKES_KEPT {
            wakes.remove(0);
        }
        wakes.push(Woken {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            believed,
        });
    }

    pub(crate) fn set_tokens(&mut self, token: &DeviceToken, magic: &PushMagic) {
        self.state.token_sha256 = Some(fingerprint(token));
        self.state.push_magic = Some(magic.expose().to_owned());
    }

    /// Whether the last TokenUpdate carried this token.
    pub(crate) fn is_known(&self, token: &DeviceToken) -> bool {
        self.state.token_sha256.as_deref() == Some(&fingerprint(token))
    }

    pub(crate) fn write_factory(&self, identity: &Identity) -> Result<(), JournalError> {
        self.write_identity("factory", identity)
    }

    pub(crate) fn write_interim(&mut self, identity: &Identity) -> Result<(), JournalError> {
        self.state.interim = Some(CertificateFacts::of(&identity.certificate));
        self.write_identity("interim", identity)
    }

    pub(crate) fn write_managed(&mut self, identity: &Identity) -> Result<(), JournalError> {
        self.state.identity = Some(CertificateFacts::of(&identity.certificate));
        self.write_identity("identity", identity)
    }

    fn write_identity(&self, name: &str, identity: &Identity) -> Result<(), JournalError> {
        write_key(&self.folder.join(format!("{name}.key")), &identity.key)?;
        let certificate = self.folder.join(format!("{name}.pem"));
        Ok(write_certificates(&certificate, identity.full_chain())?)
    }

    pub(crate) fn write_anchors(&self, anchors: &[Certificate]) -> Result<(), JournalError> {
        Ok(write_certificates(
            &self.folder.join("anchors.pem"),
            anchors,
        )?)
    }

    /// The profile of this identifier: as it came, and what was encrypted in it.
    pub(crate) fn write_profile(
        &mut self,
        identifier: &str,
        document: &[u8],
        payloads: &[u8],
    ) -> Result<(), JournalError> {
        self.state.enrollment_profile = Some(identifier.to_owned());
        for (name, contents) in [
            ("enrollment.mobileconfig", document),
            ("payloads.plist", payloads),
        ] {
            let path = self.folder.join(name);
            file::replace(&path, contents, Readers::Owner)
                .map_err(|source| JournalError::File { path, source })?;
        }
        Ok(())
    }

    pub(crate) fn read_factory(&self) -> Result<Identity, JournalError> {
        self.read_identity("factory")
    }

    pub(crate) fn read_managed(&self) -> Result<Identity, JournalError> {
        self.read_identity("identity")
    }

    fn read_identity(&self, name: &str) -> Result<Identity, JournalError> {
        let certificates = self.folder.join(format!("{name}.pem"));
        let mut chain = Certificate::many_from_pem(&read(&certificates)?)?;
        let certificate = chain.remove(0);
        let key = PrivateKey::from_pem(&read(&self.folder.join(format!("{name}.key")))?)?;
        Ok(Identity {
            key,
            certificate,
            chain,
        })
    }

    pub(crate) fn read_anchors(&self) -> Result<Vec<Certificate>, JournalError> {
        let path = self.folder.join("anchors.pem");
        Ok(Certificate::many_from_pem(&read(&path)?)?)
    }

    /// Forgets the keys of a device that left.
    pub(crate) fn forget_keys(&self) -> Result<(), JournalError> {
        for name in ["identity.key", "interim.key"] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError::File { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl State {
    fn new(model: &Model) -> State {
        State {
            status: Status::Enrolling,
            reached: None,
            failure: None,
            udid: model.facts.udid.clone(),
            serial: model.facts.serial_number.clone(),
            person: None,
            locked: false,
            passcode_present: model.passcode_present,
            interim: None,
            identity: None,
            enrollment_profile: None,
            management: None,
            push_magic: None,
            token_sha256: None,
            wakes: Vec::new(),
            model: model.clone(),
        }
    }
}

impl CertificateFacts {
    /// Those of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> CertificateFacts {
        CertificateFacts {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: hex::encode(certificate.serial()),
            sha256: hex::encode(&certificate.fingerprint()),
        }
    }
}

fn fingerprint(token: &DeviceToken) -> String {
    hex::encode(&Digest::sha256(token.expose()))
}

fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    fs::read(path).map_err(|source| JournalError::File {
        path: path.to_owned(),
        source,
    })
}

/// A device's directory cannot be written or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written", path = path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// `state.json` is not one.
    #[error("{path} is no state of a device", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An identity cannot be written.
    #[error("an identity cannot be kept")]
    Identity(#[from] AuthorityError),
    /// A certificate cannot be read back.
    #[error("a certificate of the device cannot be read back")]
    Certificate(#[from] CertificateError),
    /// A key cannot be read back.
    #[error("a key of the device cannot be read back")]
    Key(#[from] KeyError),
    /// A device that is not under management was asked to go on.
    #[error("the device is not under management, so it cannot go on being managed")]
    NotEnrolled,
}
