//! A PostgreSQL of our own for tests and measurements: in a folder of its own, on a free port of loopback, ended and removed with the
//! task that it was started for.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stage::Failure;

/// Names the server to those who make databases on it: `postgres://lanyard@127.0.0.1:PORT/postgres`.
pub(crate) const OF_TESTS: &str = "LANYARD_TEST_POSTGRES";

/// The same for one that is measured.
pub(crate) const MEASURED: &str = "LANYARD_BENCH_POSTGRES";

/// Where Debian puts the server's programs, by version, and off `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Who it runs as where we are root, which it refuses to be: `nobody`.
const NOBODY: u32 = 65_534;

/// Lines of its log.
const LAST_WORDS: usize = 30;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Postgres {
    child: Child,
    folder: PathBuf,
    /// Whether we are.
    is_root: bool,
    port: u16,
}

impl Postgres {
    /// Starts one. It is `durable` if what it measures is: otherwise it leaves writing to the operating system, which outlives
    /// everything that a test kills.
    pub(crate) fn start(durable: bool) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("lanyard-postgres-{}", std::process::id()));
        let failed = |error: std::io::Error| {
            Failure::new(format!(
                "no folder for PostgreSQL, {}: {error}",
                folder.display()
            ))
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        let is_root = fs::metadata(&folder).map_err(failed)?.uid() == 0;
        if is_root {
            chown(&folder, Some(NOBODY), Some(NOBODY)).map_err(failed)?;
        }
        let data = folder.join("data");
        let mut initdb = program("initdb", &folder, is_root);
        initdb
            .args(["--username=lanyard", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data);
        let made = initdb
            .output()
            .map_err(|error| Failure::of_start(&initdb, &error))?;
        if !made.status.success() {
            eprint!("{}", String::from_utf8_lossy(&made.stderr));
            return Err(Failure::of_command(&initdb, made.status));
        }
        let port = free_port().map_err(failed)?;
        let mut postgres = program("postgres", &folder, is_root);
        postgres
            .arg("-D")
            .arg(&data)
            .arg("-p")
            .arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // Several nodes in each of several tests at once.
            "max_connections=400",
            "autovacuum_naptime=10s",
            // No standby reads it.
            "wal_level=minimal",
            "max_wal_senders=0",
        ] {
            postgres.args(["-c", setting]);
        }
        if !durable {
            postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
            postgres.args(["-c", "max_wal_size=128MB"]);
        }
        let log = fs::File::create(folder.join("log")).map_err(failed)?;
        postgres
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        let child = postgres
            .spawn()
            .map_err(|error| Failure::of_start(&postgres, &error))?;
        let mut server = Self {
            child,
            folder,
            is_root,
            port,
        };
        server.wait()?;
        Ok(server)
    }

    /// Its URL, for [`OF_TESTS`] or [`MEASURED`].
    pub(crate) fn url(&self) -> String {
        format!("postgres://lanyard@127.0.0.1:{}/postgres", self.port)
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > until {
                return Err(Failure::new(format!(
                    "PostgreSQL does not answer:\n{}",
                    self.last_words()
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What needed it has failed by now, and cannot tell why.
        if let Ok(Some(status)) = self.child.try_wait() {
            eprintln!(
                "PostgreSQL ended by itself, with {status}:\n{}",
                self.last_words()
            );
            let _ = fs::remove_dir_all(&self.folder);
            return;
        }
        // Killed outright, it would leave a piece of shared memory behind.
        let mut stop = program("pg_ctl", &self.folder, self.is_root);
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]);
        let stopped = stop.arg(self.folder.join("data")).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn program(name: &str, folder: &Path, is_root: bool) -> Command {
    let mut command = Command::new(programs().join(name));
    command.current_dir(folder).stdin(Stdio::null());
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Whether there is one to start.
pub(crate) fn is_there() -> bool {
    ["postgres", "initdb"].iter().all(|name| {
        Command::new(programs().join(name))
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// The folder of the newest version; empty where the programs are on `PATH`, or nowhere.
fn programs() -> PathBuf {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| program_of(*version).exists())
        .max();
    newest
        .map(|version| Path::new(DEBIAN).join(format!("{version}/bin")))
        .unwrap_or_default()
}

fn program_of(version: u32) -> PathBuf {
    Path::new(DEBIAN).join(format!("{version}/bin/postgres"))
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
