//! What is over is forgotten after the days that the configuration says.

use lanyard_tests::{process::wait_until, site::Site};
use sea_orm::{ConnectionTrait, Database};

use super::{enroll, refuses, running_with};

const POLICY: &str = r#"
[[binding]]
hook = "ra-approval"
name = "certificates"
plugin = "challenge-approval.wasm"
"#;

const COMMANDS_DAYS: i64 = 2;
const DECISIONS_DAYS: i64 = 6;

/// Lets so many days pass over one row, for a server that does not run.
async fn age(site: &Site, table: &str, times: &[&str], id: (&str, &str), days: i64) {
    let database = Database::connect(site.database_url()).await.unwrap();
    let past = days * 24 * 3600 * 1000;
    let set = times.iter().map(|time| format!("{time} = {time} - {past}"));
    let set = set.collect::<Vec<_>>().join(", ");
    let (column, value) = id;
    let statement = format!("UPDATE {table} SET {set} WHERE {column} = '{value}'");
    let aged = database.execute_unprepared(&statement).await.unwrap();
    assert_eq!(aged.rows_affected(), 1, "{statement}");
    database.close().await.unwrap();
}

fn ids(site: &Site, list: &[&str], id: &str) -> Vec<String> {
    let listed = site.lanyard_json(list).unwrap();
    let listed = listed.as_array().unwrap().iter();
    listed
        .map(|each| each[id].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_over_goes_after_its_days_and_nothing_else_does() {
    let days = [
        ("LANYARD_RETENTION_COMMANDS_DAYS", COMMANDS_DAYS),
        ("LANYARD_RETENTION_DECISIONS_DAYS", DECISIONS_DAYS),
    ];
    let mut site = running_with(&days.map(|(name, days)| (name, days.to_string())));
    site.apply(POLICY, &["challenge-approval"]).unwrap();
    let udid = enroll(&site);
    let [old, recent] = [0, 1].map(|_| site.post(&udid, "ProfileList").unwrap());
    let device = site.resume_devices().unwrap();
    for uuid in [&old, &recent] {
        assert_eq!(site.completed(uuid).unwrap()["state"], "acknowledged");
    }
    drop(device);
    let waiting = site.post(&udid, "ProfileList").unwrap();
    let decisions = ids(&site, &["decisions", "list"], "id");
    let [last, first] = &decisions[..] else {
        panic!("one for each certificate: {decisions:?}");
    };

    site.kill_server();
    let done = ["created_at", "sent_at", "completed_at"];
    age(&site, "command", &done, ("uuid", &old), COMMANDS_DAYS + 1).await;
    age(
        &site,
        "command",
        &done,
        ("uuid", &recent),
        COMMANDS_DAYS - 1,
    )
    .await;
    age(&site, "command", &["created_at"], ("uuid", &waiting), 1000).await;
    age(
        &site,
        "decision",
        &["at"],
        ("id", first),
        DECISIONS_DAYS + 1,
    )
    .await;
    age(&site, "decision", &["at"], ("id", last), DECISIONS_DAYS - 1).await;

    // In as many days, what the server had for itself is over.
    let database = Database::connect(site.database_url()).await.unwrap();
    database
        .execute_unprepared("DELETE FROM lease")
        .await
        .unwrap();
    database.close().await.unwrap();
    site.start_server().unwrap();
    let (commands, records) = wait_until("what is over to go", || {
        let commands = ids(&site, &["command", "list"], "uuid");
        let decisions = ids(&site, &["decisions", "list"], "id");
        (commands.len() < 3 && decisions.len() < 2).then_some((commands, decisions))
    })
    .unwrap();
    assert_eq!(commands, [recent, waiting.clone()]);
    assert_eq!(records, std::slice::from_ref(last));
    refuses(&site, &["command", "show", &old], &["no command", &old]);
    refuses(
        &site,
        &["decisions", "show", first],
        &["no decision", first],
    );

    let _device = site.resume_devices().unwrap();
    assert_eq!(site.completed(&waiting).unwrap()["state"], "acknowledged");
}
