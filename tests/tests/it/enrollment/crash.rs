//! The server is killed and started again between any two steps: what was begun goes on.

use lanyard_device::enroll::Phase;
use lanyard_store::{CommandState, EnrollmentState, SessionState};
use lanyard_tests::site::USER;

use super::stage::{Journey, Stage};

const PHASES: [Phase; 7] = [
    Phase::SignIn,
    Phase::Identify,
    Phase::InterimCertificate,
    Phase::Profile,
    Phase::IdentityCertificate,
    Phase::Authenticate,
    Phase::TokenUpdate,
];

#[tokio::test]
async fn an_enrollment_and_its_commands_go_on_over_a_crash_at_every_step() {
    let mut stage = Stage::start();
    let mut journey = stage.newcomer();
    for phase in PHASES {
        journey.reach(&stage, phase).await;
        stage.crash();
        journey.reconnect();
    }
    expect_enrolled(&stage, &journey).await;

    // Queued, and not fetched: the push survives, too.
    let uuid = queue(&stage, &journey, "DeviceInformation");
    stage.crash();
    journey.reconnect();
    let magic = journey.magic().clone();
    assert_eq!(journey.subscription().next_wake().await, Some(magic));
    let command = journey.connect(&journey.idle()).await.unwrap();
    assert_eq!(command.uuid(), uuid);

    // Sent, and not answered: it comes again to a device that has lost it, and the answer of one that has not is taken.
    stage.crash();
    journey.reconnect();
    let again = journey.connect(&journey.idle()).await.unwrap();
    assert_eq!(again.uuid(), uuid);
    stage.crash();
    journey.reconnect();
    let answer = journey.acknowledged(&command);
    assert!(journey.connect(&answer).await.is_none());

    // Answered: the same answer again, because the device never heard that it arrived, and nothing is left to do.
    stage.crash();
    journey.reconnect();
    assert!(journey.connect(&answer).await.is_none());
    assert!(journey.connect(&journey.idle()).await.is_none());
    let store = stage.site.store().await.unwrap();
    let udid = journey.device.udid();
    let commands = store.list_commands(udid, None, 10).await.unwrap();
    let states: Vec<_> = commands.iter().map(|each| each.state).collect();
    assert_eq!(states, [CommandState::Acknowledged]);
}

/// The tokens are the device's own, and its session is at its end.
async fn expect_enrolled(stage: &Stage, journey: &Journey) {
    let store = stage.site.store().await.unwrap();
    let udid = journey.device.udid();
    let enrollment = store.find_enrollment(udid).await.unwrap().unwrap();
    assert_eq!(enrollment.state, EnrollmentState::Enrolled);
    assert_eq!(enrollment.person_id, USER);
    let target = store.push_target(udid).await.unwrap().unwrap();
    assert_eq!(
        target.push_magic.expose().as_str(),
        journey.magic().expose()
    );
    let unlock = store.unlock_token(udid).await.unwrap().unwrap();
    assert_eq!(
        unlock.expose().as_slice(),
        journey.device.model.unlock_token.expose()
    );
    let session = enrollment.session_id.unwrap();
    let session = store.find_session(session).await.unwrap().unwrap();
    assert_eq!(session.state, SessionState::Completed);
}

/// Queues a command; its UUID.
pub(super) fn queue(stage: &Stage, journey: &Journey, request_type: &str) -> String {
    let udid = journey.device.udid();
    let answer = stage
        .site
        .lanyard_json(&["command", "send", udid, request_type])
        .unwrap();
    answer["uuid"].as_str().unwrap().to_owned()
}
