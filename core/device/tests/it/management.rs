//! Being managed: results are not lost, and a device that leaves takes its keys with it.

use std::time::Duration;

use lanyard_device::journal::Status;
use lanyard_device::manage::{Ended, Managed, Until};
use lanyard_device::mischief::{Mischief, Told};
use lanyard_device::model::Behaviour;
use lanyard_mdm::connect::Outcome;
use lanyard_mdm::unenroll;
use plist::{Dictionary, Value};

use crate::enrollment::Surroundings;
use crate::stand_in::StandIn;

struct Scene {
    surroundings: Surroundings,
    server: StandIn,
    device: Managed,
}

impl Scene {
    async fn new(mischief: &[Mischief]) -> Scene {
        let surroundings = Surroundings::new().await;
        let server = StandIn::start(None).await;
        let device = surroundings.enroll(&server, mischief).await.unwrap();
        Scene {
            surroundings,
            server,
            device,
        }
    }

    fn queue(&self, uuid: &str, request_type: &str, keys: &[(&str, Value)]) {
        let mut request: Dictionary = keys
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        request.insert("RequestType".to_owned(), request_type.into());
        self.server.queue(uuid, request);
    }

    fn refuse_next(&self, status: u16, body: &'static [u8]) {
        let mut script = self.server.script.lock().unwrap();
        script.refusals.push_back(Some((status, body)));
    }

    /// What the device has reported so far, in short.
    fn reports(&self) -> Vec<String> {
        let script = self.server.script.lock().unwrap();
        let outcomes = script.reports.iter().map(|report| &report.outcome);
        outcomes.map(short).collect()
    }
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Idle => "Idle".to_owned(),
        Outcome::Result {
            command_uuid,
            status,
            ..
        } => format!("{command_uuid} {}", status.as_str()),
    }
}

#[tokio::test]
async fn commands_are_carried_out_until_there_are_no_more() {
    let mut scene = Scene::new(&[]).await;
    scene.queue("1", "SecurityInfo", &[]);
    scene.queue("2", "DeviceLock", &[("Message", "Lost".into())]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Done);
    assert_eq!(
        scene.reports(),
        ["Idle", "1 Acknowledged", "2 Acknowledged"]
    );
    let state = scene.surroundings.state();
    assert!(state.locked);
    assert_eq!(state.model.answered.len(), 2);
}

#[tokio::test]
async fn a_result_that_was_not_taken_is_sent_again_before_anything_else() {
    let mut scene = Scene::new(&[]).await;
    scene.queue("1", "DeviceLock", &[]);
    scene.queue("2", "SecurityInfo", &[]);
    // Idle is taken, the result is not.
    scene.server.script.lock().unwrap().refusals.push_back(None);
    scene.refuse_next(503, b"");
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Broken);
    assert_eq!(scene.reports(), ["Idle"]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Done);
    assert_eq!(
        scene.reports(),
        ["Idle", "1 Acknowledged", "2 Acknowledged"]
    );
    // It was carried out once.
    assert_eq!(scene.device.device().model.answered.len(), 2);
}

#[tokio::test]
async fn behaviours_show_in_how_an_exchange_ends() {
    for (behaviour, ended, reports) in [
        ("not-now", Ended::NotNow, &["Idle", "1 NotNow"][..]),
        ("refuse", Ended::Silent, &["Idle"]),
        ("error:12021", Ended::Done, &["Idle", "1 Error"]),
        (
            "format-error",
            Ended::Done,
            &["Idle", "1 CommandFormatError"],
        ),
        ("delay:1", Ended::Done, &["Idle", "1 Acknowledged"]),
    ] {
        let mut scene = Scene::new(&[]).await;
        let behaviour: Behaviour = behaviour.parse().unwrap();
        scene.device.device_mut().model.behaviours = vec![behaviour.clone()];
        scene.queue("1", "DeviceLock", &[]);
        assert_eq!(scene.device.connect().await.unwrap(), ended, "{behaviour}");
        assert_eq!(scene.reports(), reports, "{behaviour}");
    }
}

#[tokio::test]
async fn results_come_twice_and_commands_get_lost_as_told() {
    let mut scene = Scene::new(&[Mischief::DuplicateResults]).await;
    scene.queue("1", "DeviceLock", &[]);
    scene.device.connect().await.unwrap();
    assert_eq!(
        scene.reports(),
        ["Idle", "1 Acknowledged", "1 Acknowledged"]
    );

    let mut scene = Scene::new(&[Mischief::LoseCommand]).await;
    scene.queue("1", "DeviceLock", &[]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Broken);
    assert!(scene.device.device().model.lock.is_none());
    scene.queue("1", "DeviceLock", &[]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Done);
    assert_eq!(scene.reports(), ["Idle", "Idle", "1 Acknowledged"]);
}

