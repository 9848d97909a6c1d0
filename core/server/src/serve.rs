//! `lanyard serve`: everything that runs, in one function.

use std::{io, path::Path, sync::Arc};

use opentelemetry_otlp::ExporterBuildError;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{JoinError, JoinSet},
};

use crate::{
    assembly::{self, AssemblyError, Bases, named},
    backup::Backups,
    configuration::{Configuration, ConfigurationError, DeviceCa, TlsMode},
    http::{self, BodyBudget, Metrics, Shared, paths},
    listener::{self, Front, Transport},
    observability,
    proxies::Proxies,
    push::PushFiles,
    secrets,
    tls::{self, Clients},
};

/// The server does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// What it names.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// Traces cannot be sent as they are configured.
    #[error("traces cannot be sent; see observability.otlp in lanyard.toml")]
    Traces(#[from] ExporterBuildError),
    /// The address or the socket is not free.
    #[error(
        "cannot listen on {at}; see server.listen, server.admin_socket and observability.metrics_listen in lanyard.toml"
    )]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: io::Error,
    },
    /// A part of the server ended that never should.
    #[error("a part of the server ended by itself; see the log")]
    Ended(#[source] Option<JoinError>),
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signal(#[source] io::Error),
}

/// Serves until SIGINT or SIGTERM. `ready` is called once devices are answered: with the enrollment link, or, where no push certificate is
/// configured and nobody can enroll, with none.
///
/// # Errors
/// [`ServeError`]
pub async fn serve(data: &Path, ready: impl FnOnce(Option<&str>)) -> Result<(), ServeError> {
    // Database, journal and socket are their owner's alone, wherever the configuration puts them.
    umask(Mode::RWXG | Mode::RWXO);
    let configuration = Configuration::load(data)?;
    let observed = observability::start(&configuration.observability)?;
    let cannot_listen = |at: String| move |source| ServeError::Listen { at, source };

    let address = configuration.server.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(cannot_listen(address.to_string()))?;
    let port = listener
        .local_addr()
        .map_err(cannot_listen(address.to_string()))?
        .port();
    let identified = match configuration.identity.listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .map_err(cannot_listen(address.to_string()))?,
        ),
        None => None,
    };
    let bases = bases(&configuration, port, identified.as_ref());
    let (engine, policies, keys) = assembly::engine(&configuration, &bases).await?;
    let transport = match configuration.tls.mode {
        TlsMode::Files => Transport::Tls(tls::acceptor(&configuration, Clients::Unasked)?),
        TlsMode::Proxy => Transport::Proxied,
    };

    let shared = Shared {
        engine: engine.clone(),
        organization: Arc::from(configuration.server.organization.as_str()),
        // Each node takes the forms that another one gave out.
        forms: keys.ring().derive("sign-in forms"),
        anchor: anchor(&configuration)?,
    };
    let metrics = Metrics::new(engine.clone(), policies.calls());
    let (stop, stopped) = watch::channel(false);

    let socket = configuration.path(&configuration.server.admin_socket);
    let operators = listener::bind_socket(&socket)
        .await
        .map_err(cannot_listen(socket.display().to_string()))?;
    let push_files = PushFiles::new(configuration.clone(), engine.clone());
    let administration = http::admin_router(
        engine.clone(),
        policies.clone(),
        push_files.clone(),
        keys.clone(),
        Backups::new(configuration.clone(), keys.clone()),
        metrics.clone(),
    );
    let mut running = JoinSet::new();
    if let Some(address) = configuration.observability.metrics_listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(cannot_listen(address.to_string()))?;
        running.spawn(listener::serve_metrics(
            listener,
            metrics.clone().router(),
            stopped.clone(),
        ));
    }
    running.spawn({
        let (engine, mut stopped) = (engine.clone(), stopped.clone());
        async move {
            tokio::select! {
                () = policies.follow(&engine) => {}
                () = push_files.watch() => {}
                () = keys.keep_files() => {}
                () = listener::told_to_stop(&mut stopped) => {}
            }
        }
    });
    running.spawn(listener::serve_operators(
        operators,
        socket,
        administration,
        stopped.clone(),
    ));
    running.spawn({
        let mut stopped = stopped.clone();
        async move {
            let stop = async move { listener::told_to_stop(&mut stopped).await };
            engine.work_until(stop).await;
        }
    });
    let limits = &configuration.limits;
    let proxies = Proxies {
        forwarding: configuration.server.proxies.clone(),
        authenticating: configuration.identity.proxies.clone(),
    };
    let front = Front::new(places(limits.connections), proxies, stopped);
    let budget = BodyBudget::new(limits);
    if let Some(listener) = identified {
        let transport = Transport::Tls(tls::acceptor(&configuration, Clients::Asked)?);
        let managed = http::management_router(shared.clone(), limits, &budget, metrics.clone());
        running.spawn(front.clone().serve(listener, transport, managed));
    }
    let devices = http::device_router(shared, limits, &budget, metrics);
    running.spawn(front.serve(listener, transport, devices));

    let link = format!("{}{}", bases.enrollment, paths::ENROLL);
    tracing::info!(listen = %address, port, link, "serving");
    warn_of(&configuration);
    ready(configuration.push.as_ref().map(|_| link.as_str()));
    tokio::select! {
        told = until_told_to_stop() => told.map_err(ServeError::Signal)?,
        // None of them ends by itself: a server that goes on without one would only look like one.
        Some(ended) = running.join_next() => return Err(ServeError::Ended(ended.err())),
    }
    tracing::info!("stopping");
    let _ = stop.send(true);
    while running.join_next().await.is_some() {}
    observed.end().await;
    Ok(())
}

