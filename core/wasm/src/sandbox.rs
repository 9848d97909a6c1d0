//! What of WASI a plugin sees: a clock that stands still, random from the decision's seed, standard output into the log.
//! No file, no socket, no variable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lanyard_policy::Decision;
use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiView};

use crate::log::Log;

/// The WASI interfaces that a plugin may import; none of them reaches anything outside.
///
/// `wasi:filesystem` is among them because the standard library of Rust links it; there is no directory to open.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The most random bytes that one call gives: each is made by the host, and not paid for in fuel.
const MAX_RANDOM_BYTES: u64 = 4096;

/// Links [`INTERFACES`], and so nothing of `wasi:sockets` or `wasi:http`.
pub(crate) fn link<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    let l = linker;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    Ok(())
}

/// The WASI context of one decision.
pub(crate) fn context(decision: &Decision, log: &Arc<Log>) -> WasiCtx {
    builder(decision.at_ms, decision.seed)
        .stdout(StandardStream::new("stdout", log))
        .stderr(StandardStream::new("stderr", log))
        .build()
}

/// The WASI context of a program with tests: always of the same time and seed, with arguments, and heard on this process's own streams.
pub(crate) fn program(arguments: &[String]) -> WasiCtx {
    builder(1_750_000_000_000, [0; 32])
        .args(arguments)
        .inherit_stdout()
        .inherit_stderr()
        .build()
}

/// All five sources of time and randomness are fixed; the order of a guest's hash maps hangs on the last.
fn builder(at_ms: i64, seed: [u8; 32]) -> WasiCtxBuilder {
    let mut seeds = ChaCha20Rng::from_seed(seed);
    let mut ctx = WasiCtx::builder();
    ctx.wall_clock(StandingClock::at(at_ms))
        .monotonic_clock(StandingClock::at(0))
        .secure_random(ChaCha20Rng::from_rng(&mut seeds))
        .insecure_random(ChaCha20Rng::from_rng(&mut seeds))
        .insecure_random_seed(u128::from_le_bytes(first_half(&seed)))
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    ctx
}

fn first_half(seed: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| seed[i])
}

/// Always the same time: a plugin that measures how long something takes learns nothing.
struct StandingClock(Duration);

impl StandingClock {
    /// A time before the epoch, which WASI cannot express, becomes the epoch.
    fn at(ms: i64) -> Self {
        Self(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }
}

impl HostWallClock for StandingClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for StandingClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Standard output or standard error: lines for the log, always ready, cut off silently when the budget is spent, because
/// a plugin should not fail over a line nobody will read.
#[derive(Clone)]
struct StandardStream {
    name: &'static str,
    log: Arc<Log>,
}

impl StandardStream {
    fn new(name: &'static str, log: &Arc<Log>) -> Self {
        Self {
            name,
            log: Arc::clone(log),
        }
    }
}

impl IsTerminal for StandardStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StandardStream {
    /// Only WASI 0.3 asks for this one, and it is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for StandardStream {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for StandardStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.stream(self.name, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        // Also the most that `write-zeroes` makes the host allocate.
        Ok(4096)
    }
}
