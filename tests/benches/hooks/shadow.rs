//! `lanyard plugin shadow` over many records of a server's.

use std::error::Error;
use std::fs;
use std::time::Instant;

use lanyard_pki::seal::SealingKey;
use lanyard_store::{DecisionFilter, Store};
use lanyard_tests::guests;
use lanyard_tests::measured::say;
use lanyard_tests::process::wait_until;
use lanyard_tests::site::Site;
use uuid::Uuid;

const RECORDS: usize = 10_000;
const PASSWORD: &str = "correct horse battery";

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let mut site = Site::temporary(&[])?;
    let component = site.data().join("approval.wasm");
    fs::copy(guests::component("example-enrollment-approval"), &component)?;
    let policy = site.data().join("policy.toml");
    fs::write(
        &policy,
        "[[binding]]\nhook = \"enrollment-approval\"\nname = \"approval\"\nplugin = \"approval.wasm\"\n",
    )?;
    site.start_apns()?;
    site.start_server()?;
    let password = site.add_user(PASSWORD)?;
    site.lanyard(&["policy", "apply", &policy.display().to_string()])?;
    let device = site.start_device(&password, &[])?;
    wait_until("a decision", || {
        let decisions = site.lanyard_json(&["decisions", "list"]).ok()?;
        decisions[0]["id"].is_string().then_some(())
    })?;
    drop(device);
    site.kill_server();
    multiply(&site).await?;
    site.start_server()?;

    let began = Instant::now();
    let file = component.display().to_string();
    let trial = ["plugin", "shadow", &file, "--hook", "enrollment-approval"];
    let said = site.lanyard(&[&trial[..], &["--since", "1d"]].concat())?;
    let took = began.elapsed().as_secs_f64();
    say(format_args!(
        "\n# `lanyard plugin shadow` over {RECORDS} records of a running server\n{took:.1} s, {:.0} records/s: {}",
        RECORDS as f64 / took,
        said.lines().last().unwrap_or_default()
    ));
    Ok(())
}

/// The one decision that was really made, under as many ids.
async fn multiply(site: &Site) -> Result<(), Box<dyn Error>> {
    let key = SealingKey::from_text(&fs::read_to_string(site.data().join("sealing.key"))?)?;
    let url = site.database_url();
    let store = Store::connect(&url, key).await?;
    let filter = DecisionFilter {
        hook: Some("enrollment-approval"),
        ..DecisionFilter::default()
    };
    let mut records = store.list_decisions(filter, 1).await?;
    let mut record = records.pop().ok_or("there is no decision")?;
    for _ in 1..RECORDS {
        record.id = Uuid::new_v4().to_string();
        store.keep_decision(&record).await?;
    }
    Ok(store.close().await?)
}
