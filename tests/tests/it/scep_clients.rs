//! A foreign SCEP client, strongSwan's `pki`, against the real server in each mode.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use lanyard_device::{
    device::Device,
    enroll::Credentials,
    http::{Answer, Call, Client},
};
use lanyard_pki::Certificate;
use lanyard_store::CertificatePurpose;
use lanyard_tests::{
    openssl::openssl,
    process::{PATIENCE, wait_until},
    site::{Site, USER},
};
use tempfile::TempDir;
use tokio::net::TcpListener;

const PASSWORD: &str = "correct horse battery";
const SCEP: &str = "/scep/device";

#[tokio::test]
async fn strongswan_enrolls_with_an_authority_alone() {
    enrolls(&["--scep", "ca-only", "--ca-key", "rsa-2048"], 0).await;
}

#[tokio::test]
async fn strongswan_enrolls_behind_one_ra_of_a_p256_authority() {
    enrolls(&["--scep", "one-ra"], 1).await;
}

#[tokio::test]
async fn strongswan_enrolls_behind_one_ra_of_an_rsa_authority() {
    enrolls(&["--scep", "one-ra", "--ca-key", "rsa-2048"], 1).await;
}

#[tokio::test]
async fn strongswan_enrolls_behind_two_ras() {
    enrolls(&["--scep", "split-ra"], 2).await;
}