#[tokio::test]
async fn a_device_goes_on_after_a_restart() {
    let scene = Scene::new(&[]).await;
    let folder = scene.device.folder().to_owned();
    let identity = scene.device.identity().certificate.clone();
    drop(scene.device);
    let courier = &scene.surroundings.courier;
    let mut device = Managed::resume(&folder, courier, Told::default(), |_| {})
        .await
        .unwrap();
    assert_eq!(device.identity().certificate, identity);
    assert_eq!(device.connect().await.unwrap(), Ended::Done);
    // The simulated APNs remembers the token, so there is nothing to update.
    assert_eq!(scene.server.check_ins(), ["Authenticate", "TokenUpdate"]);
}

#[tokio::test]
async fn an_erased_device_has_no_keys_and_stays_away() {
    let mut scene = Scene::new(&[]).await;
    scene.queue("1", "EraseDevice", &[]);
    let ended = scene.device.connect().await.unwrap();
    assert_eq!(ended, Ended::Left(Status::Erased));
    assert_eq!(scene.reports(), ["Idle", "1 Acknowledged"]);
    let folder = scene.device.folder().to_owned();
    scene.device.leave(Status::Erased).await.unwrap();
    assert!(!folder.join("identity.key").exists());
    assert_eq!(scene.surroundings.state().status, Status::Erased);
    assert_eq!(scene.server.check_ins(), ["Authenticate", "TokenUpdate"]);
}

#[tokio::test]
async fn removing_the_enrollment_profile_ends_with_check_out() {
    let mut scene = Scene::new(&[]).await;
    let identifier = ("Identifier", "org.example.enrollment".into());
    scene.queue("1", "RemoveProfile", &[identifier]);
    let ended = scene.device.connect().await.unwrap();
    assert_eq!(ended, Ended::Left(Status::Unenrolled));
    scene.device.leave(Status::Unenrolled).await.unwrap();
    assert_eq!(
        scene.server.check_ins(),
        ["Authenticate", "TokenUpdate", "CheckOut"]
    );
}

#[tokio::test]
async fn a_dismissed_device_leaves_without_a_word() {
    let mut scene = Scene::new(&[]).await;
    scene.refuse_next(unenroll::STATUS, unenroll::DOCUMENT);
    let ended = scene.device.connect().await.unwrap();
    assert_eq!(ended, Ended::Left(Status::Dismissed));

    // Any other 403 is a refusal like others.
    let mut scene = Scene::new(&[]).await;
    scene.refuse_next(403, b"{}");
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Broken);
}

#[tokio::test]
async fn a_renewed_profile_brings_a_new_identity_to_the_same_place() {
    let mut scene = Scene::new(&[]).await;
    let before = scene.device.identity().certificate.clone();
    let renewal = StandIn::renewal(&scene.server.origin);
    scene.queue("1", "InstallProfile", &[("Payload", Value::Data(renewal))]);
    scene.queue("2", "SecurityInfo", &[]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Done);
    assert_ne!(scene.device.identity().certificate, before);
    assert_eq!(
        scene.server.check_ins()[2..],
        ["Authenticate", "TokenUpdate"]
    );
    assert_eq!(
        scene.reports(),
        ["Idle", "1 Acknowledged", "2 Acknowledged"]
    );

    // Another server's profile does not move the device there.
    let current = scene.device.identity().certificate.clone();
    let moved = StandIn::renewal("https://elsewhere.example");
    scene.queue("3", "InstallProfile", &[("Payload", Value::Data(moved))]);
    assert_eq!(scene.device.connect().await.unwrap(), Ended::Done);
    assert_eq!(scene.device.identity().certificate, current);
    assert_eq!(scene.server.check_ins().len(), 4);
}

#[tokio::test]
async fn a_device_that_has_done_enough_stops() {
    let scene = Scene::new(&[]).await;
    let ended = scene.device.run(Until::Settled(0)).await.unwrap();
    assert_eq!(ended, Status::Enrolled);
}

#[tokio::test]
async fn a_device_tells_its_new_token_when_apns_has_forgotten_the_old_one() {
    let Scene {
        mut surroundings,
        server,
        device,
    } = Scene::new(&[]).await;
    let before = device.state().token_sha256.clone();
    let managed = tokio::spawn(device.run(Until::TheEnd));
    surroundings.restart_apns_without_memory().await;
    while server.check_ins().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.check_ins()[2], "TokenUpdate");
    while surroundings.state().token_sha256 == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    managed.abort();
    // It was not woken, so it has asked for nothing.
    assert!(server.script.lock().unwrap().reports.is_empty());
}
