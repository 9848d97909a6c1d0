//! Programs of this workspace as processes of their own: found, started, watched, ended.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to get ready: debug builds on a busy machine are slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A binary of this workspace: beside the running program, or one level up from a test's.
///
/// # Panics
/// If it was not built; `cargo xtask test` and `cargo build --workspace --bins` do.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own path");
    let folder = own.parent().expect("a program is in a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// `PATH` for programs that start this workspace's by their names, as where it is installed.
///
/// # Panics
/// As [`binary`].
#[must_use]
pub fn installed_path() -> OsString {
    let mut folders = vec![binary("lanyard")];
    folders[0].pop();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("what was split can be joined")
}

/// A running program. What it says goes to a file; it is killed when this is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Where this run's part of the log begins.
    from: u64,
}

impl Process {
    /// Starts a program with its output in `log`, behind what is there already.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let from = file.metadata()?.len();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self {
            child,
            log: log.to_owned(),
            from,
        })
    }

    /// What it has said so far, in this run.
    #[must_use]
    pub fn said(&self) -> String {
        let mut said = Vec::new();
        // The runs before it may have said much. A log that cannot be read says nothing.
        let _ = File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.from))?;
            log.read_to_end(&mut said)
        });
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Errors
    /// It ended first, or took too long: with what it said.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "it ended with {status} before it said {text:?}:\n{}",
                    self.said()
                ));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "it did not say {text:?} within {} s:\n{said}",
                    PATIENCE.as_secs()
                ));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It took too long: with what it said.
    pub fn wait(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) => {
                    return Err(format!(
                        "it did not end within {} s:\n{}",
                        PATIENCE.as_secs(),
                        self.said()
                    ));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, as a crash would (SIGKILL).
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Polls until `check` gives something.
///
/// # Errors
/// It took too long; `what` says for what.
pub fn wait_until<T>(what: &str, check: impl FnMut() -> Option<T>) -> Result<T, String> {
    wait_within(PATIENCE, what, check)
}

/// The same with a patience of its own.
///
/// # Errors
/// It took too long; `what` says for what.
pub fn wait_within<T>(
    patience: Duration,
    what: &str,
    mut check: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {} s", patience.as_secs()));
        }
        thread::sleep(POLL);
    }
}
