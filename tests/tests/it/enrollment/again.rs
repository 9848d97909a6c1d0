//! A device that is enrolled once more: nothing of the time before reaches it, or speaks for it.

use lanyard_device::enroll::Phase;
use lanyard_store::CommandState;

use super::{crash::queue, foreign::by, stage::Stage};

#[tokio::test]
async fn a_fresh_enrollment_leaves_the_one_before_behind() {
    let stage = Stage::start();
    let before = stage.at(Phase::TokenUpdate).await;
    let erase = queue(&stage, &before, "EraseDevice");

    let mut after = stage.erased(&before.device.model.facts);
    after.reach(&stage, Phase::TokenUpdate).await;
    assert_eq!(after.device.udid(), before.device.udid());
    assert!(after.connect(&after.idle()).await.is_none());

    let store = stage.site.store().await.unwrap();
    let udid = after.device.udid();
    let command = store.find_command(udid, &erase).await.unwrap().unwrap();
    assert_eq!(command.summary.state, CommandState::Cleared);
    let target = store.push_target(udid).await.unwrap().unwrap();
    assert_eq!(target.push_magic.expose().as_str(), after.magic().expose());
    let unlock = store.unlock_token(udid).await.unwrap().unwrap();
    assert_eq!(
        unlock.expose().as_slice(),
        after.device.model.unlock_token.expose()
    );

    // The identity of before is still valid, and speaks for this device no more: not even to begin again.
    by(&stage, "the identity of before", &before, before.identity()).await;
    assert!(after.connect(&after.idle()).await.is_none());
}

#[tokio::test]
async fn authenticate_out_of_the_same_session_keeps_what_is_queued() {
    let stage = Stage::start();
    let mut journey = stage.at(Phase::TokenUpdate).await;
    let uuid = queue(&stage, &journey, "DeviceInformation");
    let magic = journey.magic().clone();
    assert_eq!(journey.subscription().next_wake().await, Some(magic));
    let before = stage.records().await;
    for message in [journey.authenticate(), journey.token_update()] {
        assert_eq!(journey.send(&message).await.status, 200);
        let now = stage.records().await;
        assert_eq!(now["command"], before["command"]);
        assert_eq!(now["certificate"], before["certificate"]);
    }
    let command = journey.connect(&journey.idle()).await.unwrap();
    assert_eq!(command.uuid(), uuid);
}

#[tokio::test]
async fn a_session_enrolls_one_device_to_the_end_and_no_more() {
    let stage = Stage::start();
    let journey = stage.at(Phase::TokenUpdate).await;
    let before = stage.records().await;
    for message in [journey.phase_2(), journey.phase_3()] {
        assert_eq!(journey.post_message(&message).await.status, 400);
    }
    assert_eq!(stage.records().await, before);
}
