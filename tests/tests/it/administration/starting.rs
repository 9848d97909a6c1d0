//! `lanyard serve` with something wrong: it ends with status 1 and says what would be right.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::SystemTime};

use lanyard_device::apns::PushAuthority;
use lanyard_pki::seal::SealingKey;
use lanyard_tests::{
    process::{Process, binary},
    site::Site,
};

use super::{enroll, running};

fn stopped() -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site
}

fn does_not_start(site: &mut Site, parts: &[&str]) {
    let said = site.start_server().unwrap_err();
    assert!(said.contains("ended with exit status: 1"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_key_and_what_is_right() {
    let mut site = stopped();
    let toml = site.data().join("lanyard.toml");
    let right = fs::read_to_string(&toml).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        right.replace(from, to)
    };
    for (wrong, parts) in [
        ("[server".to_owned(), &["line 1"][..]),
        (
            replaced("organization =", "organisation ="),
            &["organisation", "expected", "organization"],
        ),
        (
            replaced("name = \"localhost\"", "name = \"https://x\""),
            &["server.name", "mdm.example.com"],
        ),
        (
            replaced("mode = \"one-ra\"", "mode = \"both\""),
            &["both", "ca-only", "one-ra", "split-ra"],
        ),
        (
            replaced("device_ca = \"record\"", "device_ca = \"yes\""),
            &["yes", "record", "require"],
        ),
        (
            right.clone() + "\n[enrolment]\n",
            &["enrolment", "enrollment"],
        ),
        (
            right.clone() + "\n[limits]\nscep_bytes = 10\n",
            &["limits.scep_bytes", "8192"],
        ),
        (
            right.clone() + "\n[ldap.corp]\nurl = \"ldap://localhost\"\n",
            &["ldap.corp", "missing field", "base"],
        ),
        (
            right.clone() + "\n[credentials.api]\nscheme = \"digest\"\n",
            &["digest", "bearer", "basic", "header"],
        ),
        (
            right.clone()
                + "\n[credentials.api]\nscheme = \"bearer\"\nsecret_file = \"api\"\nurls = [\"http://user@x/\"]\n",
            &["urls", "http://user@x/", "without user"],
        ),
    ] {
        fs::write(&toml, &wrong).unwrap();
        does_not_start(&mut site, &[&["lanyard.toml"], parts].concat());
    }
    fs::write(&toml, replaced("server/root.pem", "no.pem")).unwrap();
    does_not_start(&mut site, &["`tls.anchor`", "no.pem", "No such file"]);
    let directory = |further: &str| {
        format!(
            "{right}\n[ldap.corp]\nurl = \"ldap://localhost\"\nbase = \"dc=example\"\n{further}"
        )
    };
    let credential = |further: &str| {
        format!(
            "{right}\n[credentials.api]\nsecret_file = \"api\"\nurls = [\"https://api.example/\"]\n{further}"
        )
    };
    write(&site.data().join("api"), b"t0ken\n", 0o600);
    write(&site.data().join("empty"), b"\n", 0o600);
    write(&site.data().join("open"), b"t0ken\n", 0o644);
    for (wrong, parts) in [
        (
            directory("bind_dn = \"cn=x\"\n"),
            &["[ldap.corp]", "bind_password_file"][..],
        ),
        (
            directory("bind_password_file = \"api\"\n"),
            &["[ldap.corp]", "bind_dn"],
        ),
        (
            directory("bind_dn = \"cn=x\"\nbind_password_file = \"none\"\n"),
            &["none", "No such file"],
        ),
        (
            directory("bind_dn = \"cn=x\"\nbind_password_file = \"empty\"\n"),
            &["empty", "one line"],
        ),
        (
            directory("bind_dn = \"cn=x\"\nbind_password_file = \"open\"\n"),
            &["chmod 600"],
        ),
        (directory("ca = \"api\"\n"), &["corp"]),
        (
            credential("scheme = \"basic\"\n"),
            &["[credentials.api]", "user"],
        ),
        (
            credential("scheme = \"header\"\n"),
            &["[credentials.api]", "header"],
        ),
    ] {
        fs::write(&toml, &wrong).unwrap();
        does_not_start(&mut site, parts);
    }
    fs::write(&toml, &right).unwrap();
    site.set("LANYARD_ENROLLMENT_SESSION_MINUTES", "0");
    does_not_start(&mut site, &["the overrides of the environment", "nonzero"]);
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    let mut site = stopped();
    let push = site.apns().unwrap().push_certificate.clone();
    let in_data = [
        "sealing.key",
        "authority/ca.key",
        "authority/ra.key",
        "server/tls.key",
        "server/signing.key",
    ];
    let in_data = in_data.map(|file| site.data().join(file));
    for key in in_data.into_iter().chain([push]) {
        let shown = key.display().to_string();
        for mode in [0o644, 0o640, 0o604] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let advice = format!("chmod 600 {shown}");
            does_not_start(
                &mut site,
                &[&shown, "others than its owner may read it", &advice],
            );
        }
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    site.start_server().unwrap();
}

#[test]
fn another_sealing_key_opens_nothing() {
    let mut site = stopped();
    let file = site.data().join("sealing.key");
    let right = fs::read(&file).unwrap();
    write(&file, SealingKey::generate().to_text().as_bytes(), 0o600);
    does_not_start(&mut site, &["ca.key", "sealed under another key"]);
    for content in [&b""[..], b"x", &right[1..], b"\xff\xfe"] {
        write(&file, content, 0o600);
        does_not_start(&mut site, &["sealing.key"]);
    }
    // Nothing was made with the wrong key, and what is sealed for one place is not taken at another.
    write(&file, &right, 0o600);
    let (ca, ra) = (
        site.data().join("authority/ca.key"),
        site.data().join("authority/ra.key"),
    );
    let of_ca = fs::read(&ca).unwrap();
    fs::copy(&ra, &ca).unwrap();
    does_not_start(&mut site, &["ca.key"]);
    fs::write(&ca, of_ca).unwrap();
    site.start_server().unwrap();
}

#[test]
fn another_push_topic_is_refused_once_devices_are_enrolled() {
    let mut site = running();
    let other = PushAuthority::create(SystemTime::now())
        .and_then(|other| {
            other.push_certificate("com.apple.mgmt.External.other", SystemTime::now())
        })
        .unwrap();
    let pem = format!(
        "{}{}",
        other.certificate.to_pem(),
        *other.key.to_pem().unwrap()
    );
    let file = site.data().join("other-push.pem");
    write(&file, pem.as_bytes(), 0o600);
    let enrolled = site.apns().unwrap().topic.clone();
    enroll(&site);
    site.kill_server();
    site.set("LANYARD_PUSH_CERTIFICATE", "other-push.pem");
    does_not_start(
        &mut site,
        &[
            "com.apple.mgmt.External.other",
            &enrolled,
            "not one of them could be woken again",
        ],
    );
    let right = site.apns().unwrap().push_certificate.display().to_string();
    site.set("LANYARD_PUSH_CERTIFICATE", right);
    site.start_server().unwrap();
}

#[test]
fn a_second_server_on_the_same_data_leaves_the_first_one_alone() {
    let site = running();
    let folder = tempfile::tempdir().unwrap();
    for (address, at) in [
        (
            "127.0.0.1:0".to_owned(),
            "admin.sock: another server answers here",
        ),
        (site.address().to_string(), "Address already in use"),
    ] {
        let mut command = Command::new(binary("lanyard"));
        command.arg("serve").arg("--data").arg(site.data());
        command.env("LANYARD_SERVER_LISTEN", address);
        let mut second = Process::start(&mut command, &folder.path().join("log")).unwrap();
        assert_eq!(second.wait().unwrap().code(), Some(1), "{}", second.said());
        let said = second.said();
        assert!(
            said.contains("cannot listen on") && said.contains(at),
            "{said}"
        );
        site.lanyard(&["user", "list"]).unwrap();
    }
}

#[test]
fn nobody_is_invited_to_a_server_where_nobody_could_enroll() {
    let site = Site::temporary(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("lanyard"));
    command.arg("serve").arg("--data").arg(site.data());
    command.env("LANYARD_SERVER_LISTEN", "127.0.0.1:0");
    let mut server = Process::start(&mut command, &folder.path().join("log")).unwrap();
    server.wait_for("prints the section that names it").unwrap();
    let said = server.said();
    let again = format!("lanyard serve --data {}", site.data().display());
    for part in [
        "Nobody can enroll yet: without a push certificate",
        "server/lanyard.toml",
        "[push]\ncertificate = \"push.pem\"",
        "identity.apple.com/pushcert",
        "lanyard-device apns --dir",
        &again,
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("Enroll a device"), "{said}");
    // It serves operators all the same.
    site.lanyard(&["user", "list"]).unwrap();
}

#[test]
fn a_name_that_the_tls_certificate_lacks_is_warned_of() {
    let mut site = stopped();
    site.set("LANYARD_SERVER_NAME", "mdm.example.com");
    site.start_server().unwrap();
    let log = site.server_log();
    let warned = "the TLS certificate does not name server.name";
    assert!(
        log.contains(warned) && log.contains("mdm.example.com"),
        "{log}"
    );
}
