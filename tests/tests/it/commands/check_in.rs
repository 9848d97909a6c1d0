//! Check-in messages beside those of an enrollment.

use plist::{Dictionary, Value};

use super::running;
use crate::puppet::{Keys, Puppet, command};

const USER: &str = "7F4C1B4E-7C8A-4B39-9C0E-2B8C3F0E7A11";

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_served_are_declined() {
    let site = running();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let user = ("UserID", Value::from(USER));
    let cases: [(&str, Keys<'_>, u16); 9] = [
        ("UserAuthenticate", vec![user.clone()], 410),
        (
            "UserAuthenticate",
            vec![user, ("DigestResponse", "Digest username=\"ada\"".into())],
            410,
        ),
        (
            "DeclarativeManagement",
            vec![("Endpoint", "tokens".into())],
            400,
        ),
        (
            "SetBootstrapToken",
            vec![("BootstrapToken", Value::Data(vec![1; 32]))],
            400,
        ),
        ("GetBootstrapToken", vec![], 400),
        (
            "GetToken",
            vec![
                ("TokenServiceType", "com.apple.maid".into()),
                ("TokenParameters", Dictionary::new().into()),
            ],
            400,
        ),
        ("Authenticate", vec![], 400),
        (
            "TokenUpdate",
            vec![("Topic", "com.apple.mgmt.External.other".into())],
            400,
        ),
        ("Serenade", vec![], 400),
    ];
    for (message_type, keys, expected) in cases {
        let answer = puppet.check_in(message_type, keys).await;
        assert_eq!(answer.status, expected, "{message_type}: {answer:?}");
    }
    let device = site.device(&puppet.udid).unwrap();
    assert_eq!(device["state"], "enrolled");
    assert_eq!(device["token_updates"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_channel_has_its_own_tokens_and_queue() {
    let site = running();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let udid = puppet.udid.as_str();
    let channel = format!("{udid}:{USER}");
    let store = site.store().await.unwrap();
    let before = store.push_target(udid).await.unwrap().unwrap();

    let user = || {
        vec![
            ("UserID", Value::from(USER)),
            ("UserShortName", "ada".into()),
        ]
    };
    let tokens = vec![
        ("Topic", puppet.management.topic.as_str().into()),
        ("Token", Value::Data(vec![7; 32])),
        ("PushMagic", "the user's".into()),
    ];
    let answer = puppet
        .check_in("TokenUpdate", [user(), tokens].concat())
        .await;
    assert_eq!(answer.status, 200);
    let after = store.push_target(udid).await.unwrap().unwrap();
    assert_eq!(
        (after.token.expose(), after.push_magic.expose()),
        (before.token.expose(), before.push_magic.expose())
    );
    let own = store.push_target(&channel).await.unwrap().unwrap();
    assert_eq!(
        (
            own.token.expose().as_slice(),
            own.push_magic.expose().as_str()
        ),
        (&[7; 32][..], "the user's")
    );

    let for_device = site.send(udid, "A", &[]).unwrap();
    let for_user = site.send(&channel, "B", &[]).unwrap();
    let says = |uuid: &str, status: &str| {
        let result = vec![("CommandUUID", uuid.into()), ("Status", status.into())];
        puppet.message([user(), result].concat())
    };
    let idle = puppet.message([user(), vec![("Status", "Idle".into())]].concat());
    assert_eq!(
        command(&puppet.report(&idle).await).unwrap().uuid(),
        for_user
    );
    assert_eq!(puppet.idle().await.unwrap().uuid(), for_device);
    // Each channel answers for itself alone.
    assert!(command(&puppet.report(&says(&for_device, "Acknowledged")).await).is_some());
    assert_eq!(site.command(&for_device).unwrap()["state"], "sent");
    assert!(command(&puppet.report(&says(&for_user, "Acknowledged")).await).is_none());
    assert_eq!(site.command(&for_user).unwrap()["state"], "acknowledged");

    // A user who leaves takes nobody along.
    assert_eq!(puppet.check_in("CheckOut", user()).await.status, 200);
    assert_eq!(site.device(&channel).unwrap()["state"], "checked_out");
    assert!(puppet.answer(&for_device, "Acknowledged").await.is_none());
    assert_eq!(site.device(udid).unwrap()["state"], "enrolled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_checked_out_is_left_alone() {
    let site = running();
    let puppet = &Puppet::enroll(&site, 1)[0];
    let udid = puppet.udid.as_str();
    // With APNs off, the push for the command is yet to be made when the device leaves.
    site.stop_apns();
    let queued = site.send(udid, "A", &[]).unwrap();
    assert_eq!(puppet.check_in("CheckOut", vec![]).await.status, 200);
    assert_eq!(puppet.check_in("CheckOut", vec![]).await.status, 200);

    assert_eq!(site.device(udid).unwrap()["state"], "checked_out");
    let due = site.store().await.unwrap().push_due(udid).await.unwrap();
    assert_eq!(due, None);
    let idle = puppet.message(vec![("Status", "Idle".into())]);
    assert_eq!(puppet.report(&idle).await.status, 400);
    assert_eq!(
        puppet
            .report(&puppet.result(&queued, "Acknowledged"))
            .await
            .status,
        400
    );
    for refused in [site.send(udid, "B", &[]), site.lanyard(&["push", udid])] {
        let error = refused.unwrap_err();
        assert!(error.contains("has checked out"), "{error}");
    }
    assert_eq!(
        site.command(&queued).unwrap()["completed_at"],
        serde_json::Value::Null
    );
}
