//! The `openssl` command line: a second opinion on what we sign, encrypt and issue.

use std::{
    ffi::OsStr,
    io::Write as _,
    process::{Command, Stdio},
};

/// Runs `openssl` with these arguments and this standard input; what it writes to standard output.
///
/// # Errors
/// It is not there, or it does not agree: with what it said.
pub fn openssl(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &[u8],
) -> Result<Vec<u8>, String> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("openssl cannot be run: {error}"))?;
    let mut stdin = child.stdin.take().ok_or("openssl has no standard input")?;
    let input = input.to_vec();
    // In a thread of its own, or a full pipe on either side would stop both.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    let _ = writer.join();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
