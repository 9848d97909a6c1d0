//! The push client against the simulated APNs, over loopback: HTTP/2, TLS and certificates are real, Apple is not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lanyard_device::apns::{
    Announcement, Courier, Entry, Event, PushAuthority, Refusal, Settings, Simulator, Subscription,
};
use lanyard_device::factory::Identity;
use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_push::{
    Action, Apns, ConnectError, Endpoint, Limits, Outcome, PushCertificate, Reason, Rejection,
    Roots, SendError, Wake,
};
use tempfile::TempDir;

const UDID: &str = "00008120-000000000000001E";

/// A simulated APNs with the push certificate that it made.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) simulator: Simulator,
    said: Announcement,
}

impl World {
    pub(crate) async fn start() -> World {
        let directory = tempfile::tempdir().unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = simulate(directory.path(), any_port, any_port).await;
        World {
            said: simulator.announcement().clone(),
            directory,
            simulator,
        }
    }

    fn certificate(&self) -> PushCertificate {
        PushCertificate::from_pem(&std::fs::read(&self.said.push_certificate).unwrap()).unwrap()
    }

    fn endpoint(&self) -> Endpoint {
        endpoint(self.said.push_address, &self.said.ca)
    }

    pub(crate) fn client(&self) -> Apns {
        Apns::new(self.endpoint(), &self.certificate(), &Limits::default()).unwrap()
    }

    /// A client with a certificate of its own for this topic.
    pub(crate) fn client_for(&self, topic: &str) -> Apns {
        let authority = self.simulator.authority();
        let certificate = read(
            &authority
                .push_certificate(topic, SystemTime::now())
                .unwrap(),
        );
        Apns::new(self.endpoint(), &certificate, &Limits::default()).unwrap()
    }

    async fn device(&self) -> Subscription {
        self.subscribe(UDID, &self.said.topic).await
    }

    pub(crate) async fn subscribe(&self, udid: &str, topic: &str) -> Subscription {
        let ca = std::fs::read(&self.said.ca).unwrap();
        let courier = Courier::new(&self.said.device_address.to_string(), &ca).unwrap();
        Subscription::connect(&courier, udid, topic).await.unwrap()
    }

