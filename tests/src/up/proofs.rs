//! One proof a step, each from another source than the one that did it.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::AUTHORIZATION;
use lanyard_device::{
    apns::{Entry, Event},
    enroll::Phase,
    http::{Call, Client},
    journal::State,
};
use lanyard_pki::{Certificate, Digest};
use lanyard_store::{Enrollment, Session, SessionState};
use serde_json::Value;

use super::Sabotage;
use crate::{
    openssl::openssl,
    process::wait_within,
    site::{Site, USER},
};

/// What the device shows when it is locked.
pub(super) const LOCK_MESSAGE: &str = "Please return this device to the front desk";

const DIRECTORY: &str = "local-users";

type Proof = Result<String, String>;

/// Where the proofs come from.
pub(super) struct Proofs<'a> {
    pub(super) site: &'a Site,
    pub(super) udid: &'a str,
    pub(super) password: &'a str,
    pub(super) begun: SystemTime,
    /// How long something may take that happens by itself.
    pub(super) patience: Duration,
    pub(super) sabotage: Option<Sabotage>,
}

impl Proofs<'_> {
    /// A client that is no device looks at the page.
    pub(super) async fn link(&self) -> Proof {
        let link = self.site.url("/enroll");
        let answer = self
            .browser()?
            .send(&Call::get(&link))
            .await
            .map_err(|error| chain(&error))?;
        let page = String::from_utf8_lossy(&answer.body);
        let asks = page.contains("name=\"user_name\"") && page.contains("type=\"password\"");
        if answer.status == 200 && asks {
            Ok(format!(
                "{link} shows a sign-in form, over TLS under {}",
                self.site.server_root().display()
            ))
        } else {
            Err(format!(
                "{link} answered {} and no sign-in form",
                answer.status
            ))
        }
    }

    /// A wrong password is refused, the right one begins a session in the database.
    pub(super) async fn directory(&self) -> Proof {
        let wrong = self.sign_in("not the password").await?;
        if wrong.0 == 200 {
            return Err("a wrong password was accepted".to_owned());
        }
        let (status, _) = self.sign_in(self.password).await?;
        if status != 200 {
            return Err(format!("the right password was answered {status}"));
        }
        let sessions = self.sessions().await?;
        let session = sessions
            .first()
            .ok_or("no enrollment session of the person is in the database")?;
        Ok(format!(
            "a wrong password was answered {}, the right one began session {} of {} in the database",
            wrong.0, session.id, session.person_id
        ))
    }

    /// The openssl command line verifies the document under the server's root, and reads what it asks for.
    pub(super) async fn profile_service(&self) -> Proof {
        let (status, document) = self.sign_in(self.password).await?;
        if status != 200 {
            return Err(format!("the sign-in was answered {status}"));
        }
        let content = self.verified_by_openssl(&document)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        for expected in [
            "<string>Profile Service</string>",
            "<string>UDID</string>",
            "<string>VERSION</string>",
        ] {
            if !content.contains(expected) {
                return Err(format!("the document lacks {expected}"));
            }
        }
        Ok("`openssl cms -verify` accepts its signature under the server's root; it asks for UDID, VERSION, SERIAL …".to_owned())
    }

    /// What the device says of itself is what stands in the person's session.
    pub(super) async fn attributes(&self) -> Proof {
        let state = self.state()?;
        let session = self
            .session()
            .await
            .map_err(|missing| with_reason(&missing, &state))?;
        let stored = session.device.ok_or("the session has no device")?;
        if (stored.udid.as_str(), stored.serial.as_deref())
            != (self.udid, Some(state.serial.as_str()))
        {
            return Err("the database has another device than the one that enrolled".to_owned());
        }
        let attestation = session.attestation.unwrap_or_default();
        let factory = Certificate::many_from_pem(&read(&self.site.factory().join("root.pem"))?)
            .map_err(|e| e.to_string())?;
        let root = hex(&factory[0].fingerprint());
        if attestation["other"]["root_sha256"] != root.as_str() {
            return Err(format!(
                "the factory chain was not recognised: {attestation}"
            ));
        }
        Ok(format!(
            "session {} of {} holds UDID {} and serial {}, as the device's own state does; the factory chain ends at {}…",
            session.id,
            session.person_id,
            stored.udid,
            state.serial,
            &root[..16]
        ))
    }

    /// The openssl command line verifies the certificate under the authority; the database has issued it; the device has its key.
    pub(super) async fn certificate(&self) -> Proof {
        let state = self.state()?;
        let interim = state
            .interim
            .as_ref()
            .ok_or_else(|| with_reason("the device has no certificate", &state))?;
        let file = self.device_file("interim.pem");
        let authority = self.site.data().join("authority/ca.pem");
        openssl(
            [
                "verify".as_ref(),
                "-CAfile".as_ref(),
                authority.as_os_str(),
                file.as_os_str(),
            ],
            &[],
        )?;
        let key = self.device_file("interim.key");
        let certified = openssl(
            [
                "x509".as_ref(),
                "-noout".as_ref(),
                "-pubkey".as_ref(),
                "-in".as_ref(),
                file.as_os_str(),
            ],
            &[],
        )?;
        let held = openssl(
            [
                "pkey".as_ref(),
                "-pubout".as_ref(),
                "-in".as_ref(),
                key.as_os_str(),
            ],
            &[],
        )?;
        if certified != held {
            return Err("the certificate is not for the device's key".to_owned());
        }
        let store = self.site.store().await?;
        let stored = store
            .find_certificate(&interim.sha256)
            .await
            .map_err(|error| error.to_string())?;
        let stored = stored.ok_or("the database does not know the certificate")?;
        Ok(format!(
            "`openssl verify` accepts serial {} under the authority; the database issued it as {} to {}; the device holds its private key",
            interim.serial,
            stored.purpose,
            stored.device_id.unwrap_or_default()
        ))
    }

    /// The openssl command line verifies the signature, opens the envelope with the device's key, and with no other.
    pub(super) async fn profile(&self) -> Proof {
        let state = self.state()?;
        if state.reached < Some(Phase::Profile) {
            return Err(with_reason("the device has no profile", &state));
        }
        let profile =
            self.verified_by_openssl(&read(&self.device_file("enrollment.mobileconfig"))?)?;
        let envelope = encrypted_content(&profile)?;
        let opened = self.opened_by_openssl(&envelope, "interim")?;
        if opened != read(&self.device_file("payloads.plist"))? {
            return Err("openssl decrypts something else than the device did".to_owned());
        }
        if !String::from_utf8_lossy(&opened).contains("com.apple.mdm") {
            return Err("there is no management payload in it".to_owned());
        }
        if self
            .opened_by_openssl(&envelope, "factory")
            .is_ok_and(|other| other == opened)
        {
            return Err("another key opens the profile, too".to_owned());
        }
        Ok("`openssl cms -verify` accepts the server's signature, `openssl cms -decrypt` opens it with the device's key, and not with another".to_owned())
    }

    /// The tokens in the database, unsealed, are the device's.
    pub(super) async fn tokens(&self) -> Proof {
        let state = self.state()?;
        if state.reached < Some(Phase::TokenUpdate) {
            return Err(with_reason("the device has not checked in", &state));
        }
        let enrollment = self.enrollment().await?;
        if (enrollment.directory.as_str(), enrollment.person_id.as_str()) != (DIRECTORY, USER) {
            return Err(format!(
                "the device is enrolled for {}",
                enrollment.person_id
            ));
        }
        let store = self.site.store().await?;
        let target = store
            .push_target(self.udid)
            .await
            .map_err(|error| error.to_string())?;
        let target = target.ok_or("the database has no push tokens")?;
        if Some(hex(&Digest::sha256(target.token.expose()))) != state.token_sha256 {
            return Err("the device token in the database is not the device's".to_owned());
        }
        if Some(target.push_magic.expose().as_str()) != state.push_magic.as_deref() {
            return Err("the push magic in the database is not the device's".to_owned());
        }
        let unlock = store
            .unlock_token(self.udid)
            .await
            .map_err(|error| error.to_string())?;
        let unlock = unlock.ok_or("the database has no unlock token")?;
        if unlock.expose().as_slice() != state.model.unlock_token.expose() {
            return Err("the unlock token in the database is not the device's".to_owned());
        }
        Ok(format!(
            "the database, unsealed, has the device's own device token ({} bytes), push magic and unlock token ({} bytes) for {USER}",
            target.token.expose().len(),
            unlock.expose().len()
        ))
    }

    /// Queues a command with the command line.
    pub(super) fn send(&self, request_type: &str, keys: &[&str]) -> Result<String, String> {
        let answer = self
            .site
            .lanyard_json(&[&["command", "send", self.udid, request_type], keys].concat())?;
        Ok(answer["uuid"].as_str().unwrap_or_default().to_owned())
    }

    /// How many pushes to the device the simulated APNs has recorded as delivered.
    pub(super) fn deliveries(&self) -> Result<usize, String> {
        let record =
            fs::read_to_string(&self.site.apns()?.record).map_err(|error| error.to_string())?;
        let entries = record
            .lines()
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        let ours = entries.filter(|entry| {
            entry.udid.as_deref() == Some(self.udid) && entry.event == Event::Delivered
        });
        Ok(ours.count())
    }

    /// The simulated APNs recorded another delivery than those `before` the command.
    pub(super) fn push(&self, before: usize) -> Proof {
        let after = wait_within(
            self.patience,
            "a push in the record of the simulated APNs",
            || self.deliveries().ok().filter(|&after| after > before),
        )?;
        Ok(format!(
            "the simulated APNs recorded delivery no. {after} to this device, which it had not before the command"
        ))
    }

    /// The device was woken by its magic and asked; the database has noted that the command went out.
    pub(super) async fn idle(&self, uuid: &str) -> Proof {
        let believed = wait_within(self.patience, "the device has not asked", || {
            let sent = self.command(uuid).ok()?["sent_at"].is_u64();
            let wakes = self.state().ok()?.wakes;
            let believed = wakes.iter().filter(|wake| wake.believed).count();
            (sent && believed > 0).then_some(believed)
        })?;
        Ok(format!(
            "the device counts {believed} wake-ups that said its push magic; the server gave it the command when it asked"
        ))
    }

    /// What the device answered is what it says of itself.
    pub(super) async fn information(&self, uuid: &str) -> Proof {
        let command = self.finished(uuid)?;
        let facts = self.state()?.model.facts;
        let result = command["result"].as_str().unwrap_or_default();
        for own in [&facts.serial_number, &facts.device_name, &facts.os_version] {
            if !result.contains(own.as_str()) {
                return Err(format!(
                    "the answer lacks {own:?}, which the device says of itself"
                ));
            }
        }
        Ok(format!(
            "acknowledged; the stored answer says {:?}, {}, {}, as the device's own state does",
            facts.device_name, facts.os_version, facts.serial_number
        ))
    }

    /// The device's own state says that it is locked.
    pub(super) async fn lock(&self, uuid: &str) -> Proof {
        self.finished(uuid)?;
        let state = self.state()?;
        let shown = state
            .model
            .lock
            .and_then(|lock| lock.message)
            .unwrap_or_default();
        if state.locked && shown == LOCK_MESSAGE {
            Ok(format!(
                "acknowledged; the device's own state says locked: true, and its screen says {shown:?}"
            ))
        } else {
            Err(format!(
                "the device's own state says locked: {}",
                state.locked
            ))
        }
    }

    fn command(&self, uuid: &str) -> Result<Value, String> {
        let mut answer = self.site.lanyard_json(&["command", "show", uuid])?;
        Ok(answer["commands"][0].take())
    }

    fn finished(&self, uuid: &str) -> Result<Value, String> {
        let command = wait_within(self.patience, "an answer to the command", || {
            self.command(uuid)
                .ok()
                .filter(|command| command["completed_at"].is_u64())
        })?;
        match command["state"].as_str() {
            Some("acknowledged") => Ok(command),
            state => Err(format!(
                "the command ended as {}: {}",
                state.unwrap_or("?"),
                command["error"]
            )),
        }
    }

    fn state(&self) -> Result<State, String> {
        self.site.device_state(self.udid)
    }

    fn device_file(&self, name: &str) -> std::path::PathBuf {
        self.site.devices().join(self.udid).join(name)
    }

    async fn sessions(&self) -> Result<Vec<Session>, String> {
        let store = self.site.store().await?;
        let sessions = store
            .sessions_of_person(DIRECTORY, USER, 20)
            .await
            .map_err(|error| error.to_string())?;
        Ok(sessions
            .into_iter()
            .filter(|session| session.created_at >= self.begun - Duration::from_secs(1))
            .collect())
    }

    async fn session(&self) -> Result<Session, String> {
        let ours = |session: &Session| {
            session
                .device
                .as_ref()
                .is_some_and(|device| device.udid == self.udid)
        };
        let session = self.sessions().await?.into_iter().find(ours);
        session
            .filter(|session| session.state != SessionState::Authenticated)
            .ok_or_else(|| "no session of the person holds the device's attributes".to_owned())
    }

    async fn enrollment(&self) -> Result<Enrollment, String> {
        let store = self.site.store().await?;
        let enrollment = store
            .find_enrollment(self.udid)
            .await
            .map_err(|error| error.to_string())?;
        enrollment.ok_or_else(|| "the database has no enrollment of the device".to_owned())
    }

    async fn sign_in(&self, password: &str) -> Result<(u16, Vec<u8>), String> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
        let call = Call::get(self.site.url("/enroll")).header(AUTHORIZATION, &basic);
        let answer = self
            .browser()?
            .send(&call)
            .await
            .map_err(|error| chain(&error))?;
        Ok((answer.status, answer.body))
    }

    /// Trusts the server's root alone, unless the link is to lead elsewhere.
    fn browser(&self) -> Result<Client, String> {
        let root = match self.sabotage {
            Some(Sabotage::Link) => self.site.apns()?.ca.clone(),
            _ => self.site.server_root(),
        };
        let anchors =
            Certificate::many_from_pem(&read(&root)?).map_err(|error| error.to_string())?;
        Client::new(anchors).map_err(|error| error.to_string())
    }

    fn verified_by_openssl(&self, document: &[u8]) -> Result<Vec<u8>, String> {
        let root = self.site.server_root();
        let arguments = [
            "cms", "-verify", "-inform", "DER", "-purpose", "any", "-CAfile",
        ];
        openssl(
            arguments
                .iter()
                .map(AsRef::as_ref)
                .chain([root.as_os_str()]),
            document,
        )
    }

    fn opened_by_openssl(&self, envelope: &[u8], identity: &str) -> Result<Vec<u8>, String> {
        let (certificate, key) = (
            self.device_file(&format!("{identity}.pem")),
            self.device_file(&format!("{identity}.key")),
        );
        let arguments = ["cms", "-decrypt", "-inform", "DER", "-recip"];
        let rest = [certificate.as_os_str(), "-inkey".as_ref(), key.as_os_str()];
        openssl(arguments.iter().map(AsRef::as_ref).chain(rest), envelope)
    }
}

/// `EncryptedPayloadContent` of a profile.
fn encrypted_content(profile: &[u8]) -> Result<Vec<u8>, String> {
    let profile = lanyard_mdm::document::read(profile, Default::default())
        .map_err(|error| error.to_string())?;
    let content = profile
        .get("EncryptedPayloadContent")
        .and_then(plist::Value::as_data);
    content
        .map(<[u8]>::to_vec)
        .ok_or_else(|| "the profile is not encrypted".to_owned())
}

fn with_reason(missing: &str, state: &State) -> String {
    match &state.failure {
        Some(failure) => format!("{missing}: {failure}"),
        None => missing.to_owned(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
