//! Puts an engine together from the configuration: the one place where every part is named.

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use lanyard_engine::{
    DeviceAuthority, Engine, ErrorChain, Lifetimes, LocalUsers, PasswordError, ProfileSigner,
    Rates, Setup, SetupError, Urls,
};
use lanyard_mdm::ota::FactoryTrust;
use lanyard_pki::{Authority, IssueError, seal::KeyRing};
use lanyard_push::{CertificateError, EndpointError as ApnsError};
use lanyard_scep::{ChallengeKey, Compatibility, Endpoint, EndpointError, Identity, Mode};
use lanyard_store::{Store, StoreError};
use lanyard_wasm::{Cache, DirectoryError, Rooms, StartError};
use zeroize::Zeroizing;

use crate::{
    configuration::{
        Configuration, DatabaseUrl, DeviceCa, ScepCompatibility, ScepMode, default_pace,
    },
    http::paths,
    keys::Keys,
    outside,
    policy::Policies,
    push,
    secrets::{self, FileError},
};

/// The name of the devices' SCEP endpoint, in challenges and transactions.
const DEVICE_ENDPOINT: &str = "device";

/// Where compiled plugins are kept, in the data directory.
const PLUGIN_CACHE: &str = "plugin-cache";

/// A server cannot be put together from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The OpenSSL in this build is not safe to use.
    #[error("{0}")]
    OpenSsl(String),
    /// A file that the configuration names, or that stands where it names none.
    #[error("what `{key}` names cannot be used; see lanyard.toml")]
    File {
        /// The key, with its section.
        key: &'static str,
        /// Why.
        #[source]
        error: FileError,
    },
    /// The authority.
    #[error("the SCEP authority cannot be used")]
    Authority(#[from] IssueError),
    /// The SCEP endpoint.
    #[error("the SCEP endpoint cannot be set up")]
    Endpoint(#[from] EndpointError),
    /// The push certificate.
    #[error("{file}, which `[push]` names, cannot be used")]
    PushCertificate {
        /// The file.
        file: String,
        /// Why.
        #[source]
        error: CertificateError,
    },
    /// Two push certificates for one topic.
    #[error(
        "{file}, which `push.further` names, has the topic {topic}, as another push certificate does; name one of them"
    )]
    SameTopic {
        /// The later file.
        file: String,
        /// Its topic.
        topic: String,
    },
    /// Where APNs is.
    #[error("the APNs server cannot be used")]
    Apns(#[from] ApnsError),
    /// A directory.
    #[error("the directory of `[ldap.{name}]` cannot be used; see lanyard.toml")]
    Directory {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: DirectoryError,
    },
    /// A section that lacks a key for another one.
    #[error("`[{section}]` lacks `{key}`; see lanyard.toml")]
    Incomplete {
        /// The section.
        section: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// The policy in force.
    #[error("the policy in force cannot be enforced")]
    Policy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What runs plugins.
    #[error("plugins cannot be run here")]
    Plugins(#[from] StartError),
    /// Passwords cannot be hashed here.
    #[error("the native directory cannot be set up")]
    LocalUsers(#[from] PasswordError),
    /// The database.
    #[error("the database {url} cannot be opened")]
    Store {
        /// Its URL.
        url: DatabaseUrl,
        /// Why.
        #[source]
        error: StoreError,
    },
    /// The engine.
    #[error("the server cannot start")]
    Setup(#[from] SetupError),
}

/// Says which key a file belongs to.
pub(crate) fn named(key: &'static str) -> impl Fn(FileError) -> AssemblyError {
    move |error| AssemblyError::File { key, error }
}

/// What devices put before a path: `https://mdm.example.com`.
pub(crate) struct Bases {
    pub(crate) enrollment: String,
    /// For check-in and commands.
    pub(crate) management: String,
}

/// Makes the engine.
///
/// # Errors
/// [`AssemblyError`]
pub(crate) async fn engine(
    configuration: &Configuration,
    bases: &Bases,
) -> Result<(Engine, Policies, Keys), AssemblyError> {
    lanyard_pki::require_safe_openssl().map_err(AssemblyError::OpenSsl)?;
    let sealing = secrets::key_ring(&configuration.path(&configuration.server.sealing_key))
        .map_err(named("server.sealing_key"))?;
    // Before the database, which would for ever be sealed under a key that opens nothing else.
    let scep = scep_endpoint(configuration, &sealing)?;
    let signer = profile_signer(configuration, &sealing)?;
    let url = configuration.database_url();
    let store = Store::connect(url.expose(), sealing.clone())
        .await
        .map_err(|error| AssemblyError::Store { url, error })?;
    let rooms = rooms(configuration, &sealing)?;
    let local_users = Arc::new(LocalUsers::new(store.clone())?);
    let policies = Policies::new(
        rooms,
        store.clone(),
        local_users,
        configuration.plugins.trusted_keys.clone(),
    );
    let identity = &configuration.identity;
    let lifetimes = Lifetimes {
        session: Duration::from_secs(
            60 * u64::from(configuration.enrollment.session_minutes.get()),
        ),
        identity: days(identity.lifetime_days),
        reminder: days(identity.reminder_days),
        commands: days(configuration.retention.commands_days),
        decisions: days(configuration.retention.decisions_days),
        ..Lifetimes::default()
    };
    let keys = Keys::new(configuration, store.clone(), lifetimes.challenge);
    let setup = Setup {
        hooks: policies
            .at_start()
            .await
            .map_err(|error| AssemblyError::Policy(Box::new(error)))?,
        scep,
        challenges: ChallengeKey::new(sealing.derive("scep challenges")),
        signer,
        anchors: match &configuration.tls.anchor {
            Some(anchor) => {
                let read = secrets::certificates(&configuration.path(anchor));
                vec![read.map_err(named("tls.anchor"))?.0]
            }
            None => Vec::new(),
        },
        factory: factory_trust(configuration)?,
        device_authority: match configuration.enrollment.device_ca {
            DeviceCa::Record => DeviceAuthority::Record,
            DeviceCa::Require => DeviceAuthority::Require,
        },
        push: push::clients(configuration)?,
        pushes_per_second: configuration
            .push
            .as_ref()
            .map_or_else(default_pace, |push| push.per_second),
        sign_messages: identity.listen.is_none() && identity.proxies.is_empty(),
        urls: Urls {
            profile_service: format!("{}{}", bases.enrollment, paths::PROFILE_SERVICE),
            scep: format!("{}{}", bases.enrollment, paths::SCEP),
            check_in: format!("{}{}", bases.management, paths::CHECK_IN),
            connect: format!("{}{}", bases.management, paths::CONNECT),
        },
        organization: configuration.server.organization.clone(),
        lifetimes,
        rates: Rates {
            per_name: configuration.enrollment.sign_ins_per_name,
            per_address: configuration.enrollment.sign_ins_per_address,
            messages_per_address: configuration.limits.messages_per_address,
        },
        store,
    };
    Ok((Engine::new(setup).await?, policies, keys))
}

fn days(days: NonZeroU32) -> Duration {
    Duration::from_hours(24 * u64::from(days.get()))
}

/// Whether a server could start with these files: keys open, and are those of their certificates.
///
/// # Errors
/// [`AssemblyError`]
pub(crate) fn check_files(
    configuration: &Configuration,
    sealing: &KeyRing,
) -> Result<(), AssemblyError> {
    scep_endpoint(configuration, sealing)?;
    profile_signer(configuration, sealing)?;
    factory_trust(configuration)?;
    push::clients(configuration)?;
    outside::configured(configuration)?;
    Ok(())
}

/// What runs plugins. Without its cache it does the same, and starts more slowly.
fn rooms(configuration: &Configuration, sealing: &KeyRing) -> Result<Rooms, AssemblyError> {
    let rooms = Rooms::new()?.reaching(outside::configured(configuration)?);
    let key = sealing.derive("plugin cache").tag(b"key");
    let folder = configuration.path(Path::new(PLUGIN_CACHE));
    match Cache::open(&folder, Zeroizing::new(key)) {
        Ok(cache) => Ok(rooms.caching(cache)),
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "plugins are compiled at each start");
            Ok(rooms)
        }
    }
}

pub(crate) fn scep_endpoint(
    configuration: &Configuration,
    sealing: &KeyRing,
) -> Result<Endpoint, AssemblyError> {
    let scep = &configuration.scep;
    let certificates = |key: &'static str, file: &Path| {
        secrets::certificates(&configuration.path(file)).map_err(named(key))
    };
    let private_key = |key: &'static str, file: &Path| {
        secrets::private_key(&configuration.path(file), sealing).map_err(named(key))
    };
    let ra = || -> Result<Identity, AssemblyError> {
        Ok(Identity {
            certificate: certificates("scep.ra", &scep.ra)?.0,
            key: private_key("scep.ra_key", &scep.ra_key)?,
        })
    };
    let (certificate, above) = certificates("scep.authority", &scep.authority)?;
    let key = private_key("scep.authority_key", &scep.authority_key)?;
    let mode = match scep.mode {
        ScepMode::CaOnly => Mode::AuthorityOnly,
        ScepMode::OneRa => Mode::OneRa(ra()?),
        ScepMode::SplitRa => Mode::SplitRa {
            signing: ra()?,
            encryption: Identity {
                certificate: certificates("scep.encryption_ra", &scep.encryption_ra)?.0,
                key: private_key("scep.encryption_ra_key", &scep.encryption_ra_key)?,
            },
        },
    };
    let compatibility = match scep.compatibility {
        ScepCompatibility::Modern => Compatibility::Modern,
        ScepCompatibility::Compatible => Compatibility::Compatible,
    };
    Ok(Endpoint::new(
        DEVICE_ENDPOINT,
        Authority::new(certificate, key)?,
        above,
        mode,
        compatibility,
    )?)
}

