//! What the cryptography alone costs.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use lanyard_tests::site::run;

/// Seconds of a signature each, on one processor.
pub(crate) struct Primitives {
    rsa: f64,
    ecdsa: f64,
}

impl Primitives {
    /// As `openssl speed` says.
    pub(crate) fn measure() -> Result<Self, String> {
        let said = run(Command::new("openssl").args([
            "speed",
            "-mr",
            "-seconds",
            "2",
            "rsa2048",
            "ecdsap256",
        ]))?;
        Ok(Self {
            rsa: seconds(&said, "+F2:")?,
            ecdsa: seconds(&said, "+F4:")?,
        })
    }

    /// Those of one issuance: the RA opens the envelope and signs its answer, the CA signs the certificate.
    pub(crate) fn each(&self) -> Duration {
        Duration::from_secs_f64(2.0 * self.rsa + self.ecdsa)
    }
}

impl fmt::Display for Primitives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RSA-2048 {:.0} µs twice (the envelope is opened, the answer signed), P-256 {:.0} µs (the certificate is signed): {:.0} µs, by `openssl speed`",
            self.rsa * 1e6,
            self.ecdsa * 1e6,
            self.each().as_secs_f64() * 1e6
        )
    }
}

/// Of a line of its report for programs: number, bits, signatures a second, verifications a second.
fn seconds(said: &str, begin: &str) -> Result<f64, String> {
    let unknown = || format!("`openssl speed` has no line {begin}: {said}");
    let line = said.lines().find_map(|line| line.strip_prefix(begin));
    let field = line.and_then(|line| line.split(':').nth(2));
    let rate: f64 = field
        .and_then(|field| field.parse().ok())
        .ok_or_else(unknown)?;
    Ok(rate.recip())
}