    pub(crate) fn record(&self) -> Vec<Entry> {
        std::fs::read_to_string(&self.said.record)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn events(&self) -> Vec<Event> {
        self.record().iter().map(|entry| entry.event).collect()
    }

    /// The record's events, once the last one of them is `last`: a confirmation is written after the device has woken.
    async fn events_until(&self, last: Event) -> Vec<Event> {
        loop {
            let events = self.events();
            if events.last() == Some(&last) {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn simulate(directory: &Path, listen: SocketAddr, device_listen: SocketAddr) -> Simulator {
    Simulator::start(&Settings {
        directory: directory.to_owned(),
        listen,
        device_listen,
    })
    .await
    .unwrap()
}

fn endpoint(address: SocketAddr, ca: &Path) -> Endpoint {
    let roots = Roots::Pem(std::fs::read_to_string(ca).unwrap());
    Endpoint::new("localhost", address.port(), &roots).unwrap()
}

fn read(identity: &Identity) -> PushCertificate {
    let key = identity.key.to_pem().unwrap();
    let pem = format!("{}{}", identity.certificate.to_pem(), *key);
    PushCertificate::from_pem(pem.as_bytes()).unwrap()
}

fn wake(token: &DeviceToken, magic: &str) -> Wake {
    Wake::new(token, PushMagic::new(magic)).unwrap()
}

fn kept(token: &DeviceToken, magic: &str) -> Wake {
    wake(token, magic).kept_until(SystemTime::now() + Duration::from_secs(3600))
}

async fn accepted(client: &Apns, wake: &Wake) {
    match client.send(wake).await {
        Ok(Outcome::Accepted { apns_id: Some(_) }) => {}
        other => panic!("not accepted: {other:?}"),
    }
}

async fn rejected(client: &Apns, wake: &Wake) -> Rejection {
    match client.send(wake).await {
        Ok(Outcome::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

fn cause(error: SendError) -> Arc<ConnectError> {
    match error {
        SendError::Unreachable { source, .. } => source,
        other => panic!("reachable: {other:?}"),
    }
}

#[tokio::test]
async fn a_push_wakes_the_device_and_the_record_proves_it() {
    let world = World::start().await;
    let mut device = world.device().await;
    let client = world.client();
    assert_eq!(client.topic(), world.said.topic);
    accepted(&client, &wake(&device.token(), "MAGIC-1")).await;
    assert_eq!(device.next_wake().await, Some(PushMagic::new("MAGIC-1")));
    let events = world.events_until(Event::Delivered).await;
    assert_eq!(
        events,
        [Event::Registered, Event::Accepted, Event::Delivered]
    );

    let text = std::fs::read_to_string(&world.said.record).unwrap();
    assert!(!text.contains("MAGIC-1"), "the record has the magic in it");
    assert!(!text.contains(&**device.token().to_hex()));
    assert!(
        world
            .record()
            .iter()
            .all(|entry| entry.udid.as_deref() == Some(UDID))
    );
}

#[tokio::test]
async fn the_last_push_waits_for_a_device_that_is_away() {
    let world = World::start().await;
    let token = world.device().await.token();
    let client = world.client();
    // The simulator notices only after a moment that the device is gone.
    while world.events().last() != Some(&Event::Stored) {
        accepted(&client, &kept(&token, "EARLIER")).await;
    }
    accepted(&client, &kept(&token, "LAST")).await;
    let mut device = world.device().await;
    assert_eq!(device.token(), token);
    assert_eq!(device.next_wake().await, Some(PushMagic::new("LAST")));
    world.events_until(Event::Delivered).await;

    drop(device);
    while world.events().last() != Some(&Event::Dropped) {
        accepted(&client, &wake(&token, "NOT-KEPT")).await;
    }
    let mut device = world.device().await;
    accepted(&client, &wake(&token, "NEXT")).await;
    assert_eq!(device.next_wake().await, Some(PushMagic::new("NEXT")));
}

#[tokio::test]
async fn a_refused_token_says_what_to_do_with_it() {
    let world = World::start().await;
    let client = world.client();
    let unknown = rejected(&client, &wake(&DeviceToken::new([0; 32]), "M")).await;
    assert_eq!(
        (unknown.status, &unknown.reason),
        (400, &Reason::BadDeviceToken)
    );
    assert_eq!(unknown.action(), Action::DropToken { dead_since: None });

    let device = world.device().await;
    let token = device.token();
    let other = world
        .simulator
        .authority()
        .push_certificate("com.apple.mgmt.External.other", SystemTime::now())
        .unwrap();
    let other = Apns::new(world.endpoint(), &read(&other), &Limits::default()).unwrap();
    let foreign = rejected(&other, &wake(&token, "M")).await;
    assert_eq!(foreign.reason, Reason::DeviceTokenNotForTopic);
    assert_eq!(foreign.action(), Action::AlertOperator);

    let before = SystemTime::now() - Duration::from_secs(1);
    device.unregister().await;
    let dead = rejected(&client, &wake(&token, "M")).await;
    assert_eq!((dead.status, &dead.reason), (410, &Reason::Unregistered));
    assert!(dead.action().concerns_token_received_at(before));
    let later = dead.timestamp.unwrap() + Duration::from_millis(1);
    assert!(!dead.action().concerns_token_received_at(later));
    assert_ne!(world.device().await.token(), token);
}

#[tokio::test]
async fn refusals_of_apns_reach_the_caller_and_leave_the_client_usable() {
    let world = World::start().await;
    let device = world.device().await;
    let client = world.client();
    for (status, reason, action) in [
        (403, "BadCertificate", Action::StopTopic),
        (429, "TooManyRequests", Action::BackOff),
        (500, "InternalServerError", Action::Retry),
        (503, "Shutdown", Action::Retry),
        (400, "IdleTimeout", Action::Retry),
        (400, "NeverHeardOf", Action::AlertOperator),
    ] {
        world.simulator.refuse_next(Refusal::new(status, reason));
        let rejection = rejected(&client, &wake(&device.token(), "M")).await;
        assert_eq!(
            (rejection.status, rejection.reason.as_str()),
            (status, reason)
        );
        assert_eq!(rejection.action(), action);
        assert!(rejection.apns_id.is_some());
        accepted(&client, &wake(&device.token(), "M")).await;
    }
}

#[tokio::test]
async fn a_goaway_costs_no_push() {
    let world = World::start().await;
    let device = world.device().await;
    let client = Arc::new(world.client());
    for _ in 0..20 {
        let pushes: Vec<_> = (0..20)
            .map(|_| {
                let (client, wake) = (Arc::clone(&client), wake(&device.token(), "M"));
                tokio::spawn(async move { accepted(&client, &wake).await })
            })
            .collect();
        world.simulator.close_provider_connections();
        for push in pushes {
            push.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_costs_no_push() {
    let world = World::start().await;
    let device = world.device().await;
    let client = Arc::new(world.client());
    accepted(&client, &wake(&device.token(), "M")).await;
    for _ in 0..20 {
        let pushes: Vec<_> = (0..20)
            .map(|_| {
                let (client, wake) = (Arc::clone(&client), wake(&device.token(), "M"));
                tokio::spawn(async move { accepted(&client, &wake).await })
            })
            .collect();
        tokio::task::yield_now().await;
        world.simulator.break_provider_connections();
        for push in pushes {
            push.await.unwrap();
        }
    }
}

#[tokio::test]
async fn many_pushes_share_one_connection_with_few_in_flight() {
    let world = World::start().await;
    let device = world.device().await;
    let limits = Limits {
        in_flight: 25,
        ..Limits::default()
    };
    let client = Apns::new(world.endpoint(), &world.certificate(), &limits).unwrap();
    let client = Arc::new(client);
    let pushes: Vec<_> = (0..1000)
        .map(|_| {
            let (client, wake) = (Arc::clone(&client), wake(&device.token(), "M"));
            tokio::spawn(async move { accepted(&client, &wake).await })
        })
        .collect();
    for push in pushes {
        push.await.unwrap();
    }
    let events = world.events();
    let accepted = events.iter().filter(|event| **event == Event::Accepted);
    assert_eq!(accepted.count(), 1000);
}

#[tokio::test]
async fn with_apns_switched_off_nothing_is_delivered_until_it_is_back() {
    let world = World::start().await;
    let mut device = world.device().await;
    let token = device.token();
    let client = world.client();
    accepted(&client, &wake(&token, "BEFORE")).await;
    assert_eq!(device.next_wake().await, Some(PushMagic::new("BEFORE")));

    let World {
        directory,
        simulator,
        said,
    } = world;
    simulator.stop().await;
    let error = client.send(&wake(&token, "LOST")).await.unwrap_err();
    assert!(matches!(*cause(error), ConnectError::Tcp(_)));

    let _simulator = simulate(directory.path(), said.push_address, said.device_address).await;
    loop {
        match client.send(&kept(&token, "AFTER")).await {
            Ok(Outcome::Accepted { .. }) => break,
            // A real sender leaves this to its schedule.
            Err(SendError::Unreachable { retry_in, .. }) => tokio::time::sleep(retry_in).await,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(device.next_wake().await, Some(PushMagic::new("AFTER")));
    assert_eq!(device.token(), token, "the token outlives the simulator");
}

#[tokio::test]
async fn a_push_certificate_of_somebody_else_is_named_as_the_cause() {
    let world = World::start().await;
    let other = PushAuthority::create(SystemTime::now())
        .and_then(|other| other.push_certificate(&world.said.topic, SystemTime::now()))
        .unwrap();
    let client = Apns::new(world.endpoint(), &read(&other), &Limits::default()).unwrap();
    let token = DeviceToken::new([0; 32]);
    for _ in 0..2 {
        let error = client.send(&wake(&token, "M")).await.unwrap_err();
        let cause = cause(error);
        assert!(
            matches!(&*cause, ConnectError::CertificateRefused { .. }),
            "{cause:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_push() {
    let world = World::start().await;
    let other = PushAuthority::create(SystemTime::now()).unwrap();
    let roots = Roots::Pem(other.certificate().to_pem());
    let endpoint = Endpoint::new("localhost", world.said.push_address.port(), &roots).unwrap();
    let client = Apns::new(endpoint, &world.certificate(), &Limits::default()).unwrap();
    let error = client.send(&wake(&DeviceToken::new([0; 32]), "M")).await;
    assert!(matches!(*cause(error.unwrap_err()), ConnectError::Tls(_)));
    assert_eq!(world.events(), []);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let world = World::start().await;
    let mute = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let endpoint = endpoint(mute.local_addr().unwrap(), &world.said.ca);
    let limits = Limits {
        connect: Duration::from_millis(50),
        ..Limits::default()
    };
    let client = Apns::new(endpoint, &world.certificate(), &limits).unwrap();
    let error = client.send(&wake(&DeviceToken::new([0; 32]), "M")).await;
    assert!(matches!(
        *cause(error.unwrap_err()),
        ConnectError::TimedOut { .. }
    ));
}

#[tokio::test]
async fn the_pkcs12_file_is_the_same_certificate() {
    let world = World::start().await;
    let file = std::fs::read(&world.said.push_pkcs12).unwrap();
    let certificate =
        PushCertificate::from_pkcs12(&file, &world.said.push_pkcs12_password).unwrap();
    assert_eq!(certificate.topic(), world.certificate().topic());
    let client = Apns::new(world.endpoint(), &certificate, &Limits::default()).unwrap();
    let device = world.device().await;
    accepted(&client, &wake(&device.token(), "M")).await;
}
