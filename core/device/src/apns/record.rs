//! The record: evidence of every registration, push and delivery, one JSON object a line.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::exchange::milliseconds;
use super::tokens::append_line;
use crate::file;

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// What happened.
    pub event: Event,
    /// The first eight digits of the device token, where there is one.
    pub token: String,
    /// The device, where the token is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub udid: Option<String>,
    /// `apns-id` of the notification concerned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub apns_id: Option<String>,
    /// Why a push was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// What happened. The push magic is never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A device connected and has its token.
    Registered,
    /// A device gave its token up.
    Unregistered,
    /// A push was accepted, and the device is connected.
    Accepted,
    /// A push was accepted and is kept for a device that is away.
    Stored,
    /// A push was accepted, the device is away, and the push was not to be kept.
    Dropped,
    /// A push was refused.
    Refused,
    /// A device confirmed a notification.
    Delivered,
}

pub(super) struct Record(Mutex<File>);

impl Record {
    pub(super) fn open(path: &Path) -> io::Result<Record> {
        Ok(Record(Mutex::new(file::append(path)?)))
    }

    /// Writes one entry. A record that cannot be written is a lost piece of evidence and no reason to stop.
    pub(super) fn write(&self, entry: &Entry) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = append_line(&mut file, entry) {
            tracing::error!(%error, "the record of the simulated APNs cannot be written");
        }
    }
}

impl Entry {
    pub(super) fn new(event: Event, token: &str, at: SystemTime) -> Entry {
        Entry {
            at: milliseconds(at),
            event,
            token: token.chars().take(8).collect(),
            udid: None,
            apns_id: None,
            reason: None,
        }
    }
}
