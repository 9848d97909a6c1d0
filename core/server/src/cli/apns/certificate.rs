//! `lanyard apns csr` and `lanyard apns import`: the way to a push certificate, and to its renewal. What Apple and the vendor do in between, a
//! person asks for.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use lanyard_pki::{
    Certificate, CertificationRequest, Name, NameAttribute, PrivateKey, seal::KeyRing,
};
use lanyard_push::PushCertificate;
use zeroize::Zeroizing;

use crate::{
    assembly::AssemblyError,
    cli::{Outcome, date, print, standing},
    configuration::{Configuration, FILE},
    push,
    secrets::{self, FileError},
};

/// The key of the request that is on its way, sealed. In a folder that backups and rotations of the sealing key look through.
const REQUEST_KEY: &str = "server/push-request.key";
/// Where the push certificate goes if the configuration names no other file.
const PUSH_CERTIFICATE: &str = "push.pem";
/// What Apple takes.
const KEY_BITS: u32 = 2048;

/// Prints a request. As long as its certificate was not imported, it is for the same key each time: the certificate may be on its way.
pub(super) fn request(data: &Path, anew: bool) -> Outcome {
    let configuration = Configuration::load(data)?;
    let sealing = sealing(&configuration)?;
    let file = configuration.path(Path::new(REQUEST_KEY));
    let pending = file.exists();
    let key = if pending && !anew {
        secrets::private_key(&file, &sealing)?
    } else {
        make_key(&file, &sealing)?
    };
    let server = &configuration.server;
    let subject = Name::new(&[
        (NameAttribute::Organization, &server.organization),
        (NameAttribute::CommonName, &server.name),
    ]);
    let request = CertificationRequest::sign(&key, &subject, None)?;
    let advice = if pending && !anew {
        "The request that is on its way, once more: same key."
    } else {
        "A new request; its key is kept sealed in the data directory."
    };
    let _ = writeln!(
        io::stderr(),
        "{advice} Have it signed by an MDM vendor, hand what comes back to identity.apple.com/pushcert, and then\n\
         `lanyard apns import FILE` what Apple gives you. docs/real-iphone.md has the steps."
    );
    print(CertificationRequest::pem(&request).trim_end())
}

/// Opens with every key, and seals with the first one, whichever is current: a running server seals such files anew.
fn sealing(configuration: &Configuration) -> Result<KeyRing, FileError> {
    secrets::key_ring(&configuration.path(&configuration.server.sealing_key))
}

