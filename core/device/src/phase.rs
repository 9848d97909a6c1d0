//! How far an enrollment has come.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The phases of an enrollment, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The person has signed in, and the device was asked who it is.
    SignIn,
    /// The device has said who it is.
    Identify,
    /// It has its first certificate.
    InterimCertificate,
    /// It has its profile, decrypted.
    Profile,
    /// It has the certificate that it is managed under.
    IdentityCertificate,
    /// The server has taken Authenticate.
    Authenticate,
    /// The server has taken TokenUpdate: the device is managed.
    TokenUpdate,
}

impl Phase {
    const ALL: [Phase; 7] = [
        Phase::SignIn,
        Phase::Identify,
        Phase::InterimCertificate,
        Phase::Profile,
        Phase::IdentityCertificate,
        Phase::Authenticate,
        Phase::TokenUpdate,
    ];

    /// The phase that a device is in which has come through this one.
    pub(crate) fn after(reached: Option<Phase>) -> Phase {
        let next = Phase::ALL.into_iter().find(|phase| Some(*phase) > reached);
        next.unwrap_or(Phase::TokenUpdate)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::SignIn => "phase 1 (sign-in)",
            Phase::Identify => "phase 2 (device attributes)",
            Phase::InterimCertificate => "SCEP (interim certificate)",
            Phase::Profile => "phase 3 (encrypted profile)",
            Phase::IdentityCertificate => "SCEP (identity certificate)",
            Phase::Authenticate => "check-in (Authenticate)",
            Phase::TokenUpdate => "check-in (TokenUpdate)",
        })
    }
}
