//! `lanyard init`, and a command line without a server.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use lanyard_tests::site::Site;

use super::{refuses, running};

/// Every file below a folder with its content.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_secrets_for_their_owner_alone_and_never_over_others() {
    let site = Site::temporary(&[]).unwrap();
    let data = site.data();
    let before = content(&data);
    refuses(
        &site,
        &["init"],
        &["holds a server already: nothing was changed"],
    );
    refuses(
        &site,
        &["init", "--scep", "split-ra"],
        &["nothing was changed"],
    );
    assert_eq!(content(&data), before);
    for folder in ["", "authority", "server"] {
        assert_eq!(mode(&data.join(folder)), 0o700, "{folder}");
    }
    for (file, content) in &before {
        let is_secret = file.ends_with(".key");
        assert_eq!(
            mode(Path::new(file)),
            if is_secret { 0o600 } else { 0o644 },
            "{file}"
        );
        let is_clear = content.starts_with(b"-----BEGIN PRIVATE KEY");
        assert_eq!(
            is_clear,
            file.ends_with("tls.key"),
            "{file}: all others are sealed"
        );
    }
}

#[test]
fn init_refuses_what_could_not_work_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let lanyard = |arguments: &[&str]| {
        let mut command = std::process::Command::new(lanyard_tests::process::binary("lanyard"));
        lanyard_tests::site::run(command.args(arguments).arg("--data").arg(&data)).unwrap_err()
    };
    let said = lanyard(&["init", "--scep", "ca-only"]);
    assert!(
        said.contains("--scep ca-only needs --ca-key rsa-2048"),
        "{said}"
    );
    let said = lanyard(&["init", "--name", "https://mdm.example.com/"]);
    assert!(
        said.contains("a host name such as mdm.example.com"),
        "{said}"
    );
    assert!(!data.exists());
}

/// A folder with a TLS certificate for localhost, and what `lanyard init` makes of these arguments.
fn init(arguments: &[&str]) -> (tempfile::TempDir, Result<String, String>) {
    let folder = tempfile::tempdir().unwrap();
    lanyard_tests::openssl::make_certificates(folder.path());
    let mut command = std::process::Command::new(lanyard_tests::process::binary("lanyard"));
    command.current_dir(folder.path());
    let said = lanyard_tests::site::run(command.arg("init").args(arguments));
    (folder, said)
}

#[test]
fn init_makes_what_the_name_and_its_certificate_need() {
    let configured = |arguments: &[&str]| {
        let (folder, said) = init(arguments);
        said.unwrap();
        let text = fs::read_to_string(folder.path().join("data/lanyard.toml")).unwrap();
        (folder, text)
    };
    let (folder, text) = configured(&["--name", "mdm.example.com"]);
    assert!(text.contains("listen = \"0.0.0.0:443\""), "{text}");
    assert!(text.contains("anchor = \"server/root.pem\""), "{text}");
    assert!(folder.path().join("data/server/tls.key").exists());

    let files = ["--tls-certificate", "server.pem", "--tls-key", "server.key"];
    let (folder, text) = configured(&files);
    let named = format!(
        "certificate = \"{}\"",
        folder.path().join("server.pem").display()
    );
    assert!(text.contains(&named) && !text.contains("anchor"), "{text}");
    assert!(!folder.path().join("data/server/tls.key").exists());

    let proxies = [
        "--name",
        "mdm.example.com",
        "--behind-proxy",
        "192.0.2.7,10.0.0.0/8",
    ];
    let (_, text) = configured(&proxies);
    assert!(text.contains("mode = \"proxy\""), "{text}");
    assert!(text.contains("[\"192.0.2.7\", \"10.0.0.0/8\"]"), "{text}");

    for (arguments, part) in [
        (
            [&["--name", "mdm.example.com"][..], &files].concat(),
            "is not for mdm.example.com",
        ),
        (
            vec!["--tls-certificate", "server.pem", "--tls-key", "ca.key"],
            "server.pem",
        ),
        (vec!["--tls-certificate", "server.pem"], "--tls-key"),
        (vec!["--behind-proxy", "proxy.example"], "proxy.example"),
    ] {
        let (folder, said) = init(&arguments);
        let said = said.unwrap_err();
        assert!(said.contains(part), "{part:?} is not in {said}");
        assert!(!folder.path().join("data").exists(), "{arguments:?}");
    }
}

#[test]
fn without_a_server_the_command_line_says_how_to_start_it() {
    let site = Site::temporary(&[]).unwrap();
    let file = site.password_file("correct horse battery").unwrap();
    let add = [
        "user",
        "add",
        "ada",
        "--password-file",
        file.to_str().unwrap(),
    ];
    for arguments in [
        &add[..],
        &["user", "list"],
        &["device", "list"],
        &["command", "send", "UDID", "ProfileList"],
        &["push", "UDID"],
    ] {
        refuses(
            &site,
            arguments,
            &["admin.sock", "is the server running? `lanyard serve --data"],
        );
    }
    fs::remove_file(site.data().join("lanyard.toml")).unwrap();
    refuses(
        &site,
        &["user", "list"],
        &["lanyard.toml", "`lanyard init --data"],
    );
}

#[test]
fn the_socket_is_its_owners() {
    let site = running();
    let files: &[_] = if site.database_url().starts_with("sqlite:") {
        &["admin.sock", "lanyard.db", "lanyard.db-wal"]
    } else {
        &["admin.sock"]
    };
    for file in files {
        assert_eq!(mode(&site.data().join(file)), 0o600, "{file}");
    }
}
