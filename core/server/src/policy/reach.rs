//! What a binding's plugin may reach outside, as it is written in a policy.

use std::{collections::BTreeSet, time::Duration};

use ipnet::IpNet;
use lanyard_policy::{Capability, HookPoint};
use lanyard_wasm::{Grants, HttpGrant, Outside, UrlPrefix};
use serde::{Deserialize, Serialize};

use super::BindingDocument;

/// `[binding.ldap]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LdapDocument {
    /// Names of `[ldap.NAME]` in the configuration.
    pub(crate) directories: BTreeSet<String>,
}

/// `[binding.http]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpDocument {
    /// URLs that may be asked, each with what is below it.
    pub(crate) allow: Vec<UrlPrefix>,
    /// Networks that are not public, and may be connected to all the same: `10.1.0.0/16`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) private: Vec<IpNet>,
    /// Who vouches for the servers: the PEM text itself, so that it is part of the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    /// Names of `[credentials.NAME]` in the configuration.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) credentials: BTreeSet<String>,
    /// The largest answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_kib: Option<u16>,
    /// How long a request takes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
}

/// `[binding.secrets]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretsDocument {
    /// Directories that passwords may be bound against.
    pub(crate) ldap: BTreeSet<String>,
    /// URLs that secrets may be sent to.
    pub(crate) http: Vec<UrlPrefix>,
}

/// `[binding.redirect]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectDocument {
    /// URLs that a browser may be sent to, each with what is below it.
    pub(crate) allow: Vec<UrlPrefix>,
}

impl LdapDocument {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl HttpDocument {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn grant(&self) -> HttpGrant {
        let default = HttpGrant::default();
        HttpGrant {
            allow: self.allow.clone(),
            private: self.private.clone(),
            roots: self.ca.clone().map(String::into_bytes),
            credentials: self.credentials.clone(),
            response_bytes: self
                .response_kib
                .map_or(default.response_bytes, |kib| usize::from(kib) << 10),
            timeout: self
                .timeout_ms
                .map_or(default.timeout, Duration::from_millis),
        }
    }
}

impl SecretsDocument {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl RedirectDocument {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl BindingDocument {
    /// What the plugin may use of the host's, and for what.
    pub(crate) fn granted(&self) -> Grants {
        Grants {
            capabilities: self.grants.clone(),
            directories: self.ldap.directories.clone(),
            http: self.http.grant(),
            secrets_to_directories: self.secrets.ldap.clone(),
            secrets_to_urls: self.secrets.http.clone(),
            redirections: self.redirect.allow.clone(),
        }
    }

    /// What cannot be meant: something reached without its capability, or that this node does not have.
    pub(crate) fn unreachable(&self, outside: &Outside) -> Option<String> {
        for (capability, section, empty) in [
            (Capability::Ldap, "ldap", self.ldap.is_default()),
            (Capability::Http, "http", self.http.is_default()),
            (Capability::Secrets, "secrets", self.secrets.is_default()),
        ] {
            if !empty && !self.grants.contains(&capability) {
                return Some(format!(
                    "`{section}` says what may be reached; add {section:?} to `grants`"
                ));
            }
        }
        if self.hook != HookPoint::Directory && !self.redirect.is_default() {
            return Some(
                "`redirect` is for directories: no other hook sends a browser anywhere".to_owned(),
            );
        }
        let mut redirections = self.redirect.allow.iter();
        if let Some(prefix) = redirections.find(|prefix| !prefix.is_https()) {
            return Some(format!(
                "`redirect.allow` has {prefix}; a browser is sent to https alone"
            ));
        }
        let without_ldap = self.secrets.ldap.difference(&self.ldap.directories).next();
        if let Some(name) = without_ldap {
            return Some(format!(
                "`secrets.ldap` has {name:?}, which is not among `ldap.directories`"
            ));
        }
        let mut directories = self.ldap.directories.iter();
        if let Some(name) = directories.find(|name| !outside.directories.contains_key(*name)) {
            return Some(format!(
                "the directory {name:?} is not in the configuration; expected a section [ldap.{name}]"
            ));
        }
        let mut credentials = self.http.credentials.iter();
        let name = credentials.find(|name| !outside.credentials.contains_key(*name))?;
        Some(format!(
            "the credential {name:?} is not in the configuration; expected a section [credentials.{name}]"
        ))
    }
}
