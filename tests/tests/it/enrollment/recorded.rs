//! The phase-2 message that a real device sent, before a running server that knows Apple's authorities.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use lanyard_mdm::Challenge;
use lanyard_pki::{Digest, seal::SealingKey};
use lanyard_store::{NewSession, SessionState, Store};
use lanyard_tests::site::USER;
use uuid::Uuid;

use super::{
    foreign::refused,
    stage::{Stage, post_message},
};

const UDID: &str = "78897E40-F532-5DE0-A7DC-56BAC5CEEB9C";
const CHALLENGE: &str = "8gLEIttrT7qbLOZs3XzL5XPgNXCliGwRLtn2Lfe4GBsa7g6MGm2sJjicKrLFal4D";

/// A file of `$LANYARD_SHARED`, or of the `shared` folder beside the checkout. These may not be copied into the project, so
/// a test that does not find them says so.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LANYARD_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return std::path::absolute(file).ok();
    }
    assert!(
        std::env::var_os("LANYARD_SHARED").is_none(),
        "{} is not there",
        file.display()
    );
    let _ = writeln!(
        std::io::stderr(),
        "skipped: {} is not there",
        file.display()
    );
    None
}

#[tokio::test]
async fn a_real_device_is_attested_and_needs_a_session() {
    let (Some(message), Some(apple)) = (
        shared("recorded/ota/phase2.ber"),
        shared("spec/data/apple-iphone-device-ca-chain.pem"),
    ) else {
        return;
    };
    let message = std::fs::read(message).unwrap();
    let stage = Stage::with(&[
        (
            "LANYARD_ENROLLMENT_APPLE_CA",
            format!("\"{}\"", apple.display()),
        ),
        ("LANYARD_ENROLLMENT_DEVICE_CA", "require".to_owned()),
    ]);
    let client = stage.site.client().unwrap();
    let url = stage.site.url("/enroll/profile");
    let post = |message: &[u8]| {
        let (client, url, message) = (client.clone(), url.clone(), message.to_vec());
        async move { post_message(&client, &url, &message).await }
    };

    let unknown = "its challenge, which is not ours";
    refused(&stage, unknown, 400, post(&message)).await;
    assert!(
        stage
            .site
            .server_log()
            .contains("the challenge is not ours")
    );

    // As if its person had signed in here.
    let id = sign_in(&stage).await;
    let mut altered = message.clone();
    altered[100] ^= 1;
    refused(&stage, "an altered octet", 400, post(&altered)).await;
    assert_eq!(post(&message).await.status, 200);
    let store = stage.site.store().await.unwrap();
    let session = store.find_session(id).await.unwrap().unwrap();
    assert_eq!(session.state, SessionState::Identified);
    assert_eq!(session.attestation.unwrap(), "apple");
    let device = session.device.unwrap();
    assert_eq!(device.udid, UDID);
    assert_eq!(device.product.as_deref(), Some("VirtualMac2,1"));
    refused(&stage, "a replay", 400, post(&message)).await;
}

/// Makes the session to which the recorded challenge belongs.
async fn sign_in(stage: &Stage) -> Uuid {
    let data = stage.site.data();
    let key = std::fs::read_to_string(data.join("sealing.key")).unwrap();
    let sealing = SealingKey::from_text(&key).unwrap();
    let store = Store::connect(&stage.site.database_url(), sealing)
        .await
        .unwrap();
    let (id, now) = (Uuid::new_v4(), SystemTime::now());
    let challenge = Challenge::new(CHALLENGE);
    let new = NewSession {
        id,
        directory: "local-users".to_owned(),
        person_id: USER.to_owned(),
        person_name: USER.to_owned(),
        attributes: serde_json::json!({}),
        challenge_hash: Digest::sha256(challenge.expose().as_bytes()).to_vec(),
        created_at: now,
        expires_at: now + Duration::from_secs(3600),
    };
    store.create_session(new).await.unwrap();
    store.close().await.unwrap();
    id
}
