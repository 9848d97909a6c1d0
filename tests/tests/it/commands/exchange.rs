//! The rules of an exchange (Apple, "Sending MDM commands to a device" and "Handling NotNow status responses").

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use lanyard_store::Store;
use lanyard_tests::{process::wait_until, site::Site};
use sea_orm::{ConnectionTrait as _, Database};

use super::running;
use crate::puppet::{Puppet, command};

/// What the device says. Commands go by their request type.
#[derive(Debug, Clone, Copy)]
enum Say {
    Idle,
    Ack(&'static str),
    Error(&'static str),
    FormatError(&'static str),
    NotNow(&'static str),
    /// A result of a command that nobody sent.
    Unknown,
    /// A result that is no property list.
    Garbled(&'static str),
    /// A result nested deeper than is read.
    Deep(&'static str),
    /// A result with a status that there is not.
    Perhaps(&'static str),
}

use Say::{Ack, Deep, Error, FormatError, Garbled, Idle, NotNow, Perhaps, Unknown};

struct Script {
    name: &'static str,
    queued: &'static [&'static str],
    /// What the device says, and the command that it is answered with; none is 200 with no bytes.
    said: &'static [(Say, Option<&'static str>)],
    /// How the commands stand in the end.
    end: &'static [(&'static str, &'static str)],
    /// Whether the device is going to be woken without further work.
    comes_back: bool,
}

const SCRIPTS: [Script; 11] = [
    Script {
        name: "commands go out in order, one at a time",
        queued: &["A", "B", "C"],
        said: &[
            (Idle, Some("A")),
            (Ack("A"), Some("B")),
            (Ack("B"), Some("C")),
            (Ack("C"), None),
            (Idle, None),
        ],
        end: &[
            ("A", "acknowledged"),
            ("B", "acknowledged"),
            ("C", "acknowledged"),
        ],
        comes_back: false,
    },
    Script {
        name: "what was put off waits for the next Idle, and others do not wait for it",
        queued: &["A", "B", "C"],
        said: &[
            (Idle, Some("A")),
            (NotNow("A"), Some("B")),
            (Ack("B"), Some("C")),
            (NotNow("C"), None),
            (Idle, Some("A")),
            (Ack("A"), None),
            (Idle, Some("C")),
            (Ack("C"), None),
        ],
        end: &[
            ("A", "acknowledged"),
            ("B", "acknowledged"),
            ("C", "acknowledged"),
        ],
        // From the Ack of A, when C was left.
        comes_back: true,
    },
    Script {
        name: "a device whose last word was not NotNow is woken for what it put off",
        queued: &["A", "B"],
        said: &[
            (Idle, Some("A")),
            (NotNow("A"), Some("B")),
            (Ack("B"), None),
        ],
        end: &[("A", "not_now"), ("B", "acknowledged")],
        comes_back: true,
    },
    Script {
        name: "a device whose last word was NotNow comes back by itself",
        queued: &["A", "B"],
        said: &[
            (Idle, Some("A")),
            (NotNow("A"), Some("B")),
            (NotNow("B"), None),
            (Idle, Some("A")),
            (NotNow("A"), None),
        ],
        end: &[("A", "not_now"), ("B", "not_now")],
        comes_back: false,
    },
    Script {
        name: "errors end a command",
        queued: &["A", "B", "C"],
        said: &[
            (Idle, Some("A")),
            (Error("A"), Some("B")),
            (FormatError("B"), Some("C")),
            (Ack("C"), None),
            (Idle, None),
        ],
        end: &[("A", "error"), ("B", "format_error"), ("C", "acknowledged")],
        comes_back: false,
    },
    Script {
        name: "an answer that repeats itself is taken and changes nothing",
        queued: &["A", "B"],
        said: &[
            (Idle, Some("A")),
            (Ack("A"), Some("B")),
            (Ack("A"), Some("B")),
            (Error("A"), Some("B")),
            (NotNow("A"), Some("B")),
            (Ack("B"), None),
            (NotNow("B"), None),
            (Idle, None),
        ],
        end: &[("A", "acknowledged"), ("B", "acknowledged")],
        comes_back: false,
    },
    Script {
        name: "a command whose delivery was lost is delivered again",
        queued: &["A", "B"],
        said: &[
            (Idle, Some("A")),
            (Idle, Some("A")),
            (Ack("A"), Some("B")),
            (Idle, Some("B")),
            (Ack("A"), Some("B")),
            (Ack("B"), None),
        ],
        end: &[("A", "acknowledged"), ("B", "acknowledged")],
        comes_back: false,
    },
    Script {
        name: "an answer to a command that nobody sent is taken",
        queued: &["A"],
        said: &[
            (Unknown, Some("A")),
            (Unknown, Some("A")),
            (Ack("A"), None),
            (Unknown, None),
        ],
        end: &[("A", "acknowledged")],
        comes_back: false,
    },
    Script {
        name: "an answer to a command that was not sent yet ends it",
        queued: &["A", "B"],
        said: &[(Ack("B"), Some("A")), (Ack("A"), None)],
        end: &[("A", "acknowledged"), ("B", "acknowledged")],
        comes_back: false,
    },
    Script {
        name: "an answer that cannot be read ends its command and blocks nothing",
        queued: &["A", "B", "C", "D"],
        said: &[
            (Idle, Some("A")),
            (Garbled("A"), Some("B")),
            (Deep("B"), Some("C")),
            (Perhaps("C"), Some("D")),
            (Garbled("A"), Some("D")),
            (Ack("D"), None),
        ],
        end: &[
            ("A", "error"),
            ("B", "error"),
            ("C", "error"),
            ("D", "acknowledged"),
        ],
        comes_back: false,
    },
    Script {
        name: "what was put off can still fail",
        queued: &["A"],
        said: &[
            (Idle, Some("A")),
            (NotNow("A"), None),
            (Idle, Some("A")),
            (NotNow("A"), None),
            (Error("A"), None),
            (Idle, None),
        ],
        end: &[("A", "error")],
        comes_back: false,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_keeps_the_rules() {
    let site = running();
    let store = site.store().await.unwrap();
    let puppets = Puppet::enroll(&site, SCRIPTS.len());
    assert_eq!(puppets.len(), SCRIPTS.len());
    // A device with a new token is reminded as soon as one is woken that put something off; these have had theirs for three days.
    let database = Database::connect(site.database_url()).await.unwrap();
    let age = "UPDATE enrollment SET token_updated_at = token_updated_at - 259200000";
    let aged = database.execute_unprepared(age).await.unwrap();
    assert_eq!(aged.rows_affected(), puppets.len() as u64);
    for (puppet, script) in puppets.iter().zip(&SCRIPTS) {
        play(&site, &store, puppet, script).await;
    }
}

async fn play(site: &Site, store: &Store, puppet: &Puppet, script: &Script) {
    let name = script.name;
    let uuids: HashMap<&str, String> = script
        .queued
        .iter()
        .map(|kind| (*kind, site.send(&puppet.udid, kind, &[]).unwrap()))
        .collect();
    // The pushes for the commands are over before the exchange begins, so that one left is the exchange's own.
    while due_soon(store, puppet).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (number, (say, expected)) in script.said.iter().enumerate() {
        let body = message(puppet, &uuids, *say);
        let next = command(&puppet.report(&body).await);
        let found = next.as_ref().map(|command| command.request_type());
        assert_eq!(found, *expected, "{name}: {number}, after {say:?}");
        if let Some(next) = &next {
            assert_eq!(next.uuid(), uuids[next.request_type()], "{name}: {number}");
        }
    }
    for (kind, state) in script.end {
        let found = site.command(&uuids[kind]).unwrap();
        assert_eq!(found["state"], *state, "{name}: {kind}");
    }
    assert_eq!(due_soon(store, puppet).await, script.comes_back, "{name}");
}

/// Whether the device is woken before it would be reminded of what it was told already.
async fn due_soon(store: &Store, puppet: &Puppet) -> bool {
    const REMINDER: Duration = Duration::from_hours(1);
    let due = store.push_due(&puppet.udid).await.unwrap();
    due.is_some_and(|due| due < SystemTime::now() + REMINDER / 2)
}

fn message(puppet: &Puppet, uuids: &HashMap<&str, String>, say: Say) -> Vec<u8> {
    let nest = "<array>".repeat(100) + &"</array>".repeat(100);
    let odd = |kind: &str, rest: &str| {
        format!(
            "<plist version=\"1.0\"><dict><key>UDID</key><string>{}</string>\
             <key>CommandUUID</key><string>{}</string>{rest}",
            puppet.udid, uuids[kind]
        )
        .into_bytes()
    };
    match say {
        Idle => puppet.message(vec![("Status", "Idle".into())]),
        Ack(kind) => puppet.result(&uuids[kind], "Acknowledged"),
        Error(kind) => puppet.result(&uuids[kind], "Error"),
        FormatError(kind) => puppet.result(&uuids[kind], "CommandFormatError"),
        NotNow(kind) => puppet.result(&uuids[kind], "NotNow"),
        Perhaps(kind) => puppet.result(&uuids[kind], "Perhaps"),
        Unknown => puppet.result("11111111-2222-3333-4444-555555555555", "Acknowledged"),
        Garbled(kind) => odd(kind, "<key>Status</key><string>Acknowledged</str"),
        Deep(kind) => odd(
            kind,
            &format!(
                "<key>Status</key><string>Acknowledged</string><key>List</key>{nest}</dict></plist>"
            ),
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_cannot_answer_for_another() {
    let site = running();
    let [one, other] = <[Puppet; 2]>::try_from(Puppet::enroll(&site, 2))
        .ok()
        .unwrap();
    let uuid = site.send(&one.udid, "A", &[]).unwrap();
    assert_eq!(one.idle().await.unwrap().uuid(), uuid);

    // Under its own name, it answers to a command that it never got; under the other's, it is refused.
    assert!(other.answer(&uuid, "Acknowledged").await.is_none());
    let forged = one.result(&uuid, "Acknowledged");
    assert_eq!(other.report(&forged).await.status, 400);
    let garbled = &forged[..forged.len() - 10];
    assert_eq!(other.report(garbled).await.status, 400);
    assert_eq!(site.command(&uuid).unwrap()["state"], "sent");

    assert!(one.answer(&uuid, "Acknowledged").await.is_none());
    assert_eq!(site.command(&uuid).unwrap()["state"], "acknowledged");
}

#[test]
fn a_device_that_loses_repeats_and_puts_off_still_does_everything() {
    let site = running();
    let password = site.add_user("correct horse battery").unwrap();
    let udid = "00008120-00000000000010FE";
    let further = [
        &["--udid", udid][..],
        &[
            "--mischief",
            "lose-command",
            "--mischief",
            "duplicate-results",
        ],
        &[
            "--behaviour",
            "SecurityInfo=not-now*1",
            "--behaviour",
            "DeviceLock=lose*1",
        ],
    ];
    let mut device = site.start_device(&password, &further.concat()).unwrap();
    device.wait_for("check-in (TokenUpdate)").unwrap();
    let send = |kind| site.send(udid, kind, &[]).unwrap();
    let uuids = [
        "SecurityInfo",
        "ProfileList",
        "DeviceLock",
        "DeviceInformation",
    ]
    .map(send);
    wait_until("the device's silence", || {
        device.said().contains("DeviceLock: silence").then_some(())
    })
    .unwrap();
    // After it, the device sleeps until it is woken again.
    site.lanyard(&["push", udid]).unwrap();
    for uuid in uuids {
        let command = site.completed(&uuid).unwrap();
        assert_eq!(
            command["state"],
            "acknowledged",
            "{command}\n{}",
            device.said()
        );
    }
}
