//! Messages that no device would send: each is refused, none with 401, and the server goes on.

use std::fs;

use lanyard_mdm::{connect, signature};
use lanyard_pki::{Certificate, PrivateKey};
use lanyard_tests::site::Site;

use super::running;
use crate::puppet::Puppet;

/// Bodies of up to so many bytes are read.
const LIMIT: usize = 2 * 1024 * 1024;
/// An empty dictionary in the binary form.
const BINARY: &[u8] =
    b"bplist00\xd0\x08\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09";

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_no_device_sends_are_refused() {
    let site = running();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let uuid = site.send(&puppet.udid, "A", &[]).unwrap();
    let plist = |inside: &str| format!("<plist version=\"1.0\">{inside}</plist>").into_bytes();
    let nested = "<array>".repeat(40_000) + &"</array>".repeat(40_000);
    let entities = format!(
        "<!DOCTYPE plist [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><plist version=\"1.0\"><dict>\
         <key>UDID</key><string>{}</string><key>Status</key><string>&b;</string></dict></plist>",
        puppet.udid
    );
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("a binary property list", BINARY.to_vec()),
        ("40,000 arrays in each other", plist(&nested)),
        ("an array", plist("<array/>")),
        (
            "no sender",
            plist("<dict><key>Status</key><string>Idle</string></dict>"),
        ),
        ("entities of entities", entities.into_bytes()),
    ];
    for (name, body) in cases {
        let signature = puppet.signature(&body);
        refused(puppet, name, &body, Some(&signature)).await;
        // It still serves the same device, and nothing has changed for that.
        assert_eq!(puppet.idle().await.unwrap().uuid(), uuid, "after {name}");
    }
    // One to each URL.
    assert_eq!(binary_plists(&site), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_the_device_did_not_sign_are_refused() {
    let site = running();
    let puppets = Puppet::enroll(&site, 2);
    let (puppet, other) = (&puppets[0], &puppets[1]);
    let uuid = site.send(&puppet.udid, "A", &[]).unwrap();
    let idle = puppet.message(vec![("Status", "Idle".into())]);
    let own = |name: &str| signed_by(&site, &puppet.udid, name, &idle);
    let cases: [(&str, Option<String>); 9] = [
        ("no signature", None),
        ("an empty one", Some(String::new())),
        ("no base64", Some("%%%".to_owned())),
        ("no CMS", Some("c2lnbmVk".to_owned())),
        ("one over something else", Some(puppet.signature(b"else"))),
        ("another device's", Some(other.signature(&idle))),
        ("the factory identity's", Some(own("factory"))),
        ("the interim identity's", Some(own("interim"))),
        ("20,000 letters", Some("A".repeat(20_000))),
    ];
    for (name, signature) in cases {
        refused(puppet, name, &idle, signature.as_deref()).await;
        assert_eq!(puppet.idle().await.unwrap().uuid(), uuid, "after {name}");
    }
}

/// It gets a 400 on both URLs.
async fn refused(puppet: &Puppet, name: &str, body: &[u8], signature: Option<&str>) {
    let management = &puppet.management;
    for url in [&management.connect_url, &management.check_in_url] {
        let answer = puppet
            .put(url, connect::CONTENT_TYPE, body.to_vec(), signature)
            .await;
        assert_eq!(answer.unwrap().status, 400, "{name} to {url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_long_are_not_read_to_their_end() {
    let site = running();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let url = &puppet.management.connect_url;
    // A client that is still sending when the server has had enough may see the connection break before the answer, so the exact
    // answer is asked for where nothing is left to send.
    for (length, expected, may_break) in [
        (LIMIT, 400, false),
        (LIMIT + 1, 413, false),
        (3 * 1024 * 1024, 413, true),
    ] {
        // With connections of its own: those that the server gives up are nothing to go on with.
        let sender = Puppet::of(&site, &puppet.udid);
        let body = vec![b' '; length];
        let signature = puppet.signature(&body);
        match sender
            .put(url, connect::CONTENT_TYPE, body, Some(&signature))
            .await
        {
            Ok(answer) => assert_eq!(answer.status, expected, "{length} bytes"),
            Err(error) => assert!(may_break, "{length} bytes: {error}"),
        }
        assert!(puppet.idle().await.is_none(), "after {length} bytes");
    }
    let idle = puppet.message(vec![("Status", "Idle".into())]);
    for length in [100_000, 1_000_000] {
        let sender = Puppet::of(&site, &puppet.udid);
        let header = "A".repeat(length);
        // How much of a head is read before it is too long depends on how it arrives.
        if let Ok(answer) = sender
            .put(url, connect::CONTENT_TYPE, idle.clone(), Some(&header))
            .await
        {
            assert!([400, 431].contains(&answer.status), "{length}: {answer:?}");
        }
        assert!(puppet.idle().await.is_none(), "after a header of {length}");
    }
}

/// `Mdm-Signature` by another identity out of the device's directory.
fn signed_by(site: &Site, udid: &str, name: &str, body: &[u8]) -> String {
    let folder = site.devices().join(udid);
    let read = |suffix| fs::read(folder.join(format!("{name}.{suffix}"))).unwrap();
    let key = PrivateKey::from_pem(&read("key")).unwrap();
    let certificate = &Certificate::many_from_pem(&read("pem")).unwrap()[0];
    signature::create(body, &key, certificate).unwrap()
}

/// The counter in the server's metrics.
fn binary_plists(site: &Site) -> u64 {
    let (status, metrics) = site.ask("GET", "/metrics").unwrap();
    assert_eq!(status, 200, "{metrics}");
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("lanyard_binary_plists_refused_total "));
    value.unwrap().parse().unwrap()
}