fn make_key(file: &Path, sealing: &KeyRing) -> Result<PrivateKey, Box<dyn std::error::Error>> {
    let key = PrivateKey::generate_rsa(KEY_BITS)?;
    if let Some(folder) = file.parent() {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    secrets::write_private_key(file, &key, sealing)?;
    Ok(key)
}

/// Puts a push certificate with its key where the server looks for it, if devices could be woken with it.
pub(super) async fn import(data: &Path, file: &Path) -> Outcome {
    let configuration = &Configuration::load(data)?;
    let sealing = &sealing(configuration)?;
    let (target, present) = target(configuration)?;
    let request_key = configuration.path(Path::new(REQUEST_KEY));
    let content = Zeroizing::new(secrets::read(file)?);
    let certificates = Certificate::many_from_pem(&content).map_err(|error| {
        format!(
            "{}: {error}; import what identity.apple.com/pushcert gives you, in PEM",
            file.display()
        )
    })?;
    let key = matching_key(&certificates, &content, &target, &request_key, sealing)?.ok_or_else(|| {
        format!(
            "{}: it is not the certificate of the key that `lanyard apns csr` made: hand the portal the request that `lanyard apns csr` prints now, or append the certificate's own key to the file",
            file.display()
        )
    })?;
    let public: String = certificates.iter().map(Certificate::to_pem).collect();
    let pem = Zeroizing::new([&*public, &*key.to_pem()?].concat());
    let new = PushCertificate::from_pem(pem.as_bytes())?;
    new.check_validity(SystemTime::now())?;
    if let Some(present) = &present {
        present.check_renewal(&new)?;
    }
    let further = further_topics(configuration)?;
    for topic in standing::topics_in_use(configuration).await? {
        if topic != new.topic() && !further.contains(&topic) {
            return Err(format!(
                "the certificate's topic is {}, but devices are enrolled with {topic}, and could never be woken again: renew the old certificate (\"Renew\", not \"Create\") at identity.apple.com/pushcert",
                new.topic()
            )
            .into());
        }
    }
    if target.exists() {
        secrets::replace_secret(&previous(&target), &secrets::read_secret(&target)?)?;
    }
    secrets::replace_secret(&target, pem.as_bytes())?;
    let when = if configuration.push.is_some() {
        "A running server takes it up within a minute, and with `lanyard apns reload` at once."
    } else {
        name_in_configuration(configuration)?;
        "The server uses it from its next start on."
    };
    let _ = fs::remove_file(request_key);
    print(&format!(
        "{} holds the push certificate and its key.\n  topic   {}\n  until   {}: renew it before, at the same portal, with the same Apple Account\n\
         {when}",
        target.display(),
        new.topic(),
        date(new.not_after())
    ))
}

/// Where the certificate goes, and what is there now.
fn target(
    configuration: &Configuration,
) -> Result<(PathBuf, Option<PushCertificate>), Box<dyn std::error::Error>> {
    let Some(first) = configuration
        .push
        .as_ref()
        .and_then(|push| push::files(push).next())
    else {
        return Ok((configuration.path(Path::new(PUSH_CERTIFICATE)), None));
    };
    let file = configuration.path(&first.certificate);
    if push::is_pkcs12(&file) {
        return Err(format!(
            "push.certificate in {FILE} names {}, and what is imported is PEM: write `certificate = \"{PUSH_CERTIFICATE}\"` there, without password_file, and import again",
            file.display()
        )
        .into());
    }
    let present = if file.exists() {
        Some(push::certificate(configuration, &first)?.1)
    } else {
        None
    };
    Ok((file, present))
}

/// The topics whose certificates lie elsewhere and stay: those of `push.further`.
fn further_topics(configuration: &Configuration) -> Result<Vec<String>, AssemblyError> {
    let files = configuration
        .push
        .iter()
        .flat_map(|push| push::files(push).skip(1));
    let topics = files.map(|file| {
        let (_, certificate) = push::certificate(configuration, &file)?;
        Ok(certificate.topic().to_owned())
    });
    topics.collect()
}

/// The key of one of these certificates: that of the request, one in the file itself, or the one that is in use.
fn matching_key(
    certificates: &[Certificate],
    content: &[u8],
    present: &Path,
    request_key: &Path,
    sealing: &KeyRing,
) -> Result<Option<PrivateKey>, Box<dyn std::error::Error>> {
    let mut keys = Vec::new();
    if request_key.exists() {
        keys.push(secrets::private_key(request_key, sealing)?);
    }
    keys.extend(PrivateKey::from_pem(content));
    if present.exists() {
        keys.extend(PrivateKey::from_pem(&secrets::read_secret(present)?));
    }
    let is_for = |key: &PrivateKey| {
        let mut certificates = certificates.iter();
        certificates.any(|certificate| certificate.public_key() == key.public_key())
    };
    Ok(keys.into_iter().find(is_for))
}

fn previous(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".previous");
    name.into()
}

fn name_in_configuration(configuration: &Configuration) -> Outcome {
    let file = configuration.path(Path::new(FILE));
    let written = OpenOptions::new()
        .append(true)
        .open(&file)
        .and_then(|mut file| write!(file, "\n[push]\ncertificate = \"{PUSH_CERTIFICATE}\"\n"));
    Ok(written.map_err(|error| {
        format!(
            "{}: {error}; write `[push]` and `certificate = \"{PUSH_CERTIFICATE}\"` into it",
            file.display()
        )
    })?)
}