/// As many connections as are configured, or as the system has file descriptors for: each takes one, and the database,
/// APNs and files need some.
fn places(configured: usize) -> usize {
    const OTHERS: u64 = 128;
    let wanted = configured as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit {
        current: Some(most),
        maximum,
    };
    let allowed = match current {
        Some(current) if current < most && setrlimit(Resource::Nofile, raised).is_err() => current,
        _ => most,
    };
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "fewer file descriptors than limits.connections needs"
        );
    }
    usize::try_from(allowed.saturating_sub(OTHERS).max(1))
        .unwrap_or(configured)
        .min(configured)
}

/// Where devices find the two addresses, whose ports the system may have chosen.
fn bases(configuration: &Configuration, port: u16, identified: Option<&TcpListener>) -> Bases {
    let server = &configuration.server;
    let named = |port: u16| match port {
        443 => format!("https://{}", server.name),
        port => format!("https://{}:{port}", server.name),
    };
    let enrollment = server.public_url.clone().unwrap_or_else(|| {
        // Behind a proxy, the port is nobody's but the proxy's.
        named(match configuration.tls.mode {
            TlsMode::Files => port,
            TlsMode::Proxy => 443,
        })
    });
    let public = configuration.identity.public_url.clone();
    let management = public
        .or_else(|| Some(named(identified?.local_addr().ok()?.port())))
        .unwrap_or_else(|| enrollment.clone());
    Bases {
        enrollment,
        management,
    }
}

fn anchor(configuration: &Configuration) -> Result<Option<Arc<[u8]>>, AssemblyError> {
    let Some(file) = &configuration.tls.anchor else {
        return Ok(None);
    };
    let (root, _) =
        secrets::certificates(&configuration.path(file)).map_err(named("tls.anchor"))?;
    Ok(Some(Arc::from(root.der())))
}

/// What starts, and will still disappoint somebody.
fn warn_of(configuration: &Configuration) {
    let (server, tls) = (&configuration.server, &configuration.tls);
    let file = configuration.path(&tls.certificate);
    if tls.mode == TlsMode::Files
        && server.public_url.is_none()
        && secrets::read(&file).is_ok_and(|chain| !tls::names(&chain, &server.name))
    {
        let (file, name) = (file.display(), &server.name);
        tracing::warn!(%file, name, "the TLS certificate does not name server.name: no device will connect");
    }
    if configuration.push.is_none() {
        tracing::warn!(
            "nobody can enroll, and no enrolled device is woken: lanyard.toml has no [push] section that names a push certificate"
        );
    }
    if configuration.database.url.is_unverified() {
        tracing::warn!(
            "database.url does not say sslmode=verify-full: whoever is between here and the database could be the database"
        );
    }
    let enrollment = &configuration.enrollment;
    if enrollment.device_ca == DeviceCa::Require
        && enrollment.apple_ca.is_none()
        && enrollment.factory_roots.is_empty()
    {
        tracing::warn!(
            "enrollment.device_ca is \"require\" and enrollment.apple_ca names no file: devices that do not send their factory's chain are refused"
        );
    }
}

async fn until_told_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
