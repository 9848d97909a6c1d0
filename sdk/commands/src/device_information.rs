//! DeviceInformation.

mod answer;
mod query;

use plist::{Dictionary, Value};

pub use answer::{DeviceInformationAnswer, ServiceSubscription};
pub use query::Query;

use crate::fields::{Fields, put};
use crate::{AccessRights, CommandError};

/// Asks for facts about the device. Apple: "Device Information Command".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInformation {
    queries: Vec<Query>,
    attestation_nonce: Option<Vec<u8>>,
}

impl DeviceInformation {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "DeviceInformation";

    /// The most queries in one command. Apple's schema knows fewer, and states no limit.
    pub const MAX_QUERIES: usize = 128;

    /// The longest nonce for an attestation, in bytes (Apple: "Device Information Command", `DeviceAttestationNonce`).
    pub const MAX_NONCE: usize = 32;

    const QUERIES: &'static str = "an array of 1 to 128 strings";
    const NONCE: &'static str = "data of 1 to 32 bytes";

    /// The command for 1 to 128 queries; a query that is there twice is asked once.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] if there is none, or too many.
    pub fn new(queries: impl IntoIterator<Item = Query>) -> Result<Self, CommandError> {
        let mut distinct = Vec::new();
        for query in queries {
            if !distinct.contains(&query) {
                distinct.push(query);
            }
            if distinct.len() > Self::MAX_QUERIES {
                return Err(wrong("Queries", Self::QUERIES));
            }
        }
        if distinct.is_empty() {
            return Err(wrong("Queries", Self::QUERIES));
        }
        Ok(Self {
            queries: distinct,
            attestation_nonce: None,
        })
    }

    /// Adds the nonce that a fresh `DevicePropertiesAttestation` is to carry, 1 to 32 bytes (iOS 16, macOS 14, tvOS 16). A
    /// device makes a new attestation at most every 7 days and answers with the last one, old nonce included, until then.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] for another length.
    pub fn with_attestation_nonce(
        mut self,
        nonce: impl Into<Vec<u8>>,
    ) -> Result<Self, CommandError> {
        let nonce = nonce.into();
        if !(1..=Self::MAX_NONCE).contains(&nonce.len()) {
            return Err(wrong("DeviceAttestationNonce", Self::NONCE));
        }
        self.attestation_nonce = Some(nonce);
        Ok(self)
    }

    /// What is asked: 1 to 128 queries, each once.
    #[must_use]
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The nonce for an attestation.
    #[must_use]
    pub fn attestation_nonce(&self) -> Option<&[u8]> {
        self.attestation_nonce.as_deref()
    }

    /// All rights that the queries take together. A device leaves out what the enrollment has no right to.
    #[must_use]
    pub fn rights(&self) -> AccessRights {
        let each = self.queries.iter().map(Query::right);
        each.fold(AccessRights::NONE, |all, right| all | right)
    }

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        let names = self.queries.iter().map(|query| query.name().into());
        dictionary.insert("Queries".to_owned(), Value::Array(names.collect()));
        let nonce = self.attestation_nonce.clone().map(Value::Data);
        put(dictionary, "DeviceAttestationNonce", nonce);
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        let queries = fields.array("Queries", Self::QUERIES)?;
        let queries = fields.required("Queries", Self::QUERIES, queries)?;
        let queries: Vec<_> = queries
            .iter()
            .map(|value| {
                let name = value.as_string();
                let name = name.ok_or_else(|| wrong("Queries", Self::QUERIES))?;
                Query::named(name.to_owned())
            })
            .collect::<Result<_, _>>()?;
        let command = Self::new(queries)?;
        match fields.data("DeviceAttestationNonce", Self::NONCE)? {
            Some(nonce) => command.with_attestation_nonce(nonce),
            None => Ok(command),
        }
    }
}

fn wrong(key: &'static str, expected: &'static str) -> CommandError {
    CommandError::Wrong {
        request_type: DeviceInformation::REQUEST_TYPE,
        key,
        expected,
    }
}
