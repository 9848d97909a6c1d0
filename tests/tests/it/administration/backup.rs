//! `lanyard backup` of a server that is busy, and `lanyard restore`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lanyard_pki::{Digest, seal::SealingKey};
use lanyard_tests::{process::wait_until, site::Site};

use super::{enroll, refuses, running, says};

fn send(site: &Site, udid: &str) -> String {
    let sent = site.lanyard_json(&["command", "send", udid, "DeviceInformation"]);
    sent.unwrap()["uuid"].as_str().unwrap().to_owned()
}

/// The arguments of `lanyard`, with a file.
fn with<'a>(arguments: &[&'a str], file: &'a Path) -> Vec<&'a str> {
    [arguments, &[file.to_str().unwrap()]].concat()
}

/// PostgreSQL has its own tools.
fn is_postgres(site: &Site) -> bool {
    site.database_url().starts_with("postgres")
}

#[test]
fn devices_go_on_with_a_server_that_was_restored() {
    let mut site = running();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let udid = enroll(&site);
    if is_postgres(&site) {
        refuses(
            &site,
            &with(&["backup"], &file),
            &["pg_dump", "--without-database"],
        );
        assert!(!file.exists());
        says(
            &site,
            &with(&["backup", "--without-database"], &file),
            &["no database"],
        );
    }
    let mut queued = vec![send(&site, &udid)];
    if !is_postgres(&site) {
        let stop = AtomicBool::new(false);
        let sent_before = thread::scope(|scope| {
            let load = scope.spawn(|| {
                let mut sent = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    sent.push(send(&site, &udid));
                }
                sent
            });
            // The load has begun.
            let began = wait_until("commands", || {
                let commands = site.lanyard_json(&["device", "show", &udid]).unwrap();
                (commands["commands"].as_array().unwrap().len() > 2).then_some(())
            });
            began.unwrap();
            says(
                &site,
                &with(&["backup"], &file),
                &["database, configuration and keys"],
            );
            stop.store(true, Ordering::Relaxed);
            load.join().unwrap()
        });
        // The first was there before the backup began; of the last that is not known.
        queued.push(sent_before[0].clone());
    }
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    refuses(&site, &with(&["backup"], &file), &["there already"]);
    refuses(
        &site,
        &with(&["restore"], &file),
        &["holds a server already"],
    );

    site.kill_server();
    fs::rename(site.data(), folder.path().join("gone")).unwrap();
    says(
        &site,
        &with(&["restore"], &file),
        &["digests, keys and certificates", "must not run any more"],
    );
    site.start_server().unwrap();
    let resumed = site.resume_devices().unwrap();
    for uuid in queued {
        let done = wait_until("the command to be done", || {
            let shown = site.lanyard_json(&["command", "show", &uuid]).unwrap();
            (shown["commands"][0]["state"] == "acknowledged").then_some(())
        });
        done.unwrap_or_else(|error| panic!("{error}: {}", site.server_log()));
    }
    drop(resumed);
    let again = enroll_another(&site);
    assert_ne!(again, udid);
}

fn enroll_another(site: &Site) -> String {
    let known = site.lanyard_json(&["device", "list"]).unwrap();
    enroll(site);
    let devices = site.lanyard_json(&["device", "list"]).unwrap();
    let new = devices
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["id"].clone());
    let mut new = new.filter(|id| known.as_array().unwrap().iter().all(|old| old["id"] != *id));
    new.next().unwrap().as_str().unwrap().to_owned()
}

#[test]
fn what_is_not_whole_is_not_restored() {
    let site = running();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let what: &[&str] = if is_postgres(&site) {
        &["backup", "--without-database"]
    } else {
        &["backup"]
    };
    says(&site, &with(what, &file), &["configuration and keys"]);
    let right = fs::read(&file).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let restore = |content: &[u8], parts: &[&str]| {
        let damaged = folder.path().join("damaged.tar");
        fs::write(&damaged, content).unwrap();
        let error = lanyard_tests::site::run(
            std::process::Command::new(lanyard_tests::process::binary("lanyard"))
                .arg("restore")
                .arg(&damaged)
                .arg("--data")
                .arg(&elsewhere),
        );
        let error = error.unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        assert!(!error.contains("panicked"), "{error}");
        assert!(!elsewhere.exists());
        // Nothing lies about, either.
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "the backup and the damaged one");
    };
    // Content of a certificate, whose place in the archive is known by its text.
    let at = right
        .windows(27)
        .position(|window| window == b"-----BEGIN CERTIFICATE-----")
        .unwrap();
    let mut changed = right.clone();
    changed[at + 40] ^= 1;
    restore(&changed, &["was changed", "nothing was restored"]);
    // A tar archive is read in blocks of 512 bytes, and each entry begins with one.
    restore(&right[..right.len() / 1024 * 512], &[]);
    restore(&[0; 1024], &["no list of its files"]);
    restore(b"no archive", &[]);

    // Keys that open nothing, in an archive that is sound in itself; and a server that has them in its file instead of its own.
    let file = site.data().join("sealing.key");
    let (key, other) = (fs::read(&file).unwrap(), SealingKey::generate().to_text());
    let mut foreign = right;
    replace(&mut foreign, &key, other.as_bytes());
    let digest = |content: &[u8]| hex::encode(Digest::sha256(content));
    replace(
        &mut foreign,
        digest(&key).as_bytes(),
        digest(other.as_bytes()).as_bytes(),
    );
    restore(&foreign, &["could not start", "sealed under another key"]);
    fs::write(&file, other.as_bytes()).unwrap();
    let another = folder.path().join("another.tar");
    refuses(
        &site,
        &with(what, &another),
        &["lacks the key", "put it back"],
    );
}

fn replace(content: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut windows = content.windows(from.len());
    let at = windows.position(|window| window == from).unwrap();
    content[at..at + to.len()].copy_from_slice(to);
}
