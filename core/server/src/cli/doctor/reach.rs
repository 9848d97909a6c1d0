//! What can be reached: the server and its database by us, the public name by devices, APNs by the server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::http::Uri;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Report, causes};
use crate::{
    cli::{client::Client, standing},
    configuration::{Configuration, TlsMode},
    push,
};

/// For one attempt at something in the network.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(report: &mut Report, configuration: &Configuration) {
    let client = Client::of(configuration);
    let runs = client.is_answered().await;
    let data = configuration.data().display();
    if runs {
        report.ok("server", "it runs");
        within(report, &client, configuration).await;
    } else {
        let fix = format!("lanyard serve --data {data}");
        report.warn("server", "none answers on the administration's socket", fix);
        database(report, configuration).await;
    }
    topic(report, configuration).await;
    public(report, configuration, runs).await;
    apns(report, configuration).await;
}

/// What only the running server can tell.
async fn within(report: &mut Report, client: &Client, configuration: &Configuration) {
    let users = match client.get("/api/v1/users").await {
        Ok(answer) => answer,
        Err(error) => {
            let fix = "look into the server's log; is the database reachable?";
            return report.fail(
                "database",
                format!("the server cannot read it: {error}"),
                fix,
            );
        }
    };
    report.ok(
        "database",
        format!("the server reads {}", configuration.database_url()),
    );
    let policy = client
        .get("/api/v1/policies/current")
        .await
        .unwrap_or_default();
    let mut bindings = policy["document"]["binding"]
        .as_array()
        .into_iter()
        .flatten();
    let native = users["users"]
        .as_array()
        .is_some_and(|users| !users.is_empty());
    if native || bindings.any(|binding| binding["hook"] == "directory") {
        report.ok("persons", "somebody can sign in");
    } else {
        let fix = "lanyard user add NAME, or lanyard policy apply FILE with a directory";
        report.warn("persons", "there is nobody who could sign in", fix);
    }
    let days = configuration.identity.reminder_days;
    let ending = format!("/api/v1/devices?ending_within_days={days}&limit=1000");
    match client.get(&ending).await {
        Ok(answer) => match answer["devices"].as_array().map_or(0, Vec::len) {
            0 => report.ok(
                "devices' identities",
                format!("none ends within {days} days"),
            ),
            count => report.warn(
                "devices' identities",
                format!("{count} end within {days} days, or have ended"),
                format!("lanyard device list --ending {days}, and enroll these devices again"),
            ),
        },
        Err(error) => report.fail(
            "devices' identities",
            error.to_string(),
            "look into the server's log",
        ),
    }
}

async fn database(report: &mut Report, configuration: &Configuration) {
    let url = configuration.database_url();
    match standing::stored(configuration).await {
        Ok(Some(_)) => report.ok("database", format!("{url} can be read, and is of this version")),
        Ok(None) => report.ok("database", format!("{url} is made when the server first starts")),
        Err(error) => report.fail(
            "database",
            format!("{url}: {}", causes(error.as_ref())),
            "start the server, which brings its tables up to date; if it is on another machine, is that reachable?",
        ),
    }
}

/// Whether there is a push certificate of each topic that devices were enrolled with.
async fn topic(report: &mut Report, configuration: &Configuration) {
    const WHAT: &str = "push topic";
    let Some(push) = &configuration.push else {
        return;
    };
    let certificates = push::files(push).map(|file| push::certificate(configuration, &file));
    // That a certificate or the database cannot be read was said already.
    let Ok(certificates) = certificates.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let Ok(topics) = standing::topics_in_use(configuration).await else {
        return;
    };
    let is_lost = |topic: &&String| {
        let mut certificates = certificates.iter();
        !certificates.any(|(_, certificate)| certificate.topic() == *topic)
    };
    match topics.iter().find(is_lost) {
        None => report.ok(WHAT, "no device is enrolled with another one"),
        Some(other) => report.fail(
            WHAT,
            format!("devices are enrolled with {other}, and no push certificate here can wake them"),
            "restore the certificate of that topic (apns import keeps the one before as push.pem.previous), or renew it at identity.apple.com/pushcert",
        ),
    }
}

/// The public name as devices come by it; from here it may look different.
async fn public(report: &mut Report, configuration: &Configuration, runs: bool) {
    const WHAT: &str = "public name";
    let (host, port) = public_address(configuration);
    let addresses: Vec<SocketAddr> =
        match timeout(PATIENCE, lookup_host((host.as_str(), port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
    if addresses.is_empty() {
        let fix =
            format!("have {host} entered into the DNS, with this machine's or the proxy's address");
        return report.warn(WHAT, format!("{host} has no address"), fix);
    }
    if addresses.iter().all(|address| address.ip().is_loopback()) {
        report.warn(
            WHAT,
            format!("{host} is this machine itself: only simulated devices come here"),
            "lanyard init --name mdm.example.com in another data directory",
        );
    } else {
        report.ok(WHAT, format!("{host} is {}", addresses[0].ip()));
    }
    let listen = configuration.server.listen.ip();
    if listen.is_loopback()
        && configuration.tls.mode == TlsMode::Files
        && !addresses[0].ip().is_loopback()
    {
        report.warn(
            "server.listen",
            format!("{listen} is for this machine alone"),
            "listen = \"0.0.0.0:443\" in lanyard.toml, unless a proxy passes TLS through",
        );
    }
    if !runs {
        return;
    }
    match shake_hands(configuration, &host, &addresses).await {
        Ok(()) => report.ok("TLS from here", format!("{host}:{port} answers with a certificate that devices take")),
        Err(error) => report.warn(
            "TLS from here",
            format!("{host}:{port}: {error}"),
            "try it from outside: openssl s_client -connect HOST:PORT -servername HOST; firewalls and proxies are what stands in between",
        ),
    }
}

fn public_address(configuration: &Configuration) -> (String, u16) {
    let server = &configuration.server;
    let public = server
        .public_url
        .as_deref()
        .and_then(|url| url.parse::<Uri>().ok());
    match public {
        Some(url) => (
            url.host().unwrap_or(&server.name).to_owned(),
            url.port_u16().unwrap_or(443),
        ),
        None if configuration.tls.mode == TlsMode::Proxy => (server.name.clone(), 443),
        None => (server.name.clone(), server.listen.port()),
    }
}

async fn shake_hands(
    configuration: &Configuration,
    host: &str,
    addresses: &[SocketAddr],
) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = crate::tls::trusted(configuration).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let exchange = async {
        let stream = TcpStream::connect(addresses).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    match timeout(PATIENCE, exchange).await {
        Ok(answered) => answered.map(|_| ()),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer within 5 s",
        )),
    }
}

async fn apns(report: &mut Report, configuration: &Configuration) {
    let Some(push) = &configuration.push else {
        return;
    };
    let (host, port) = push::address(push);
    let reached = timeout(PATIENCE, TcpStream::connect((host, port))).await;
    match reached {
        Ok(Ok(_)) => report.ok("APNs", format!("{host}:{port} can be reached")),
        Ok(Err(_)) | Err(_) => report.warn(
            "APNs",
            format!("{host}:{port} cannot be reached from here"),
            "let this machine connect to 17.0.0.0/8, port 443 or 2197 (push.port)",
        ),
    }
}
