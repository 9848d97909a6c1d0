//! Certificates: the TLS chain as a device looks at it, the push certificate, and when each of them ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use lanyard_pki::Certificate;
use rustls::{
    CertificateError, Error,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{Report, causes};
use crate::{
    cli::date,
    configuration::{Configuration, TlsMode},
    push, secrets,
};

const DAY: Duration = Duration::from_hours(24);
/// Somebody has to be found who renews it.
const SOON: Duration = Duration::from_hours(30 * 24);
/// Apple's limits for the life of a TLS certificate: under a root that a profile installs, and under a public one that was issued since
/// September 2020 (support.apple.com/103769 and 102028).
const LONGEST_UNDER_ANCHOR: Duration = Duration::from_hours(825 * 24);
const LONGEST_PUBLIC: Duration = Duration::from_hours(398 * 24);

pub(super) fn examine(report: &mut Report, configuration: &Configuration) {
    match configuration.tls.mode {
        TlsMode::Files => tls(report, configuration),
        TlsMode::Proxy => report.ok("TLS", "is the proxy's; the name is looked at below"),
    }
    for (what, file) in [
        ("authority's end", &configuration.scep.authority),
        ("profile signing's end", &configuration.signing.certificate),
    ] {
        if let Ok((certificate, _)) = secrets::certificates(&configuration.path(file)) {
            end(
                report,
                what,
                &certificate,
                "make a new data directory in time, and enroll the devices there: an authority cannot be replaced yet",
            );
        }
    }
    push_certificates(report, configuration);
}

fn tls(report: &mut Report, configuration: &Configuration) {
    const WHAT: &str = "TLS certificate";
    let file = configuration.path(&configuration.tls.certificate);
    let shown = file.display();
    let key_file = configuration.path(&configuration.tls.key);
    let usable = crate::tls::acceptor(configuration, crate::tls::Clients::Unasked);
    if let Err(error) = usable {
        let fix = format!(
            "name a chain and its key under `[tls]` in lanyard.toml; keys need `chmod 600 {}`",
            key_file.display()
        );
        return report.fail(WHAT, causes(&error), fix);
    }
    let (leaf, above) = match secrets::certificates(&file) {
        Ok(chain) => chain,
        Err(error) => {
            return report.fail(
                WHAT,
                causes(&error),
                "name a certificate in PEM as tls.certificate",
            );
        }
    };
    let name = host(configuration);
    match verify(configuration, &leaf, &above, &name) {
        Ok(()) => report.ok(
            WHAT,
            format!("{shown}: the chain is complete, and for {name}"),
        ),
        Err(refused) => {
            let (said, fix) = explain(&refused, &name, configuration);
            report.fail(WHAT, format!("{shown}: {said}"), fix);
        }
    }
    end(
        report,
        "TLS certificate's end",
        &leaf,
        "renew it, write it over the old files and start the server again",
    );
    let life = leaf
        .not_after()
        .duration_since(leaf.not_before())
        .unwrap_or_default();
    let longest = if configuration.tls.anchor.is_some() {
        LONGEST_UNDER_ANCHOR
    } else {
        LONGEST_PUBLIC
    };
    if life > longest {
        report.fail(
            "TLS certificate's life",
            format!(
                "{} days; Apple's devices take at most {}",
                days(life),
                days(longest)
            ),
            "have one made that is valid for a shorter time",
        );
    }
}

/// The name that devices look for: that of the public URL.
fn host(configuration: &Configuration) -> String {
    let public = configuration.server.public_url.as_deref();
    let url = public.and_then(|url| url.parse::<axum::http::Uri>().ok());
    url.and_then(|url| url.host().map(str::to_owned))
        .unwrap_or_else(|| configuration.server.name.clone())
}

/// As a device would: against the anchor that it is made to trust, or the public ones.
fn verify(
    configuration: &Configuration,
    leaf: &Certificate,
    above: &[Certificate],
    name: &str,
) -> Result<(), Error> {
    let octets = |certificate: &Certificate| CertificateDer::from(certificate.der().to_vec());
    let roots = crate::tls::trusted(configuration)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let name =
        ServerName::try_from(name.to_owned()).map_err(|error| Error::General(error.to_string()))?;
    let above: Vec<_> = above.iter().map(octets).collect();
    verifier
        .verify_server_cert(&octets(leaf), &above, &name, &[], UnixTime::now())
        .map(|_| ())
}

fn explain(error: &Error, name: &str, configuration: &Configuration) -> (String, String) {
    let renew = "renew it, write it over the old files and start the server again";
    let (said, fix) = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            match configuration.tls.anchor {
                Some(_) => (
                    "it is not under the root that tls.anchor names",
                    "name its own root, or leave tls.anchor out if it is publicly trusted",
                ),
                None => (
                    "the chain ends in nobody whom devices trust",
                    "append the intermediate certificates that came with it (fullchain.pem); name a root of your own as tls.anchor",
                ),
            }
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            return (
                format!("it is not for {name}"),
                format!("have one made for {name}, or mend server.name"),
            );
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => ("it has expired, or one above it has", renew),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => ("it is not valid yet", "set the clock"),
        other => return (other.to_string(), "have another one made".to_owned()),
    };
    (said.to_owned(), fix.to_owned())
}

fn push_certificates(report: &mut Report, configuration: &Configuration) {
    const WHAT: &str = "push certificate";
    let Some(push) = &configuration.push else {
        let fix = "lanyard apns csr; docs/real-iphone.md has the steps";
        return report.fail(WHAT, "none: nobody can enroll, and no device is woken", fix);
    };
    for (place, file) in push::files(push).enumerate() {
        // What is imported is the certificate of new devices.
        let (put, renew) = if place == 0 {
            (
                "lanyard apns import FILE",
                "lanyard apns csr, \"Renew\" (not \"Create\") at identity.apple.com/pushcert, lanyard apns import FILE",
            )
        } else {
            (
                "put the certificate with its key there, in PEM, mode 600",
                "\"Renew\" (not \"Create\") at identity.apple.com/pushcert, and put the new certificate with its key in the place of the old one",
            )
        };
        match push::certificate(configuration, &file) {
            Ok((_, certificate)) => {
                report.ok(WHAT, format!("topic {}", certificate.topic()));
                end(
                    report,
                    "push certificate's end",
                    certificate.certificate(),
                    renew,
                );
            }
            Err(error) => report.fail(WHAT, causes(&error), put),
        }
    }
}

/// Whether it is valid now, and for how long.
fn end(report: &mut Report, what: &'static str, certificate: &Certificate, fix: &str) {
    let (now, until) = (SystemTime::now(), certificate.not_after());
    if now < certificate.not_before() {
        let from = date(certificate.not_before());
        return report.fail(what, format!("valid only from {from} on"), "set the clock");
    }
    match until.duration_since(now) {
        Err(_) => report.fail(what, format!("it has expired on {}", date(until)), fix),
        Ok(left) => {
            let said = format!("{} ({} days)", date(until), days(left));
            if left < SOON {
                report.warn(what, said, fix);
            } else {
                report.ok(what, said);
            }
        }
    }
}

fn days(time: Duration) -> u64 {
    time.as_secs() / DAY.as_secs()
}
