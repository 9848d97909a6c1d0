//! The hook points by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a decision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    /// Who is this person?
    Directory,
    /// May this person enroll this device?
    EnrollmentApproval,
    /// May this certificate be issued?
    RaApproval,
    /// Which command next?
    CommandSelection,
    /// Something happened, is there anything to do?
    Event,
}

impl HookPoint {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Directory,
        Self::EnrollmentApproval,
        Self::RaApproval,
        Self::CommandSelection,
        Self::Event,
    ];

    /// The name that the contract, policies and records use: `ra-approval`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::EnrollmentApproval => "enrollment-approval",
            Self::RaApproval => "ra-approval",
            Self::CommandSelection => "command-selection",
            Self::Event => "event",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something of the host's that a plugin may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// The operator's log.
    Log,
    /// Secrets that it uses and does not read.
    Secrets,
    /// Directories that the operator configured.
    Ldap,
    /// Requests to listed URLs.
    Http,
    /// Reading what secrets say.
    RevealSecrets,
}

impl Capability {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::Secrets,
        Self::Ldap,
        Self::Http,
        Self::RevealSecrets,
    ];

    /// The name that the contract and policies use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Secrets => "secrets",
            Self::Ldap => "ldap",
            Self::Http => "http",
            Self::RevealSecrets => "reveal-secrets",
        }
    }
}
