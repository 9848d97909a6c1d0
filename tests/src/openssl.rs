//! The `openssl` command line: a second opinion on what we sign, encrypt and issue.

use std::{
    ffi::OsStr,
    io::Write as _,
    path::Path,
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

/// Makes an authority (`ca.pem`, `ca.key`) and a certificate of it for `localhost` (`server.pem`, `server.key`) in this folder.
///
/// # Panics
/// If `openssl` is not there, or does not do it: with what it said.
pub fn make_certificates(at: &Path) {
    let path = |name: &str| at.join(name).display().to_string();
    let new_key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let authority = [
        ["-subj", "/CN=Private CA"],
        ["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    ];
    let run = |arguments: Vec<String>| {
        openssl(arguments, &[]).unwrap_or_else(|error| panic!("openssl: {error}"));
    };
    let words =
        |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let mut ca = words(&["req", "-x509"]);
    ca.extend(words(&new_key));
    ca.extend(words(authority.as_flattened()));
    ca.extend([
        "-keyout".into(),
        path("ca.key"),
        "-out".into(),
        path("ca.pem"),
    ]);
    run(ca);
    let mut server = words(&["req", "-x509"]);
    server.extend(words(&new_key));
    server.extend(words(&[
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]));
    server.extend([
        "-CA".into(),
        path("ca.pem"),
        "-CAkey".into(),
        path("ca.key"),
    ]);
    server.extend([
        "-keyout".into(),
        path("server.key"),
        "-out".into(),
        path("server.pem"),
    ]);
    run(server);
}
