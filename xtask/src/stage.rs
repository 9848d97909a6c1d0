//! Numbered stages, and how a task ends that does not succeed.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Why a task did not succeed, and the exit status that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    pub(crate) status: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: 1,
        }
    }

    pub(crate) fn of_command(command: &Command, status: ExitStatus) -> Self {
        Self {
            message: format!("{} ended with {status}", shown(command)),
            status: status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        }
    }

    pub(crate) fn of_start(command: &Command, error: &std::io::Error) -> Self {
        Self::new(format!("{} did not start: {error}", shown(command)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A numbered step of a task. Stages speak on standard error: standard output belongs to the program that is run.
pub(crate) struct Stage {
    number: u32,
    began: Instant,
}

impl Stage {
    pub(crate) fn begin(what: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        eprintln!("[{number}] {what}");
        Self {
            number,
            began: Instant::now(),
        }
    }

    pub(crate) fn done(self) {
        eprintln!("[{}] done in {}", self.number, spoken(self.began.elapsed()));
    }
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    format!("`{}`", words.join(" "))
}

fn spoken(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (505, "8 min 25 s"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), text);
        }
    }
}
