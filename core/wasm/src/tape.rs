//! Between a plugin and what answers it from outside: every such answer is written down, and a decision that is made again gets its
//! answers from what was written down.

use lanyard_policy::{HookFailure, HostCall, Tape};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::state::CallState;

/// How much of the host's answers a record keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// The answers themselves: the decision can be made again.
    #[default]
    Full,
    /// Their digests: it can be seen whether an answer was another, and not what it was.
    Digest,
}

/// Most octets of answers that one call's record keeps. The plugin's memory is limited, and this is the host's.
const MOST_BYTES: usize = 8 << 20;

/// The calls of one call's plugin, and where their answers come from.
pub(crate) struct Taping {
    pub(crate) made: Vec<HostCall>,
    bytes: usize,
    recording: Recording,
    replaying: Option<Tape>,
}

impl Taping {
    pub(crate) fn new(recording: Recording, replaying: Option<Tape>) -> Self {
        Self {
            made: Vec::new(),
            bytes: 0,
            recording,
            replaying,
        }
    }

    /// Writes down what was answered, as far as a record keeps it.
    fn write(
        &mut self,
        function: &str,
        arguments: String,
        answer: String,
    ) -> Result<(), HookFailure> {
        if self.recording == Recording::Full {
            self.bytes = self.bytes.saturating_add(answer.len());
            if self.bytes > MOST_BYTES {
                return Err(HookFailure::HostCallLimit {
                    what: "recorded-bytes".to_owned(),
                    limit: MOST_BYTES as u64,
                });
            }
        }
        self.made.push(HostCall {
            function: function.to_owned(),
            arguments,
            answer_sha256: sha256(answer.as_bytes()),
            answer: (self.recording == Recording::Full).then_some(answer),
        });
        Ok(())
    }
}

impl CallState {
    /// Whether the decision is made again.
    pub(crate) fn is_replaying(&self) -> bool {
        self.taping.replaying.is_some()
    }

    /// The answer to one call: that of the record, if the decision is made again; else that of `perform`, which is written down.
    ///
    /// A secret among the arguments is named by its handle and never by its text.
    pub(crate) async fn taped<A: Serialize + DeserializeOwned>(
        &mut self,
        function: &str,
        arguments: &impl Serialize,
        perform: impl Future<Output = wasmtime::Result<A>>,
    ) -> wasmtime::Result<A> {
        let arguments = sha256(&serde_json::to_vec(arguments)?);
        let undetermined = || {
            wasmtime::Error::new(HookFailure::Undetermined {
                needs: function.to_owned(),
            })
        };
        let Some(tape) = &self.taping.replaying else {
            let answer = perform.await?;
            let written = serde_json::to_string(&answer)?;
            let kept = self.taping.write(function, arguments, written);
            return kept.map(|()| answer).map_err(wasmtime::Error::new);
        };
        let recorded = tape.play(function, &arguments).ok_or_else(undetermined)?;
        let answer = recorded.answer.as_deref().ok_or_else(undetermined)?;
        // Whoever altered the record made it another one: its digest is that of what is answered now.
        let answer_sha256 = sha256(answer.as_bytes());
        let read = serde_json::from_str(answer).map_err(|_| undetermined())?;
        self.taping.made.push(HostCall {
            answer_sha256,
            ..recorded
        });
        Ok(read)
    }
}

/// As records write it: 64 lower-case hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_eight_mebibytes_of_answers_and_any_number_of_digests() {
        let write = |taping: &mut Taping, bytes: usize| {
            taping.write("http.send", sha256(b"arguments"), "a".repeat(bytes))
        };
        let mut full = Taping::new(Recording::Full, None);
        for _ in 0..8 {
            assert_eq!(write(&mut full, 1 << 20), Ok(()));
        }
        let what = "recorded-bytes".to_owned();
        let limit = 8 << 20;
        let over = Err(HookFailure::HostCallLimit { what, limit });
        assert_eq!(write(&mut full, 1), over);
        assert_eq!(full.made.len(), 8);
        let mut digests = Taping::new(Recording::Digest, None);
        for _ in 0..9 {
            assert_eq!(write(&mut digests, 1 << 20), Ok(()));
        }
        assert!(digests.made.iter().all(|call| call.answer.is_none()));
    }
}
