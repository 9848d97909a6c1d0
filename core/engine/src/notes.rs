//! What devices did that is worth a note and no write of its own: gathered in memory, written now and then.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use lanyard_store::SentNote;

/// Notes since the last write. A crash loses at most one interval of them, which nothing depends on: a command that was sent is
/// offered again until it is answered.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    seen: HashMap<String, SystemTime>,
    /// By enrollment and CommandUUID.
    sent: HashMap<(String, String), SystemTime>,
}

impl Notes {
    /// An enrollment was heard of.
    pub(crate) fn seen(&self, enrollment: &str, now: SystemTime) {
        let mut notes = self.lock();
        match notes.seen.get_mut(enrollment) {
            Some(at) => *at = now,
            None => {
                notes.seen.insert(enrollment.to_owned(), now);
            }
        }
    }

    /// A command was sent.
    pub(crate) fn sent(&self, enrollment: &str, uuid: &str, now: SystemTime) {
        let key = (enrollment.to_owned(), uuid.to_owned());
        self.lock().sent.insert(key, now);
    }

    /// When a command was sent that is answered now: its answer carries the note along.
    pub(crate) fn answered(&self, enrollment: &str, uuid: &str) -> Option<SystemTime> {
        let key = (enrollment.to_owned(), uuid.to_owned());
        self.lock().sent.remove(&key)
    }

    pub(crate) fn take_seen(&self) -> Vec<(String, SystemTime)> {
        std::mem::take(&mut self.lock().seen).into_iter().collect()
    }

    pub(crate) fn take_sent(&self) -> Vec<SentNote> {
        let sent = std::mem::take(&mut self.lock().sent);
        let note = |((enrollment_id, uuid), at)| SentNote {
            enrollment_id,
            uuid,
            at,
        };
        sent.into_iter().map(note).collect()
    }

    /// What could not be written is written the next time.
    pub(crate) fn put_back(&self, sent: Vec<SentNote>) {
        let mut notes = self.lock();
        for note in sent {
            let key = (note.enrollment_id, note.uuid);
            notes.sent.entry(key).or_insert(note.at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
