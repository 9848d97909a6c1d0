//! The data directory: who may read what, whether keys belong to their certificates, and the time that its files tell.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use super::{Report, causes};
use crate::{assembly, configuration::Configuration, secrets};

/// Clocks of machines that share a disk may differ by that much.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

pub(super) fn examine(report: &mut Report, configuration: &Configuration) {
    folder(report, configuration);
    keys(report, configuration);
    clock(report, configuration);
}

fn folder(report: &mut Report, configuration: &Configuration) {
    const WHAT: &str = "data directory";
    let folder = configuration.data();
    let shown = folder.display();
    match fs::metadata(folder).map(|found| found.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 == 0 => report.ok(WHAT, format!("{shown} is its owner's alone")),
        Ok(mode) => report.warn(
            WHAT,
            format!("{shown}: others than its owner may look into it (mode {mode:o})"),
            format!("chmod 700 {shown}"),
        ),
        Err(error) => report.fail(WHAT, format!("{shown}: {error}"), "check --data"),
    }
}

fn keys(report: &mut Report, configuration: &Configuration) {
    let file = configuration.path(&configuration.server.sealing_key);
    let sealing = match secrets::key_ring(&file) {
        Ok(sealing) => sealing,
        Err(error) => {
            let fix = "restore the sealing keys from a backup, or mend its mode: nothing that is stored can be read without it";
            return report.fail("sealing keys", causes(&error), fix);
        }
    };
    report.ok("sealing keys", file.display().to_string());
    match assembly::scep_endpoint(configuration, &sealing) {
        Ok(_) => report.ok(
            "SCEP authority",
            "its files can be read, and keys and certificates belong together",
        ),
        Err(error) => report.fail(
            "SCEP authority",
            causes(&error),
            "mend the file that it names; `[scep]` in lanyard.toml says which ones there are",
        ),
    }
    match assembly::profile_signer(configuration, &sealing) {
        Ok(_) => report.ok("profile signing", "key and certificate belong together"),
        Err(error) => report.fail(
            "profile signing",
            causes(&error),
            "mend the file that it names; `[signing]` in lanyard.toml says which ones there are",
        ),
    }
    if let Err(error) = assembly::factory_trust(configuration) {
        report.fail(
            "factory authorities",
            causes(&error),
            "mend the file that it names; `[enrollment]` in lanyard.toml says which ones there are",
        );
    }
}

/// Nothing here knows what time it is; files from the future tell that the clock was set back.
fn clock(report: &mut Report, configuration: &Configuration) {
    const WHAT: &str = "clock";
    let now = SystemTime::now();
    let shown = humantime::format_rfc3339_seconds(now);
    let entries = fs::read_dir(configuration.data()).into_iter().flatten();
    let changed = entries.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok());
    match changed.max() {
        Some(latest) if latest > now + CLOCK_TOLERANCE => report.fail(
            WHAT,
            format!(
                "it is {shown} here, and a file was written at {}",
                humantime::format_rfc3339_seconds(latest)
            ),
            "set the clock: `timedatectl set-ntp true`",
        ),
        _ => report.ok(WHAT, format!("it is {shown}, as far as this machine knows")),
    }
}
