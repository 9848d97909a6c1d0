//! Contradictions that every device refuses, found before it does: a device says no more than "profile installation failed".

use std::collections::BTreeSet;

use thiserror::Error;
use uuid::Uuid;

use super::{ConfigurationProfile, EnrollmentMode, MdmPayload, Settings};

/// What is wrong with a profile, as one sentence that names what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Two payloads, or a payload and the profile, share a UUID.
    #[error("PayloadUUID {0} occurs twice; each payload needs its own")]
    DuplicateUuid(Uuid),
    /// Two payloads share an identifier.
    #[error("PayloadIdentifier \"{0}\" occurs twice; each payload needs its own")]
    DuplicateIdentifier(String),
    /// An identifier is empty.
    #[error("a PayloadIdentifier is empty; it must be a reverse-DNS name")]
    EmptyIdentifier,
    /// More than one management payload.
    #[error("there are two com.apple.mdm payloads; a device takes one")]
    TwoManagementPayloads,
    /// A URL that the device would refuse.
    #[error("{key} is \"{url}\"; it must be an https:// URL")]
    Url {
        /// The key.
        key: &'static str,
        /// What it holds.
        url: String,
    },
    /// A topic that no push certificate for MDM has.
    #[error("Topic is \"{0}\"; it must begin with com.apple.mgmt.")]
    Topic(String),
    /// Rights are missing, or given where they must not be.
    #[error("AccessRights must be given unless EnrollmentMode is, and must be absent under BYOD")]
    Rights,
    /// An account-driven enrollment without an account.
    #[error("EnrollmentMode needs AssignedManagedAppleID")]
    Account,
    /// The identity is not in the profile.
    #[error("IdentityCertificateUUID {0} is the PayloadUUID of no identity payload in the profile")]
    Identity(Uuid),
    /// A pinned certificate is not in the profile.
    #[error("pinned certificate {0} is the PayloadUUID of no certificate payload in the profile")]
    Pin(Uuid),
    /// A SCEP setting that some device refuses.
    #[error("{key} of the SCEP payload {right}")]
    Scep {
        /// The key.
        key: &'static str,
        /// What would be right.
        right: &'static str,
    },
}

pub(super) fn check(profile: &ConfigurationProfile) -> Result<(), Problem> {
    labels(profile)?;
    let mut managed = false;
    for payload in &profile.payloads {
        match &payload.settings {
            Settings::Mdm(_) if managed => return Err(Problem::TwoManagementPayloads),
            Settings::Mdm(mdm) => {
                managed = true;
                management(mdm)?;
                references(mdm, profile)?;
            }
            Settings::Scep(scep) => {
                let problem = |key, right| Problem::Scep { key, right };
                let subject = &scep.subject;
                if !(is_url(&scep.url, "https://") || is_url(&scep.url, "http://")) {
                    return Err(problem("URL", "must be an http:// or https:// URL"));
                }
                if !matches!(scep.key_bits, 2048 | 4096) {
                    return Err(problem("Keysize", "must be 2048 or 4096"));
                }
                if !matches!(scep.key_usage, 1 | 4 | 5) {
                    return Err(problem("Key Usage", "must be 1, 4 or 5"));
                }
                if subject.iter().any(Vec::is_empty) {
                    return Err(problem("Subject", "must have no empty name"));
                }
            }
            Settings::Certificate(_) | Settings::Other { .. } => {}
        }
    }
    Ok(())
}

fn labels(profile: &ConfigurationProfile) -> Result<(), Problem> {
    let payloads = || profile.payloads.iter().map(|payload| &payload.label);
    let mut uuids = BTreeSet::new();
    for label in payloads().chain([&profile.label]) {
        if label.identifier.trim().is_empty() {
            return Err(Problem::EmptyIdentifier);
        }
        if !uuids.insert(label.uuid) {
            return Err(Problem::DuplicateUuid(label.uuid));
        }
    }
    let mut identifiers = BTreeSet::new();
    for label in payloads() {
        if !identifiers.insert(&label.identifier) {
            return Err(Problem::DuplicateIdentifier(label.identifier.clone()));
        }
    }
    Ok(())
}

fn management(mdm: &MdmPayload) -> Result<(), Problem> {
    let urls = [
        ("ServerURL", Some(&mdm.server_url)),
        ("CheckInURL", mdm.check_in_url.as_ref()),
    ];
    for (key, url) in urls {
        if let Some(url) = url.filter(|url| !is_url(url, "https://")) {
            let url = url.clone();
            return Err(Problem::Url { key, url });
        }
    }
    if mdm
        .topic
        .strip_prefix("com.apple.mgmt.")
        .is_none_or(str::is_empty)
    {
        return Err(Problem::Topic(mdm.topic.clone()));
    }
    match (mdm.enrollment_mode, mdm.access_rights) {
        (None, None) | (Some(EnrollmentMode::Byod), Some(_)) => return Err(Problem::Rights),
        _ => {}
    }
    if mdm.enrollment_mode.is_some() && mdm.assigned_account.is_none() {
        return Err(Problem::Account);
    }
    Ok(())
}

fn references(mdm: &MdmPayload, profile: &ConfigurationProfile) -> Result<(), Problem> {
    let has = |uuid: Uuid, fits: fn(&Settings) -> bool| {
        let mut payloads = profile.payloads.iter();
        payloads.any(|payload| payload.label.uuid == uuid && fits(&payload.settings))
    };
    let is_identity = |settings: &Settings| {
        let identities = [
            "com.apple.security.scep",
            "com.apple.security.pkcs12",
            "com.apple.security.acme",
        ];
        identities.contains(&settings.payload_type())
    };
    if !has(mdm.identity, is_identity) {
        return Err(Problem::Identity(mdm.identity));
    }
    for &pin in mdm.server_pins.iter().chain(&mdm.check_in_pins) {
        if !has(pin, |settings| {
            settings.payload_type().starts_with("com.apple.security.")
        }) {
            return Err(Problem::Pin(pin));
        }
    }
    Ok(())
}

fn is_url(url: &str, scheme: &str) -> bool {
    url.strip_prefix(scheme).is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}
