//! `lanyard backup` and `lanyard restore`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Outcome, client::Client, print};
use crate::backup;

/// Standard input or output.
const STANDARD: &str = "-";

/// Writes a backup into a file that only its owner can read, and that is there only once it is whole.
pub(super) async fn make(client: &Client, file: &Path, with_database: bool) -> Outcome {
    let target = format!("/api/v1/backup?database={with_database}");
    if file == Path::new(STANDARD) {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err("a backup is no text: send it into a file or a pipe".into());
        }
        client.download(&target, &mut out).await?;
        return Ok(out.flush()?);
    }
    if file.exists() {
        return Err(format!("{} is there already: nothing was changed", file.display()).into());
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let unusable = |error: io::Error| format!("{} cannot be written: {error}", file.display());
    // The builder's own permissions: 0600.
    let mut unfinished = tempfile::NamedTempFile::new_in(folder).map_err(unusable)?;
    client.download(&target, &mut unfinished).await?;
    unfinished.as_file().sync_all().map_err(unusable)?;
    (unfinished.persist_noclobber(file)).map_err(|error| unusable(error.error))?;
    let what = if with_database {
        "database, configuration and keys"
    } else {
        "configuration and keys, and no database"
    };
    print(&format!(
        "{}: {what}. Whoever has it is the server: keep it as you keep the keys.",
        file.display()
    ))
}

pub(super) async fn restore(file: &Path, data: &Path) -> Outcome {
    let backup: Box<dyn Read> = if file == Path::new(STANDARD) {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file);
        Box::new(opened.map_err(|error| format!("{}: {error}", file.display()))?)
    };
    let restored = backup::restore(io::BufReader::new(backup), data).await?;
    let made_at = UNIX_EPOCH + Duration::from_secs(restored.made_at);
    let age = SystemTime::now()
        .duration_since(made_at)
        .unwrap_or_default();
    let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
    let data = data.display();
    let mut said = format!(
        "{data} is the server of {age} ago: {} files, whose digests, keys and certificates were looked at.",
        restored.files
    );
    for (named, kept) in &restored.outside {
        let (named, kept) = (named.display(), kept.display());
        said.push_str(&format!(
            "\n{named} was outside of the data directory: put {kept} there, or name it in lanyard.toml."
        ));
    }
    if !restored.has_database {
        said.push_str(
            "\nThe database was not in it: restore your dump with pg_restore, and let database.url name it.",
        );
    }
    said.push_str(&format!(
        "\nThe server that it was made of must not run any more. Next: `lanyard serve --data {data}`."
    ));
    print(&said)
}
