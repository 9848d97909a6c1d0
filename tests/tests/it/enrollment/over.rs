//! An identity ends with what it was issued for: with the session that led to it, and with the enrollment.

use lanyard_device::enroll::Phase;
use lanyard_tests::site::USER;

use super::{foreign::refused, stage::Stage};

#[tokio::test]
async fn an_identity_is_not_used_first_after_its_session() {
    let stage = Stage::start();
    let late = stage.at(Phase::IdentityCertificate).await;
    stage.expire_session().await;
    let authenticate = late.authenticate();
    refused(&stage, "after the session", 400, late.send(&authenticate)).await;
}

#[tokio::test]
async fn a_person_who_was_disabled_meanwhile_does_not_check_in() {
    let stage = Stage::start();
    let device = stage.at(Phase::IdentityCertificate).await;
    stage.site.lanyard(&["user", "disable", USER]).unwrap();
    assert_eq!(device.send(&device.authenticate()).await.status, 403);
    stage.site.lanyard(&["user", "enable", USER]).unwrap();
    let authenticate = device.authenticate();
    refused(&stage, "a refused session", 400, device.send(&authenticate)).await;
}

#[tokio::test]
async fn a_released_device_does_not_come_back_under_its_old_identity() {
    let stage = Stage::start();
    let mut squatter = stage.at(Phase::TokenUpdate).await;
    let udid = squatter.device.udid().to_owned();
    stage.site.lanyard(&["device", "release", &udid]).unwrap();
    let messages = [squatter.authenticate(), squatter.token_update()];
    for message in messages {
        refused(&stage, "after the release", 400, squatter.send(&message)).await;
    }
    assert_eq!(
        squatter
            .connect_as(&squatter.idle(), squatter.identity())
            .await
            .status,
        400
    );

    // A new enrollment of the same device is welcome.
    let mut again = stage.erased(&squatter.device.model.facts);
    again.reach(&stage, Phase::TokenUpdate).await;
    squatter.reconnect();
    assert_eq!(squatter.send(&squatter.authenticate()).await.status, 400);
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_bounded() {
    let stage = Stage::start();
    let mut device = stage.at(Phase::IdentityCertificate).await;
    device.device.model.facts.product_name = "iPhone".repeat(100_000);
    let authenticate = device.authenticate();
    refused(&stage, "a long name", 400, device.send(&authenticate)).await;
    device.device.model.facts.product_name = "iPhone15,2".to_owned();
    device.reach(&stage, Phase::Authenticate).await;
    device.subscribe(&stage).await;
    device.device.model.unlock_token = lanyard_device::model::UnlockToken::new(&vec![7; 100_000]);
    let update = device.token_update();
    refused(&stage, "a huge unlock token", 400, device.send(&update)).await;
}
