//! `lanyard doctor`: what is well, what is not, and what mends it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use lanyard_tests::site::Site;
use serde_json::Value;

use super::{PASSWORD, refuses};

/// What is found, whatever the exit status.
fn examined(site: &Site) -> Vec<Value> {
    let mut command = std::process::Command::new(lanyard_tests::process::binary("lanyard"));
    command
        .args(["doctor", "--json", "--data"])
        .arg(site.data());
    let output = command.output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let fails = findings.iter().any(|found| found["level"] == "fail");
    assert_eq!(output.status.success(), !fails, "{findings:#?}");
    findings
}

fn found<'a>(findings: &'a [Value], what: &str) -> &'a Value {
    let mut findings = findings.iter();
    let found = findings.find(|found| found["what"] == what);
    found.unwrap_or_else(|| panic!("nothing is said of {what}"))
}

#[track_caller]
fn is(findings: &[Value], what: &str, level: &str, parts: &[&str]) {
    let found = found(findings, what);
    assert_eq!(found["level"], level, "{found}");
    let text = format!("{} {}", found["said"], found["fix"]);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {found}");
    }
    // Whatever is not well comes with what mends it.
    assert_eq!(found["fix"].is_string(), level != "ok", "{found}");
}

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_server_lacks_a_push_certificate_and_is_told_how_to_get_one() {
    let site = Site::temporary(&[]).unwrap();
    refuses(&site, &["doctor"], &["one thing does not work"]);
    let findings = examined(&site);
    is(
        &findings,
        "push certificate",
        "fail",
        &["nobody can enroll", "lanyard apns csr"],
    );
    is(&findings, "server", "warn", &["lanyard serve --data"]);
    is(
        &findings,
        "TLS certificate",
        "ok",
        &["complete", "localhost"],
    );
    is(&findings, "TLS certificate's end", "ok", &["days"]);
    is(
        &findings,
        "database",
        "ok",
        &["when the server first starts"],
    );
    is(
        &findings,
        "public name",
        "warn",
        &["localhost", "--name mdm.example.com"],
    );
    is(&findings, "clock", "ok", &[]);
    is(&findings, "data directory", "ok", &[]);
}

#[test]
fn everything_in_order_is_said_to_be() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    let said = site.apns().unwrap().clone();
    site.configure(&format!(
        "[push]\ncertificate = \"{}\"\nhost = \"localhost\"\nport = {}\nroots = \"{}\"\n",
        said.push_certificate.display(),
        said.push_address.port(),
        said.ca.display()
    ))
    .unwrap();
    let toml = site.data().join("lanyard.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let listen = site.address().to_string();
    fs::write(&toml, text.replace("127.0.0.1:8443", &listen)).unwrap();
    site.start_server().unwrap();
    is(&examined(&site), "persons", "warn", &["lanyard user add"]);
    site.add_user(PASSWORD).unwrap();
    let findings = examined(&site);
    for what in [
        "configuration",
        "sealing keys",
        "SCEP authority",
        "profile signing",
        "TLS certificate",
        "push certificate",
        "push certificate's end",
        "server",
        "database",
        "persons",
        "devices' identities",
        "push topic",
        "TLS from here",
        "APNs",
    ] {
        is(&findings, what, "ok", &[]);
    }
    let said = site.lanyard(&["doctor"]).unwrap();
    assert!(
        said.lines()
            .any(|line| line.starts_with("ok    push certificate")),
        "{said}"
    );
}

#[test]
fn what_is_wrong_is_found_with_what_mends_it() {
    let site = Site::temporary(&[]).unwrap();
    let data = site.data();
    let toml = data.join("lanyard.toml");
    let right = fs::read_to_string(&toml).unwrap();
    let configured = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        fs::write(&toml, right.replace(from, to)).unwrap();
        let findings = examined(&site);
        fs::write(&toml, &right).unwrap();
        findings
    };
    set_mode(&data.join("sealing.key"), 0o644);
    is(&examined(&site), "sealing keys", "fail", &["chmod 600"]);
    set_mode(&data.join("sealing.key"), 0o600);

    set_mode(&data.join("authority/ca.key"), 0o640);
    is(
        &examined(&site),
        "SCEP authority",
        "fail",
        &["ca.key", "chmod 600"],
    );
    set_mode(&data.join("authority/ca.key"), 0o600);

    set_mode(&data, 0o755);
    is(&examined(&site), "data directory", "warn", &["chmod 700"]);
    set_mode(&data, 0o700);

    let findings = configured("[server]", "[sever]");
    assert_eq!(findings.len(), 1);
    is(&findings, "configuration", "fail", &["sever"]);
    let findings = configured("name = \"localhost\"", "name = \"mdm.example.com\"");
    is(
        &findings,
        "TLS certificate",
        "fail",
        &["is not for mdm.example.com"],
    );
    let findings = configured("anchor = ", "# anchor = ");
    is(
        &findings,
        "TLS certificate",
        "fail",
        &["nobody whom devices trust", "fullchain.pem"],
    );
    is(&findings, "TLS certificate's life", "fail", &["398"]);
    let findings = configured(
        "[enrollment]",
        "[push]\ncertificate = \"none.pem\"\n[enrollment]",
    );
    is(
        &findings,
        "push certificate",
        "fail",
        &["none.pem", "lanyard apns import"],
    );
    let text = "[database]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n[enrollment]";
    let findings = configured("[enrollment]", text);
    is(
        &findings,
        "database",
        "fail",
        &["postgres://nobody@127.0.0.1:1/none"],
    );
}
