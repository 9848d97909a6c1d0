//! Messages that no device would send: each is refused, none with 401, and the server goes on.

use std::fs;

use lanyard_mdm::{connect, signature};
use lanyard_pki::{Certificate, PrivateKey};
use lanyard_tests::site::Site;

use super::running;
use crate::puppet::Puppet;

enum Signature {
    Good,
    Missing,
    Is(String),
}

use Signature::{Good, Is, Missing};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_are_refused_and_the_server_goes_on() {
    let site = running();
    let [puppet, other] = <[Puppet; 2]>::try_from(Puppet::enroll(&site, 2))
        .ok()
        .unwrap();
    let uuid = site.send(&puppet.udid, "A", &[]).unwrap();
    let idle = puppet.message(vec![("Status", "Idle".into())]);
    let binary =
        b"bplist00\xd0\x08\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09";
    let plist = |inside: &str| format!("<plist version=\"1.0\">{inside}</plist>").into_bytes();
    let nested = "<array>".repeat(40_000) + &"</array>".repeat(40_000);
    let identified = format!("<dict><key>UDID</key><string>{}</string>", puppet.udid);
    let entities = [
        b"<!DOCTYPE plist [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>".to_vec(),
        plist(&format!(
            "{identified}<key>Status</key><string>&b;</string></dict>"
        )),
    ]
    .concat();
    let foreign = |name: &str| Is(signed_by(&site, &puppet.udid, name, &idle));
    let cases: [(&str, Vec<u8>, Signature, u16); 15] = [
        ("no signature", idle.clone(), Missing, 400),
        ("an empty signature", idle.clone(), Is(String::new()), 400),
        (
            "a signature that is not base64",
            idle.clone(),
            Is("%%%".to_owned()),
            400,
        ),
        (
            "a signature that is no CMS",
            idle.clone(),
            Is("c2lnbmVk".to_owned()),
            400,
        ),
        (
            "a signature over something else",
            idle.clone(),
            Is(puppet.signature(b"else")),
            400,
        ),
        (
            "another device's signature",
            idle.clone(),
            Is(other.signature(&idle)),
            400,
        ),
        (
            "the factory identity's signature",
            idle.clone(),
            foreign("factory"),
            400,
        ),
        (
            "the interim identity's signature",
            idle.clone(),
            foreign("interim"),
            400,
        ),
        ("an empty body", Vec::new(), Good, 400),
        ("a binary property list", binary.to_vec(), Good, 400),
        ("40,000 arrays in each other", plist(&nested), Good, 400),
        ("an array", plist("<array/>"), Good, 400),
        ("entities of entities", entities, Good, 400),
        (
            "no identity",
            plist("<dict><key>Status</key><string>Idle</string></dict>"),
            Good,
            400,
        ),
        ("3 MiB", vec![b' '; 3 * 1024 * 1024], Good, 413),
    ];
    let management = &puppet.management;
    for (name, body, signature, expected) in &cases {
        let signature = match signature {
            Good => Some(puppet.signature(body)),
            Missing => None,
            Is(text) => Some(text.clone()),
        };
        for url in [&management.connect_url, &management.check_in_url] {
            let answer = puppet.put(
                url,
                connect::CONTENT_TYPE,
                body.clone(),
                signature.as_deref(),
            );
            let answer = answer
                .await
                .unwrap_or_else(|error| panic!("{name} to {url}: {error}"));
            assert_eq!(answer.status, *expected, "{name} to {url}: {answer:?}");
        }
        // It still serves the same device, and nothing has changed for that.
        assert_eq!(puppet.idle().await.unwrap().uuid(), uuid, "after {name}");
    }
    // How much of a long head is read before it is too long depends on how it arrives; the server may also break off.
    for length in [20_000, 100_000, 1_000_000] {
        let signature = "A".repeat(length);
        let url = &management.connect_url;
        let answer = puppet.put(url, connect::CONTENT_TYPE, idle.clone(), Some(&signature));
        match answer.await {
            Ok(answer) => assert!([400, 431].contains(&answer.status), "{length}: {answer:?}"),
            Err(error) => assert!(length > 64 * 1024, "{length}: {error}"),
        }
        assert_eq!(puppet.idle().await.unwrap().uuid(), uuid, "after {length}");
    }
    // One to each URL.
    assert_eq!(binary_plists(&site), 2);
    assert!(puppet.answer(&uuid, "Acknowledged").await.is_none());
}

/// `Mdm-Signature` by another identity out of the device's directory.
fn signed_by(site: &Site, udid: &str, name: &str, body: &[u8]) -> String {
    let read =
        |suffix| fs::read(site.devices().join(udid).join(format!("{name}.{suffix}"))).unwrap();
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
