//! What an operator sets. `settings.schema.json` says the same for editors.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_sdk::{Patterns, RaQuestion};
use serde::Deserialize;

/// The smallest RSA key that is allowed where nothing else is said, in bits.
const RSA_BITS: u32 = 2048;
/// The longest cap that is taken for meant, in days: nothing of ours is issued for longer.
const LONGEST_DAYS: u32 = 3650;
const DAY_SECONDS: u64 = 24 * 3600;

/// What an operator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Purposes for which no challenge is needed. Default: none, every request has to hold one.
    #[serde(default)]
    pub(crate) without_challenge: BTreeSet<String>,
    /// What the attributes of the requested subject must be: `{ "O": ["Example"] }`. Each that is named must be there.
    #[serde(default)]
    pub(crate) subject: BTreeMap<String, Patterns>,
    /// Which keys are allowed. Default: RSA from 2048 bits, and elliptic curves.
    #[serde(default = "usual_keys")]
    pub(crate) keys: Vec<Key>,
    /// Which subject alternative names may be asked for, each with its kind: `dns:*.example.com`. Default: any, since none is issued.
    #[serde(default)]
    pub(crate) names: Option<Patterns>,
    /// How long certificates are valid at most, in days.
    validity_days: Option<u32>,
    /// Of the key usages, only these.
    key_usages: Option<BTreeSet<KeyUsage>>,
    /// What waits for an operator.
    #[serde(default)]
    pub(crate) manual_approval: Vec<Manual>,
}

/// A kind of key that is allowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// `rsa`, `ec`, or an object identifier.
    #[serde(rename = "type")]
    kind: String,
    /// The smallest that is allowed.
    min_bits: Option<u32>,
}

impl Key {
    pub(crate) fn fits(&self, kind: &str, bits: u32) -> bool {
        self.kind == kind && self.min_bits.is_none_or(|least| bits >= least)
    }
}

fn usual_keys() -> Vec<Key> {
    let key = |kind: &str, min_bits| Key {
        kind: kind.to_owned(),
        min_bits,
    };
    vec![key("rsa", Some(RSA_BITS)), key("ec", None)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyUsage {
    DigitalSignature,
    KeyEncipherment,
}

impl KeyUsage {
    fn as_str(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital-signature",
            Self::KeyEncipherment => "key-encipherment",
        }
    }
}

/// Requests that wait for an operator: those that fit everything that is said here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manual {
    /// Its name, for the operator who is asked.
    pub(crate) name: String,
    /// `ota-interim`, `identity`, `renewal`, `other`.
    purpose: Option<Patterns>,
    /// What the device says it is: `iPad*`.
    product: Option<Patterns>,
    /// What the directory says about the person: `{ "groups": ["contractors"] }`.
    #[serde(default)]
    person: BTreeMap<String, Patterns>,
    /// What enrollment-approval set: `{ "tier": ["high"] }`.
    #[serde(default)]
    setting: BTreeMap<String, Patterns>,
    /// A sentence for the person.
    message: Option<String>,
}

impl Manual {
    pub(crate) fn fits(&self, question: &RaQuestion) -> bool {
        let device = question.device.as_ref();
        let facts = device.map_or(&[][..], |device| &device.facts);
        let person = question.person.as_ref();
        let attributes = person.map_or(&[][..], |person| &person.attributes);
        let of_purpose = |patterns: &Patterns| patterns.match_text(&question.purpose);
        self.purpose.as_ref().is_none_or(of_purpose)
            && (self.product.as_ref()).is_none_or(|product| product.match_fact(facts, "product"))
            && (self.person.iter()).all(|(name, values)| values.match_attribute(attributes, name))
            && (self.setting.iter())
                .all(|(name, values)| values.match_fact(facts, &format!("setting.{name}")))
    }

    pub(crate) fn message(&self) -> &str {
        let usual = "Somebody has to approve this certificate first.";
        self.message.as_deref().unwrap_or(usual)
    }

    fn says_nothing(&self) -> bool {
        let Self {
            purpose,
            product,
            person,
            setting,
            ..
        } = self;
        purpose.is_none() && product.is_none() && person.is_empty() && setting.is_empty()
    }
}

impl Settings {
    /// What is wrong, and what would be right.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.keys.is_empty() {
            return Err("keys is empty, so that no request could be approved: name a type, or leave keys out".to_owned());
        }
        if let Some(days) = self.validity_days
            && !(1..=LONGEST_DAYS).contains(&days)
        {
            return Err(format!(
                "validity_days is {days}; 1 to {LONGEST_DAYS} are right"
            ));
        }
        if self.key_usages.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err("key_usages is empty, and a certificate without any is good for everything: name digital-signature or key-encipherment, or leave it out".to_owned());
        }
        for rule in &self.manual_approval {
            if rule.name.is_empty() || rule.name.len() > 64 || rule.name.contains(char::is_control)
            {
                return Err("a rule of manual_approval has a name of 1 to 64 bytes".to_owned());
            }
            if rule.says_nothing() {
                return Err(format!(
                    "manual_approval {:?} has no condition: write `\"purpose\": [\"*\"]` if everything is to wait",
                    rule.name
                ));
            }
            if rule.message().len() > 1024 || rule.message().contains(char::is_control) {
                return Err(format!(
                    "manual_approval {:?}: the message is one line of at most 1,024 bytes",
                    rule.name
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn validity_seconds(&self) -> Option<u64> {
        self.validity_days.map(|days| u64::from(days) * DAY_SECONDS)
    }

    pub(crate) fn key_usages(&self) -> Option<Vec<String>> {
        let usages = self.key_usages.as_ref()?.iter();
        Some(usages.map(|usage| usage.as_str().to_owned()).collect())
    }
}
