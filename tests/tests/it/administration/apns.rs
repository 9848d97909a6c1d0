//! `lanyard apns`: a request, and what is taken in of what comes back.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use lanyard_pki::{
    Authority, Certificate, KeyUsage, Name, NameAttribute, PrivateKey, PublicKey, SerialNumber,
    Template,
};
use lanyard_tests::{openssl::openssl, site::Site};

use super::{enroll, refuses, running, says};

const DAY: Duration = Duration::from_hours(24);
const TOPIC: &str = "com.apple.mgmt.External.one";

/// What Apple's portal is to a vendor's customer.
struct Portal {
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Portal {
    fn open() -> Portal {
        let key = PrivateKey::generate_p256().unwrap();
        let template = template(&[(NameAttribute::CommonName, "Portal")], 30);
        let template = Template {
            key_usage: KeyUsage::KEY_CERT_SIGN,
            authority: Some(0),
            ..template
        };
        Portal {
            authority: Authority::self_signed(key, &template).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A certificate of this topic that ends in so many days, as a file.
    fn makes(&self, topic: &str, key: &PublicKey, days: i32) -> PathBuf {
        let template = template(&[(NameAttribute::UserId, topic)], days);
        let certificate = self.authority.danger_issue(&template, key).unwrap();
        let file = format!("MDM_{:016x}_Certificate.pem", rand::random::<u64>());
        let file = self.folder.path().join(file);
        fs::write(&file, certificate.to_pem()).unwrap();
        file
    }
}

fn template(subject: &[(NameAttribute, &str)], days: i32) -> Template {
    let now = SystemTime::now();
    let end = DAY * days.unsigned_abs();
    Template {
        subject: Name::new(subject),
        serial: SerialNumber::from_random(rand::random()),
        not_before: now - 400 * DAY,
        not_after: if days > 0 { now + end } else { now - end },
        key_usage: KeyUsage::DIGITAL_SIGNATURE,
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    }
}

/// The key of the request that `lanyard apns csr` prints; OpenSSL looks at it as well.
fn requested(site: &Site, arguments: &[&str]) -> PublicKey {
    let request = site
        .lanyard(&[&["apns", "csr"], arguments].concat())
        .unwrap();
    let der = openssl(["req", "-verify", "-outform", "DER"], request.as_bytes()).unwrap();
    let request = lanyard_pki::CertificationRequest::from_der(&der).unwrap();
    assert_eq!(request.public_key().rsa_bits(), Some(2048));
    request.public_key().clone()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn import(file: &Path) -> [&str; 3] {
    ["apns", "import", file.to_str().unwrap()]
}

#[test]
fn a_request_becomes_a_push_certificate_and_its_renewal() {
    let (site, portal) = (Site::temporary(&[]).unwrap(), Portal::open());
    let key = requested(&site, &[]);
    assert_eq!(
        requested(&site, &[]),
        key,
        "the certificate may be on its way"
    );
    let sealed = site.data().join("server/push-request.key");
    assert_eq!(mode(&sealed), 0o600);
    assert!(!fs::read(&sealed).unwrap().starts_with(b"-----BEGIN"));

    let file = portal.makes(TOPIC, &key, 365);
    says(
        &site,
        &import(&file),
        &[TOPIC, "push.pem", "renew it before"],
    );
    let push = site.data().join("push.pem");
    assert_eq!(mode(&push), 0o600);
    let configuration = fs::read_to_string(site.data().join("lanyard.toml")).unwrap();
    assert!(configuration.contains("\n[push]\ncertificate = \"push.pem\""));
    assert!(!sealed.exists());

    let before = fs::read(&push).unwrap();
    let renewed = requested(&site, &[]);
    assert_ne!(renewed, key);
    let other = portal.makes("com.apple.mgmt.External.two", &renewed, 365);
    refuses(
        &site,
        &import(&other),
        &["External.two", TOPIC, "renew the old entry"],
    );
    assert_eq!(fs::read(&push).unwrap(), before);
    let file = portal.makes(TOPIC, &renewed, 365);
    says(&site, &import(&file), &[TOPIC]);
    let after = fs::read(&push).unwrap();
    let leaf = &Certificate::many_from_pem(&after).unwrap()[0];
    assert_eq!(leaf.public_key(), &renewed);
    assert_eq!(
        fs::read(site.data().join("push.pem.previous")).unwrap(),
        before
    );
}

#[test]
fn what_could_wake_no_device_is_not_taken_in() {
    let (site, portal) = (Site::temporary(&[]).unwrap(), Portal::open());
    let first = requested(&site, &[]);
    let key = requested(&site, &["--new"]);
    assert_ne!(first, key);
    for (file, parts) in [
        (
            portal.makes(TOPIC, &first, 365),
            &["not the certificate of the key"][..],
        ),
        (
            portal.makes("org.example.app", &key, 365),
            &["is for an app"],
        ),
        (portal.makes(TOPIC, &key, -1), &["has expired", "renew it"]),
    ] {
        refuses(&site, &import(&file), parts);
    }
    let nothing = portal.folder.path().join("nothing.pem");
    fs::write(&nothing, "no PEM").unwrap();
    refuses(
        &site,
        &import(&nothing),
        &["nothing.pem", "identity.apple.com"],
    );
    assert!(!site.data().join("push.pem").exists());
    let configuration = fs::read_to_string(site.data().join("lanyard.toml")).unwrap();
    assert!(!configuration.contains("\n[push]"));
}

/// The certificate may be on its way for days, and the sealing key may be another one when it comes.
#[test]
fn the_key_of_a_request_is_sealed_anew_with_the_rest() {
    let site = running();
    let key = requested(&site, &[]);
    says(&site, &["keys", "add"], &["not used yet"]);
    says(&site, &["keys", "rotate"], &["is current"]);
    let keys = site.lanyard_json(&["keys", "list"]).unwrap();
    let sealed = |place: usize| {
        keys[place]["files"]
            .to_string()
            .contains("push-request.key")
    };
    assert_eq!([sealed(0), sealed(1)], [false, true], "{keys}");
    assert_eq!(requested(&site, &[]), key);
}

/// Whether a server runs or not: enrolled devices know one topic only.
#[test]
fn a_topic_that_devices_do_not_know_is_refused() {
    let (mut site, portal) = (running(), Portal::open());
    enroll(&site);
    let enrolled = site.apns().unwrap().topic.clone();
    let file = portal.makes(TOPIC, &requested(&site, &[]), 365);
    refuses(
        &site,
        &import(&file),
        &[TOPIC, &enrolled, "could never be woken again"],
    );
    site.kill_server();
    // A database that the environment names is not the one that the command looks for.
    if site.database_url().starts_with("sqlite") {
        refuses(
            &site,
            &import(&file),
            &[TOPIC, &enrolled, "could never be woken again"],
        );
    }
}
