//! Push certificates: read from their files when the server starts, and again whenever these have changed.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use lanyard_engine::{Engine, ErrorChain};
use lanyard_push::{Apns, Endpoint, Limits, PushCertificate, Roots};

use crate::{
    assembly::{AssemblyError, named},
    configuration::{Configuration, Push, PushFile},
    secrets::{self, FileError},
};

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(60);

/// A client of APNs for each push certificate; that of new devices first. None without `[push]`.
///
/// # Errors
/// [`AssemblyError`]
pub(crate) fn clients(configuration: &Configuration) -> Result<Vec<Apns>, AssemblyError> {
    let Some(push) = &configuration.push else {
        return Ok(Vec::new());
    };
    let endpoint = endpoint(configuration, push)?;
    let mut clients: Vec<Apns> = Vec::new();
    for file in files(push) {
        let (path, certificate) = certificate(configuration, &file)?;
        let file = path.display().to_string();
        let topic = certificate.topic();
        if clients.iter().any(|client| client.topic() == topic) {
            let topic = topic.to_owned();
            return Err(AssemblyError::SameTopic { file, topic });
        }
        let client = Apns::new(endpoint.clone(), &certificate, &Limits::default())
            .map_err(|error| AssemblyError::PushCertificate { file, error })?;
        clients.push(client);
    }
    Ok(clients)
}

fn files(push: &Push) -> impl Iterator<Item = PushFile> {
    let first = PushFile {
        certificate: push.certificate.clone(),
        password_file: push.password_file.clone(),
    };
    std::iter::once(first).chain(push.further.iter().cloned())
}

fn certificate(
    configuration: &Configuration,
    file: &PushFile,
) -> Result<(PathBuf, PushCertificate), AssemblyError> {
    let path = configuration.path(&file.certificate);
    let pkcs12 = path
        .extension()
        .is_some_and(|extension| extension == "p12" || extension == "pfx");
    let content = secrets::read_secret(&path).map_err(named("push.certificate"))?;
    let read = if pkcs12 {
        let password = match &file.password_file {
            Some(file) => secrets::read_secret(&configuration.path(file))
                .map_err(named("push.password_file"))?,
            None => Default::default(),
        };
        let password = String::from_utf8_lossy(&password);
        PushCertificate::from_pkcs12(&content, password.trim_end_matches(['\r', '\n']))
    } else {
        PushCertificate::from_pem(&content)
    };
    let file = path.display().to_string();
    let read = read.map_err(|error| AssemblyError::PushCertificate { file, error })?;
    Ok((path, read))
}

fn endpoint(configuration: &Configuration, push: &Push) -> Result<Endpoint, AssemblyError> {
    let roots = match &push.roots {
        Some(file) => {
            let file = configuration.path(file);
            let roots = named("push.roots");
            let pem = String::from_utf8(secrets::read(&file).map_err(&roots)?)
                .map_err(|error| roots(FileError::content(&file, &error)))?;
            Roots::Pem(pem)
        }
        None => Roots::WebPki,
    };
    let host = push.host.as_deref().unwrap_or("api.push.apple.com");
    Ok(Endpoint::new(host, push.port.unwrap_or(443), &roots)?)
}

/// The files of push certificates, and the engine that works with what is in them.
#[derive(Clone)]
pub(crate) struct PushFiles(Arc<State>);

struct State {
    configuration: Configuration,
    engine: Engine,
    /// When each file was changed that is in use.
    seen: Mutex<Vec<Option<SystemTime>>>,
}

/// Push certificates cannot be replaced by what is in their files.
#[derive(Debug, thiserror::Error)]
#[error("the push certificates stay as they were")]
pub(crate) struct NotReloaded(#[source] Box<dyn Error + Send + Sync>);

impl PushFiles {
    /// Of an engine that works with what is in them now.
    pub(crate) fn new(configuration: Configuration, engine: Engine) -> Self {
        let seen = Mutex::new(changes(&configuration));
        Self(Arc::new(State {
            configuration,
            engine,
            seen,
        }))
    }

    /// Reads the files again, and works with what is in them. The topics whose certificate is another now.
    ///
    /// # Errors
    /// [`NotReloaded`] if a file cannot be used, or a topic would be missing that devices enrolled with.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, NotReloaded> {
        let State {
            configuration,
            engine,
            seen,
        } = &*self.0;
        // Before they are read: what is written meanwhile is another change.
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = changes(configuration);
        let clients = clients(configuration).map_err(|error| NotReloaded(error.into()))?;
        let replaced = engine.replace_push(clients).await;
        replaced.map_err(|error| NotReloaded(error.into()))
    }

    fn changed(&self) -> bool {
        let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen != changes(&self.0.configuration)
    }

    /// Reloads whenever a file has changed, for ever.
    pub(crate) async fn watch(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.changed()
                && let Err(error) = self.reload().await
            {
                let error = ErrorChain(&error).to_string();
                tracing::error!(
                    alert = "push",
                    error,
                    "push certificates cannot be reloaded"
                );
            }
        }
    }
}

/// When each file that matters was changed; `None` for one that is not there.
fn changes(configuration: &Configuration) -> Vec<Option<SystemTime>> {
    let files = configuration.push.iter().flat_map(files);
    let paths = files.flat_map(|file| [Some(file.certificate), file.password_file]);
    let changed = |path: &Path| {
        let metadata = std::fs::metadata(configuration.path(path)).ok()?;
        metadata.modified().ok()
    };
    paths.flatten().map(|path| changed(&path)).collect()
}
