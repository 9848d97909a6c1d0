//! The disk is full, or the database gone: devices are told to come back, operators why, and all goes on by itself.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    process::Command,
    time::Duration,
};

use lanyard_device::{
    enroll::{Phase, StepError},
    http::Answer,
};
use lanyard_tests::{balancer::Balancer, database, process::wait_until, site::run};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    crash::queue,
    stage::{Journey, Stage},
};

const DATABASE_URL: &str = "LANYARD_DATABASE_URL";
const PATIENCE: Duration = Duration::from_secs(60);

/// A file system of its own, small enough to be filled.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where this process may not mount any.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
        match run(mount.arg(folder.path())) {
            Ok(_) => Some(Self(folder)),
            Err(error) => {
                let _ = writeln!(
                    std::io::stderr(),
                    "skipped: no file system to fill: {error}"
                );
                None
            }
        }
    }

    fn fill(&self) {
        let mut file = File::create(self.0.path().join("filler")).unwrap();
        loop {
            match file.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(self.0.path()));
    }
}

async fn send(journey: &Journey, report: &[u8]) -> Answer {
    journey.connect_as(report, journey.identity()).await
}

/// Nothing of what fails meanwhile is answered as if it were done, or as if it were the device's fault.
async fn expect_failing(stage: &Stage, journey: &Journey, report: &[u8], why: &str) {
    assert_eq!(send(journey, report).await.status, 503);
    let newcomer = stage.newcomer();
    let link = stage.site.url("/enroll");
    let signed_in = newcomer.device.sign_in(&link, &stage.credentials).await;
    match signed_in {
        Err(StepError::Refused(answer)) => assert_eq!(answer.status, 503),
        other => panic!("{other:?}"),
    }
    let error = stage.site.post(journey.device.udid(), "ProfileList");
    assert!(error.unwrap_err().contains(why));
    let log = stage.site.server_log();
    let is_said = |line: &str| {
        let is_error = line.contains("ERROR") && line.contains("what=\"connect\"");
        is_error && line.contains(why)
    };
    assert!(log.lines().any(is_said), "{log}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_gone_on_from_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let file = disk.0.path().join("lanyard.db");
    let url = format!("sqlite://{}", file.display());
    let stage = Stage::with(&[(DATABASE_URL, url)]);
    let journey = stage.at(Phase::TokenUpdate).await;
    let uuid = queue(&stage, &journey, "DeviceInformation");
    let command = journey.connect(&journey.idle()).await.unwrap();
    assert_eq!(command.uuid(), uuid);

    disk.fill();
    let result = journey.acknowledged(&command);
    expect_failing(&stage, &journey, &result, "full").await;
    // What only reads is answered: the command is still to be done.
    let again = journey.connect(&journey.idle()).await.unwrap();
    assert_eq!(again.uuid(), uuid);

    disk.clear();
    assert!(journey.connect(&result).await.is_none());
    assert_eq!(
        stage.site.completed(&uuid).unwrap()["state"],
        "acknowledged"
    );
    stage.at(Phase::TokenUpdate).await;
}

#[tokio::test]
async fn a_database_that_was_gone_is_gone_on_with_when_it_is_back() {
    // A file is not gone, and comes back.
    let Some(database) = database::on_postgres().unwrap() else {
        return;
    };
    let url = database.url();
    let (user, place) = url.split_once('@').unwrap();
    let (address, name) = place.split_once('/').unwrap();
    let wire = Balancer::start(vec![address.parse().unwrap()]).unwrap();
    let url = format!("{user}@{}/{name}", wire.address());
    let stage = Stage::with(&[(DATABASE_URL, url)]);
    let journey = stage.at(Phase::TokenUpdate).await;
    let uuid = queue(&stage, &journey, "DeviceInformation");
    let command = journey.connect(&journey.idle()).await.unwrap();

    wire.cut();
    let result = journey.acknowledged(&command);
    expect_failing(&stage, &journey, &result, "database").await;
    let place = format!("database=\"postgres://{}/{name}\"", wire.address());
    wait_until("the log to say which database it is", || {
        stage.site.server_log().contains(&place).then_some(())
    })
    .unwrap();

    wire.mend();
    let taken = async {
        loop {
            let answer = send(&journey, &result).await;
            match answer.status {
                200 => return answer,
                503 => sleep(Duration::from_millis(50)).await,
                other => panic!("{other}"),
            }
        }
    };
    let answer = timeout(PATIENCE, taken).await.unwrap();
    assert!(answer.body.is_empty(), "there is nothing more to do");
    assert_eq!(
        stage.site.completed(&uuid).unwrap()["state"],
        "acknowledged"
    );
}