pub(crate) fn profile_signer(
    configuration: &Configuration,
    sealing: &KeyRing,
) -> Result<ProfileSigner, AssemblyError> {
    let (certificate, chain) =
        secrets::certificates(&configuration.path(&configuration.signing.certificate))
            .map_err(named("signing.certificate"))?;
    let key = secrets::private_key(&configuration.path(&configuration.signing.key), sealing)
        .map_err(named("signing.key"))?;
    if certificate.public_key() != key.public_key() {
        let file = configuration.path(&configuration.signing.key);
        let reason = "it is not the key of the certificate that signing.certificate names";
        return Err(named("signing.key")(FileError::content(&file, &reason)));
    }
    Ok(ProfileSigner {
        key,
        certificate,
        chain,
    })
}

pub(crate) fn factory_trust(configuration: &Configuration) -> Result<FactoryTrust, AssemblyError> {
    let mut trust = FactoryTrust::new();
    if let Some(file) = &configuration.enrollment.apple_ca {
        let file = configuration.path(file);
        let apple_ca = named("enrollment.apple_ca");
        let (first, mut rest) = secrets::certificates(&file).map_err(&apple_ca)?;
        rest.push(first);
        trust = trust
            .with_apple(rest)
            .map_err(|error| apple_ca(FileError::content(&file, &error)))?;
    }
    for root in &configuration.enrollment.factory_roots {
        let file = configuration.path(root);
        let factory_roots = named("enrollment.factory_roots");
        let (first, rest) = secrets::certificates(&file).map_err(&factory_roots)?;
        for certificate in std::iter::once(first).chain(rest) {
            trust = trust
                .with_root(certificate)
                .map_err(|error| factory_roots(FileError::content(&file, &error)))?;
        }
    }
    Ok(trust)
}
