//! Things that happen to one device at the same moment.

use std::{collections::HashSet, sync::Arc, thread, time::Duration};

use lanyard_device::apns::Event;
use lanyard_tests::{process::wait_until, site::Site};
use tokio::task::JoinSet;

use super::running;
use crate::puppet::{Puppet, command};

/// How often a race is run: either side wins some of them.
const ROUNDS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_eight_times_at_once_counts_once() {
    let site = running();
    let puppet = Puppet::enroll(&site, 1).remove(0);
    let first = site.send(&puppet.udid, "A", &[]).unwrap();
    let next = site.send(&puppet.udid, "B", &[]).unwrap();
    assert_eq!(puppet.idle().await.unwrap().uuid(), first);

    let mut reports = JoinSet::new();
    for number in 0..8 {
        let (puppet, uuid) = (puppet.clone(), first.clone());
        // Not quite the same: which of them came first can be seen in what is stored.
        let keys = vec![
            ("CommandUUID", uuid.as_str().into()),
            ("Status", "Acknowledged".into()),
            ("Number", number.into()),
        ];
        let body = puppet.message(keys);
        reports.spawn(async move { puppet.report(&body).await });
    }
    let answers = reports.join_all().await;
    assert_eq!(answers.len(), 8);
    for answer in &answers {
        assert_eq!(command(answer).unwrap().uuid(), next);
    }
    let settled = site.command(&first).unwrap();
    assert_eq!(settled["state"], "acknowledged");
    assert!(puppet.answer(&first, "Error").await.is_some());
    let again = site.command(&first).unwrap();
    assert_eq!(again, settled);
    let recorded = site.server_log().matches("settled=Recorded").count();
    assert_eq!(recorded, 1, "{}", site.server_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_queued_while_the_device_hears_that_there_is_none_is_not_lost() {
    let site = Arc::new(running());
    let puppet = Puppet::enroll(&site, 1).remove(0);
    let mut missed = 0;
    for _ in 0..ROUNDS {
        let before = stored(&site, &puppet);
        let (queued, got) = tokio::join!(send(&site, &puppet, "A"), puppet.idle());
        if got.is_none() {
            missed += 1;
        }
        // Whether or not it came with that answer, the device is woken for it.
        wait_until("a push for the command", || {
            (stored(&site, &puppet) > before).then_some(())
        })
        .unwrap();
        assert_eq!(puppet.idle().await.unwrap().uuid(), queued);
        assert!(puppet.answer(&queued, "Acknowledged").await.is_none());
    }
    super::measured(&format!(
        "{ROUNDS} commands queued while the device asked: {missed} missed that answer, none was lost"
    ));
}

async fn send(site: &Arc<Site>, puppet: &Puppet, request_type: &'static str) -> String {
    let (site, udid) = (Arc::clone(site), puppet.udid.clone());
    let sent = tokio::task::spawn_blocking(move || site.post(&udid, request_type));
    sent.await.unwrap().unwrap()
}

/// How many pushes the simulated APNs has kept for the device, which is away.
fn stored(site: &Site, puppet: &Puppet) -> usize {
    let events = site.pushes(&puppet.udid).unwrap();
    events
        .iter()
        .filter(|event| **event == Event::Stored)
        .count()
}

#[test]
fn commands_queued_by_many_at_once_all_reach_a_device_at_work() {
    let site = running();
    let password = site.add_user("correct horse battery").unwrap();
    let udid = "00008120-0000000000000B5E";
    let mut device = site.start_device(&password, &["--udid", udid]).unwrap();
    device.wait_for("check-in (TokenUpdate)").unwrap();
    let uuids: HashSet<String> = thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| [0; 5].map(|_| site.post(udid, "SecurityInfo").unwrap())))
            .collect();
        let sent = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap());
        sent.collect()
    });
    assert_eq!(uuids.len(), 40);
    for uuid in &uuids {
        assert_eq!(site.completed(uuid).unwrap()["state"], "acknowledged");
    }
    let answered = site.device_state(udid).unwrap().model.answered;
    let answered: Vec<_> = answered.into_iter().map(|each| each.command_uuid).collect();
    assert_eq!(answered.len(), 40, "each once");
    assert_eq!(HashSet::from_iter(answered), uuids);
}

#[tokio::test]
async fn what_destroys_is_cancelled_or_delivered_and_never_both() {
    let (cancelled, both) = race("EraseDevice").await;
    assert_eq!(both, 0);
    super::measured(&format!(
        "{ROUNDS} erasures cancelled while the device asked: {cancelled} cancelled, {} delivered",
        ROUNDS - cancelled
    ));
}

#[tokio::test]
async fn what_was_on_its_way_when_it_was_cancelled_ends_as_the_device_says() {
    let (cancelled, both) = race("ProfileList").await;
    super::measured(&format!(
        "{ROUNDS} questions cancelled while the device asked: {cancelled} cancelled, {both} of them delivered all the same"
    ));
}

/// Cancels commands while the device asks for them: how many were cancelled, and how many of those the device had.
async fn race(request_type: &'static str) -> (u64, u64) {
    let site = Arc::new(running());
    let puppet = Puppet::enroll(&site, 1).remove(0);
    let (mut cancelled, mut both) = (0, 0);
    for round in 0..ROUNDS {
        let uuid = send(&site, &puppet, request_type).await;
        let path = format!("/api/v1/commands/{uuid}");
        // The way over the socket is shorter: the device gets a longer start from round to round, so that each wins some.
        let start = Duration::from_millis(round);
        let cancel = {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                tokio::time::sleep(start).await;
                tokio::task::spawn_blocking(move || site.ask("DELETE", &path)).await
            })
        };
        let got = puppet.idle().await;
        let (status, said) = cancel.await.unwrap().unwrap().unwrap();
        assert!([204, 409].contains(&status), "{status} {said}");
        let is_cancelled = status == 204;
        assert!(got.is_some() || is_cancelled, "it is neither: {said}");
        cancelled += u64::from(is_cancelled);
        both += u64::from(is_cancelled && got.is_some());
        let end = match got {
            None => "cancelled",
            Some(command) => {
                assert_eq!(command.uuid(), uuid);
                assert!(puppet.answer(&uuid, "Acknowledged").await.is_none());
                "acknowledged"
            }
        };
        assert_eq!(site.command(&uuid).unwrap()["state"], end);
    }
    (cancelled, both)
}
