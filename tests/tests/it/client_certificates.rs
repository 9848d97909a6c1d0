//! Devices that show their certificate in TLS: with the server, at an address of its own, or with a proxy.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_device::{
    factory::Identity,
    http::{Answer, Call},
};
use lanyard_mdm::{connect, signature};
use lanyard_tests::{
    process::wait_until,
    site::{self, Site},
};
use sea_orm::{ConnectionTrait as _, Database};

use crate::puppet::{Puppet, command};

const CLIENT_CERT: &str = "client-cert";

fn running(configure: impl FnOnce(&mut Site)) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    configure(&mut site);
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site
}

fn with_its_own_address() -> Site {
    running(|site| site.set("LANYARD_IDENTITY_LISTEN", "127.0.0.1:0"))
}

/// A report of `puppet`, sent to this URL with these headers by whoever shows `identity`.
async fn report(
    site: &Site,
    puppet: &Puppet,
    url: &str,
    identity: Option<&Identity>,
    headers: &[(&'static str, String)],
) -> Answer {
    let body = puppet.message(vec![("Status", "Idle".into())]);
    let mut call = Call::put(url, connect::CONTENT_TYPE, body);
    for (name, value) in headers {
        call = call.header(http::HeaderName::from_static(name), value);
    }
    let client = site.client().unwrap();
    let client = match identity {
        Some(identity) => client.showing(identity).unwrap(),
        None => client,
    };
    client.send(&call).await.unwrap()
}

/// How many devices have an identity that ends within so many days.
fn ending(site: &Site, days: &str) -> usize {
    let listed = site.lanyard_json(&["device", "list", "--ending", days]);
    listed.unwrap().as_array().unwrap().len()
}

/// Reminders come with the start, and then daily.
fn restart_until_reminded(site: &mut Site, text: &str) {
    site.kill_server();
    site.start_server().unwrap();
    wait_until(text, || site.server_log().contains(text).then_some(())).unwrap();
}

fn idle_signature(puppet: &Puppet, of: &Puppet) -> String {
    puppet.signature(&of.message(vec![("Status", "Idle".into())]))
}

fn shown(puppet: &Puppet) -> String {
    format!(":{}:", STANDARD.encode(puppet.identity().certificate.der()))
}

/// The whole way by simulated devices, which do as their profile says.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_enrolls_and_works_without_a_signature() {
    let site = with_its_own_address();
    let puppet = &Puppet::enroll(&site, 1)[0];
    assert!(!puppet.management.sign_message);
    let main = site.url("/mdm/connect");
    assert_ne!(puppet.management.connect_url, main);
    let lock = site.send(&puppet.udid, "DeviceLock", &[]).unwrap();
    let _devices = site.resume_devices().unwrap();
    assert_eq!(site.completed(&lock).unwrap()["state"], "acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_the_connection_is_who_speaks() {
    let site = with_its_own_address();
    let puppets = Puppet::enroll(&site, 2);
    let [a, b] = &puppets[..] else {
        panic!("two devices")
    };
    let url = a.management.connect_url.clone();
    let stranger = site.new_device().unwrap().factory;
    let (own, other) = (a.identity(), b.identity());
    let signed = |by| vec![(signature::HEADER, idle_signature(by, a))];
    let main = site.url("/mdm/connect");
    for (url, identity, headers, status, log) in [
        (&url, Some(&own), vec![], 200, ""),
        (&url, Some(&own), signed(a), 200, ""),
        (&url, None, signed(a), 200, ""),
        // Who enrolled before goes on signing.
        (&main, None, signed(a), 200, ""),
        (
            &url,
            None,
            vec![],
            400,
            "its connection no client certificate",
        ),
        (
            &url,
            Some(&other),
            vec![],
            400,
            "but the message claims to be from",
        ),
        (
            &url,
            Some(&own),
            signed(b),
            400,
            "is not the one that signed",
        ),
        (&url, Some(&stranger), vec![], 400, "is not one of ours"),
        // Nobody's word counts that no configuration lists.
        (
            &url,
            None,
            vec![(CLIENT_CERT, shown(a))],
            400,
            "no client certificate",
        ),
        // At the first address nobody is asked for a certificate.
        (&main, Some(&own), vec![], 400, "no client certificate"),
    ] {
        let answer = report(&site, a, url, identity, &headers).await;
        assert_eq!(answer.status, status, "{url} {headers:?}: {answer:?}");
        assert!(site.server_log().contains(log), "{log}");
    }
    // There is nothing else at that address.
    let page = url.replace("/mdm/connect", "/enroll");
    let answer = site.client().unwrap().send(&Call::get(page)).await.unwrap();
    assert_eq!(answer.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_identity_is_refused_with_a_reason_and_not_in_the_handshake() {
    let mut site = Site::temporary(&[]).unwrap();
    site.set(
        "LANYARD_IDENTITY_LISTEN",
        site::free_address().unwrap().to_string(),
    );
    site.set("LANYARD_IDENTITY_REMINDER_DAYS", "366");
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let url = &puppet.management.connect_url;
    let own = puppet.identity();
    restart_until_reminded(&mut site, "identities end within 366 days");
    let days = site.device(&puppet.udid).unwrap();
    assert!(days["certificate_ends_at"].is_u64(), "{days}");
    assert_eq!((ending(&site, "30"), ending(&site, "366")), (0, 1));

    let database = Database::connect(site.database_url()).await.unwrap();
    let expired = "UPDATE certificate SET not_after = 1000";
    database.execute_unprepared(expired).await.unwrap();
    let answer = report(&site, puppet, url, Some(&own), &[]).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let reason = format!(
        "of {} has expired on 1970-01-01: the device has to be enrolled again",
        puppet.udid
    );
    assert!(site.server_log().contains(&reason), "{}", site.server_log());
    assert_eq!(ending(&site, "30"), 1);
    let shown = site.lanyard(&["device", "show", &puppet.udid]).unwrap();
    assert!(shown.contains("identity       expired"), "{shown}");
    restart_until_reminded(&mut site, "identities have expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_proxy_says_which_certificate_it_was_shown() {
    let mut site = running(|_| {});
    let puppets = Puppet::enroll(&site, 1);
    let a = &puppets[0];
    site.set("LANYARD_IDENTITY_PROXIES", "[\"127.0.0.1\"]");
    site.kill_server();
    site.start_server().unwrap();
    // Who enrolls from now on does not sign, and is nobody where no proxy stands before the server.
    let password = site.add_user("correct horse battery").unwrap();
    let enroll = ["--exit-after", "enroll"];
    let mut unsigned = site.start_device(&password, &enroll).unwrap();
    assert!(!unsigned.wait().unwrap().success());
    let refused = "no Mdm-Signature, and its connection no client certificate";
    assert!(site.server_log().contains(refused), "{}", unsigned.said());
    let url = &a.management.connect_url;
    let header = |value: String| (CLIENT_CERT, value);
    for (headers, status) in [
        (vec![header(shown(a))], 200),
        (vec![(signature::HEADER, idle_signature(a, a))], 200),
        (vec![header(shown(a)), header(shown(a))], 400),
        (vec![header(shown(a).replace(':', ""))], 400),
        (vec![header(":AQID:".to_owned())], 400),
        (vec![], 400),
    ] {
        let answer = report(&site, a, url, None, &headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    let lock = site.send(&a.udid, "DeviceLock", &[]).unwrap();
    let answer = report(&site, a, url, None, &[header(shown(a))]).await;
    assert_eq!(command(&answer).unwrap().uuid(), lock);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_for_the_proxy_alone() {
    let get = |site: &Site| {
        let url = site.url("/enroll").replace("https:", "http:");
        let client = site.client().unwrap();
        async move { client.send(&Call::get(url)).await }
    };
    for (proxies, answers) in [("[\"127.0.0.1\"]", true), ("[\"192.0.2.1\"]", false)] {
        let site = running(|site| {
            site.set("LANYARD_TLS_MODE", "proxy");
            site.set("LANYARD_SERVER_PROXIES", proxies);
        });
        let answer = get(&site).await;
        assert_eq!(answer.is_ok(), answers, "{proxies}: {answer:?}");
        if let Ok(answer) = answer {
            assert_eq!(answer.status, 200);
            let announced = "Enroll a device: https://localhost/enroll";
            assert!(site.server_log().contains(announced));
        }
    }
}
