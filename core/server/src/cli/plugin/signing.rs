//! `lanyard plugin keygen`, `sign` and `verify`.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use zeroize::Zeroizing;

use super::super::{Outcome, print};
use crate::signature::{self, EXTENSION, TrustedKeys};

pub(super) fn keygen(key: &Path) -> Outcome {
    let (secret, public) = signature::new_key()?;
    let secret = Zeroizing::new(secret);
    // Its owner's alone from the first octet, and never over another key.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(key);
    file.and_then(|mut file| file.write_all(secret.as_bytes()))
        .map_err(|error| format!("{}: {error}", key.display()))?;
    print(&public)
}

pub(super) fn sign(file: &Path, key: &Path) -> Outcome {
    let component = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let secret = fs::read_to_string(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let secret = Zeroizing::new(secret);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let signature = signature::sign(&secret, &component, &name)
        .map_err(|error| format!("{}: {error}", key.display()))?;
    let beside = format!("{}{EXTENSION}", file.display());
    fs::write(&beside, signature).map_err(|error| format!("{beside}: {error}"))?;
    print(&format!("{beside} vouches for {}.", file.display()))
}

pub(super) fn verify(file: &Path, trusted: &[String]) -> Outcome {
    let component = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    TrustedKeys::try_from(trusted.to_vec())?
        .check(&component, beside(file)?.as_deref())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    print(&format!("{} is signed by a trusted key.", file.display()))
}

/// The signature that stands beside a component, if one does.
pub(in crate::cli) fn beside(component: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let file = format!("{}{EXTENSION}", component.display());
    match fs::read_to_string(&file) {
        Ok(signature) => Ok(Some(signature)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{file}: {error}").into()),
    }
}
