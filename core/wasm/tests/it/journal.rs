//! What goes into the log while something is done.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::instrument::WithSubscriber;

/// A log of its own.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<u8>>>);

impl Journal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        work.with_subscriber(subscriber).await
    }

    /// Those lines that say this.
    pub(crate) fn lines(&self, what: &str) -> Vec<String> {
        let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = written.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