async fn enrolls(init: &[&str], registration_authorities: usize) {
    let mut site = Site::temporary(init).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    let client = StrongSwan::new(&site).await;

    assert_eq!(client.fetch_authorities().await, registration_authorities);
    let offered = Call::get(site.url(&format!("{SCEP}?operation=GetCACert")));
    let offered = site.client().unwrap().send(&offered).await.unwrap();
    assert_eq!(
        certificates_by_openssl(&offered),
        registration_authorities + 1
    );

    let device = site.new_device().unwrap();
    let challenge = challenge_of(&site, &device).await;
    let first = client.enroll(&challenge).await.unwrap();
    let again = client.enroll(&challenge).await.unwrap();
    assert_eq!(first, again, "the same transaction, the same certificate");
    the_certificate_is_the_sessions(&site, &device, &first).await;

    client.make_key().await;
    for (what, wrong) in [
        ("a challenge that another key used", challenge.as_str()),
        ("a challenge that is made up", "let-me-in"),
        ("an altered challenge", &altered(&challenge)),
    ] {
        let refused = client.enroll(wrong).await.unwrap_err();
        assert!(
            refused.contains("failInfo:     badRequest"),
            "{what}: {refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strongswan_waits_for_an_operator_over_a_crash_of_the_server() {
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site.apply(MANUAL, &["challenge-approval"]).unwrap();
    let client = StrongSwan::new(&site).await;
    client.fetch_authorities().await;

    let device = site.new_device().unwrap();
    let challenge = challenge_of(&site, &device).await;
    let operator = async {
        let approval = waiting(&site);
        assert_eq!(approval["hook"], "ra-approval");
        assert_eq!(approval["code"], "needs-approval");
        assert_eq!(approval["device"], device.udid());
        site.kill_server();
        site.start_server().unwrap();
        let id = approval["id"].as_str().unwrap();
        site.lanyard(&["approvals", "approve", id]).unwrap();
    };
    let (enrolled, ()) = tokio::join!(client.enroll(&challenge), operator);
    let first = enrolled.unwrap();
    let again = client.enroll(&challenge).await.unwrap();
    assert_eq!(first, again, "the same transaction, the same certificate");
    the_certificate_is_the_sessions(&site, &device, &first).await;

    client.make_key().await;
    let challenge = challenge_of(&site, &site.new_device().unwrap()).await;
    let operator = async {
        let id = waiting(&site)["id"].clone();
        let deny = ["approvals", "deny", id.as_str().unwrap()];
        let reason = ["--reason", "Nobody knows this device."];
        site.lanyard(&[&deny[..], &reason].concat()).unwrap();
    };
    let (refused, ()) = tokio::join!(client.enroll(&challenge), operator);
    let refused = refused.unwrap_err();
    assert!(refused.contains("failInfo"), "{refused}");
}

/// Every certificate of phase 3 needs somebody.
const MANUAL: &str = r#"
[[binding]]
hook = "ra-approval"
name = "certificates"
plugin = "challenge-approval.wasm"
settings = { manual_approval = [{ name = "everybody", purpose = ["ota-interim"] }] }
"#;

/// What waits for an operator, once something does.
fn waiting(site: &Site) -> serde_json::Value {
    wait_until("something that waits", || {
        let waiting = site
            .lanyard_json(&["approvals", "list", "--state", "pending"])
            .ok()?;
        waiting.get(0).cloned()
    })
    .unwrap()
}

/// Subject, issuer and record: all of them the server's, none the request's.
async fn the_certificate_is_the_sessions(site: &Site, device: &Device, pem: &[u8]) {
    let authority = site.data().join("authority/ca.pem");
    let authority = authority.to_str().unwrap();
    openssl(["verify", "-CAfile", authority], pem).unwrap();
    let certificate = Certificate::many_from_pem(pem).unwrap().remove(0);
    let serial = device.model.facts.serial_number.as_str();
    let subject = format!("O=Lanyard, CN={}, serialNumber={serial}", device.udid());
    assert_eq!(certificate.subject().to_string(), subject);

    let hex = |octets: &[u8]| -> String {
        let digits = octets.iter().map(|octet| format!("{octet:02x}"));
        digits.collect()
    };
    let store = site.store().await.unwrap();
    let fingerprint = hex(&certificate.fingerprint());
    let record = store.find_certificate(&fingerprint).await.unwrap().unwrap();
    assert_eq!(record.serial, hex(certificate.serial()));
    assert_eq!(record.der, certificate.der());
    assert_eq!(record.purpose, CertificatePurpose::OtaInterim);
    let shown = openssl(["x509", "-noout", "-serial"], pem).unwrap();
    let shown = String::from_utf8(shown).unwrap().to_lowercase();
    assert_eq!(shown.trim(), format!("serial={}", record.serial));
}

/// Phases 1 and 2, up to the challenge that would be the device's own.
async fn challenge_of(site: &Site, device: &Device) -> String {
    let credentials = Credentials::new(USER, PASSWORD);
    let link = site.url("/enroll");
    let service = device.sign_in(&link, &credentials).await.unwrap().service;
    let attributes = device.attributes(&service.attributes, service.challenge.clone());
    let message = device.phase_2_message(&attributes).unwrap();
    let scep = device.identify(&service.url, &message).await.unwrap().scep;
    scep.challenge.unwrap().expose().to_owned()
}

fn altered(challenge: &str) -> String {
    let last = if challenge.ends_with('A') { 'B' } else { 'A' };
    format!("{}{last}", &challenge[..challenge.len() - 1])
}

fn certificates_by_openssl(offered: &Answer) -> usize {
    let arguments: &[&str] = match offered.content_type.as_str() {
        "application/x-x509-ca-cert" => &["x509", "-inform", "DER"],
        "application/x-x509-ca-ra-cert" => &["pkcs7", "-inform", "DER", "-print_certs"],
        other => panic!("GetCACert is answered with {other}"),
    };
    let pem = openssl(arguments, &offered.body).unwrap();
    Certificate::many_from_pem(&pem).unwrap().len()
}

/// `pki` in a folder with its key, behind a proxy that speaks plain HTTP to it, as SCEP clients may: it trusts the machine's
/// authorities alone, and so not our server.
struct StrongSwan {
    folder: TempDir,
    url: String,
}

impl StrongSwan {
    async fn new(site: &Site) -> StrongSwan {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{SCEP}", listener.local_addr().unwrap());
        let behind = (site.client().unwrap(), site.url(""));
        let proxy = Router::new().fallback(forward).with_state(behind);
        tokio::spawn(async { axum::serve(listener, proxy).await });
        let client = StrongSwan {
            folder: tempfile::tempdir().unwrap(),
            url,
        };
        client.make_key().await;
        client
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn make_key(&self) {
        let made = pki(
            &["--gen", "--type", "rsa", "--size", "2048"],
            self.folder.path(),
        )
        .await;
        std::fs::write(self.file("key.der"), made.unwrap()).unwrap();
    }

    /// GetCACert; how many registration authorities there are.
    async fn fetch_authorities(&self) -> usize {
        let arguments = ["--scepca", "--url", &self.url, "--outform", "pem"];
        let files = ["--caout", "ca.pem", "--raout", "ra.pem"];
        let arguments = [&arguments[..], &files].concat();
        pki(&arguments, self.folder.path()).await.unwrap();
        assert!(self.file("ca.pem").exists());
        self.registration_authorities().len()
    }

    fn registration_authorities(&self) -> Vec<&'static str> {
        let names = ["ra.pem", "ra-1.pem", "ra-2.pem", "ra-3.pem"];
        let there = names.into_iter().filter(|name| self.file(name).exists());
        there.collect()
    }

    /// PKIOperation with a subject that nobody granted; the certificate in PEM, or what `pki` says.
    async fn enroll(&self, challenge: &str) -> Result<Vec<u8>, String> {
        let (encrypts, signs) = match self.registration_authorities()[..] {
            [] => ("ca.pem", "ca.pem"),
            [both] => (both, both),
            [first, second] => {
                if self.may_encipher(first) {
                    (first, second)
                } else {
                    (second, first)
                }
            }
            _ => panic!("more registration authorities than modes have"),
        };
        let request = [
            "--scep",
            "--url",
            &self.url,
            "--in",
            "key.der",
            "--outform",
            "pem",
        ];
        let asked = ["--dn", "O=Elsewhere, CN=mallory", "--password", challenge];
        let trusted = [
            "--cacert-enc",
            encrypts,
            "--cacert-sig",
            signs,
            "--cacert",
            "ca.pem",
        ];
        let patient = ["--interval", "1", "--maxpolltime", "60"];
        pki(
            &[&request[..], &asked, &trusted, &patient].concat(),
            self.folder.path(),
        )
        .await
    }

    fn may_encipher(&self, file: &str) -> bool {
        let pem = std::fs::read(self.file(file)).unwrap();
        let usage = openssl(["x509", "-noout", "-ext", "keyUsage"], &pem).unwrap();
        String::from_utf8(usage)
            .unwrap()
            .contains("Key Encipherment")
    }
}

/// Runs strongSwan's `pki`: what it writes to standard output, or what it says.
async fn pki(arguments: &[&str], folder: &Path) -> Result<Vec<u8>, String> {
    let mut command = tokio::process::Command::new("pki");
    command
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .await
        .expect("strongSwan's pki is installed: `cargo xtask test` does");
    if status.success() {
        Ok(stdout)
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

async fn forward(
    State((client, base)): State<(Client, String)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let url = format!("{base}{uri}");
    let call = match method {
        Method::GET => Call::get(url),
        _ => Call::post(url, "application/x-pki-message", body.to_vec()),
    };
    // A server that is started again is waited for.
    let mut patience = PATIENCE.as_secs();
    let answer = loop {
        match client.send(&call).await {
            Err(_) if patience > 0 => {
                patience -= 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answered => break answered,
        }
    };
    match answer {
        Ok(answer) => (
            StatusCode::from_u16(answer.status).unwrap(),
            [(header::CONTENT_TYPE, answer.content_type)],
            answer.body,
        )
            .into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
