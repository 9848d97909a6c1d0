//! Devices that are enrolled by the database's account, and known to the simulated APNs.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, SystemTime};

use lanyard_pki::seal::KeyRing;
use lanyard_store::{
    AuthenticateRow, Certificate, CertificatePurpose, Challenge, EnrollmentFacts, NewIssuance,
    Occasion, Store, TokenUpdate, TransactionKey,
};
use lanyard_tests::site::Site;
use serde_json::json;
use tokio::task::JoinSet;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Devices that are written at the same time.
const TOGETHER: usize = 16;

/// So many, each with a push that is due.
pub(crate) async fn enroll(site: &Site, count: usize) -> Result<(), Box<dyn Error>> {
    let topic = site.apns()?.topic.clone();
    let mut tokens = String::new();
    for number in 0..count {
        let registered = json!({"registered": {
            "token": hex::encode(token(number)), "udid": udid(number), "topic": topic,
        }});
        writeln!(tokens, "{registered}")?;
    }
    fs::write(site.apns_folder().join("tokens.jsonl"), tokens)?;
    let key = fs::read_to_string(site.data().join("sealing.key"))?;
    let store = Store::connect(&site.database_url(), KeyRing::from_text(&key)?).await?;
    let mut writing = JoinSet::new();
    for first in 0..TOGETHER {
        let (store, topic) = (store.clone(), topic.clone());
        writing.spawn(async move {
            for number in (first..count).step_by(TOGETHER) {
                write(&store, &topic, number).await?;
            }
            Ok::<_, lanyard_store::StoreError>(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    Ok(())
}

async fn write(store: &Store, topic: &str, number: usize) -> Result<(), lanyard_store::StoreError> {
    let now = SystemTime::now();
    let (udid, fingerprint) = (udid(number), format!("{number:064x}"));
    let issuance = NewIssuance {
        key: TransactionKey {
            endpoint: "device".into(),
            transaction_id: format!("{number:08x}"),
            signer_spki: fingerprint.clone(),
        },
        csr_sha256: fingerprint.clone(),
        challenge: Challenge {
            id: format!("challenge-{number}"),
            expires_at: now + YEAR,
        },
        certificate: Certificate {
            fingerprint: fingerprint.clone(),
            serial: format!("{number:x}"),
            authority: "device".into(),
            subject: format!("CN={udid}"),
            purpose: CertificatePurpose::Identity,
            session_id: None,
            device_id: None,
            issued_at: now,
            not_after: now + YEAR,
            revoked_at: None,
            der: vec![0x30, 0x00],
        },
        session: None,
    };
    store.issue(&issuance, now).await?;
    let row = AuthenticateRow {
        device_id: udid.clone(),
        session_id: None,
        directory: "local-users".into(),
        person_id: "tester".into(),
        person_name: "Tester".into(),
        topic: topic.into(),
        certificate: fingerprint.clone(),
        facts: EnrollmentFacts::default(),
    };
    store
        .authenticate(row, Occasion::FreshEnrollment, now)
        .await?;
    let tokens = TokenUpdate {
        device_id: &udid,
        user_id: None,
        certificate: &fingerprint,
        topic,
        token: &token(number),
        push_magic: "magic",
        unlock_token: None,
        awaiting_configuration: None,
    };
    store.token_update(tokens, now).await?;
    store.schedule_push(&udid, now).await?;
    Ok(())
}

fn udid(number: usize) -> String {
    format!("00008110-{number:016X}")
}

fn token(number: usize) -> [u8; 32] {
    let mut token = [7; 32];
    token[..8].copy_from_slice(&(number as u64).to_be_bytes());
    token
}
