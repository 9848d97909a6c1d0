//! What plugins may be granted by name: directories and credentials, from the configuration and the files that it names.

use std::{path::Path, time::Duration};

use lanyard_policy::Secret;
use lanyard_wasm::{Credential, CredentialScheme, DirectorySettings, LdapDirectory, Outside};

use crate::{
    assembly::{AssemblyError, named},
    configuration::{self, Configuration},
    secrets::{self, FileError},
};

/// Reads what the configuration names; nothing is connected to.
///
/// # Errors
/// [`AssemblyError`]
pub(crate) fn configured(configuration: &Configuration) -> Result<Outside, AssemblyError> {
    let mut outside = Outside::default();
    for (name, section) in &configuration.ldap {
        let directory = directory(configuration, name, section)?;
        outside.directories.insert(name.clone(), directory);
    }
    for (name, section) in &configuration.credentials {
        let credential = credential(configuration, name, section)?;
        outside.credentials.insert(name.clone(), credential);
    }
    Ok(outside)
}

fn directory(
    configuration: &Configuration,
    name: &str,
    section: &configuration::Ldap,
) -> Result<LdapDirectory, AssemblyError> {
    let lacks = |key| AssemblyError::Incomplete {
        section: format!("ldap.{name}"),
        key,
    };
    let account = match (&section.bind_dn, &section.bind_password_file) {
        (None, None) => None,
        (None, Some(_)) => return Err(lacks("bind_dn")),
        (Some(_), None) => return Err(lacks("bind_password_file")),
        (Some(dn), Some(file)) => {
            let password = secret(&configuration.path(file));
            let password = password.map_err(named("ldap.NAME.bind_password_file"))?;
            Some((dn.clone(), password))
        }
    };
    let roots = section.ca.as_ref();
    let roots = roots.map(|file| secrets::read(&configuration.path(file)));
    LdapDirectory::new(DirectorySettings {
        url: section.url.clone(),
        starttls: section.starttls,
        roots: roots.transpose().map_err(named("ldap.NAME.ca"))?,
        base: section.base.clone(),
        account,
        timeout: Duration::from_millis(section.timeout_ms.get().into()),
    })
    .map_err(|error| AssemblyError::Directory {
        name: name.to_owned(),
        error,
    })
}

fn credential(
    configuration: &Configuration,
    name: &str,
    section: &configuration::Credential,
) -> Result<Credential, AssemblyError> {
    let lacks = |key| AssemblyError::Incomplete {
        section: format!("credentials.{name}"),
        key,
    };
    let scheme = match section.scheme {
        configuration::CredentialScheme::Bearer => CredentialScheme::Bearer,
        configuration::CredentialScheme::Basic => {
            CredentialScheme::Basic(section.user.clone().ok_or_else(|| lacks("user"))?)
        }
        configuration::CredentialScheme::Header => {
            CredentialScheme::Header(section.header.clone().ok_or_else(|| lacks("header"))?)
        }
    };
    let secret = secret(&configuration.path(&section.secret_file));
    Ok(Credential {
        scheme,
        secret: secret.map_err(named("credentials.NAME.secret_file"))?,
        urls: section.urls.clone(),
    })
}

/// The first line of a file that only its owner may read.
fn secret(file: &Path) -> Result<Secret, FileError> {
    let content = secrets::read_secret(file)?;
    let text = std::str::from_utf8(&content).map_err(|error| FileError::content(file, &error))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains(char::is_control) {
        return Err(FileError::content(file, &"expected one line with a secret"));
    }
    Ok(Secret::new(line))
}
