//! From the link to the tokens.

use std::{fs, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::AUTHORIZATION;
use lanyard_device::{
    enroll::Phase,
    http::{Call, Client},
};
use lanyard_pki::{Certificate, Digest};
use lanyard_store::{Enrollment, Session, SessionState};

use super::{Proof, Proofs, with_reason};
use crate::{
    openssl::openssl,
    site::USER,
    up::{Sabotage, policy::DIRECTORY},
};

impl Proofs<'_> {
    /// A client that is no device looks at the page.
    pub(in crate::up) async fn link(&self) -> Proof {
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
    pub(in crate::up) async fn directory(&self) -> Proof {
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
        let (_, decided) = self.person_decided()?;
        Ok(format!(
            "a wrong password was answered {}, the right one began session {} of {} in the database, by {decided}",
            wrong.0, session.id, session.person_id
        ))
    }

    /// The openssl command line verifies the document under the server's root, and reads what it asks for.
    pub(in crate::up) async fn profile_service(&self) -> Proof {
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
    pub(in crate::up) async fn attributes(&self) -> Proof {
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
        let root = hex::encode(factory[0].fingerprint());
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
    pub(in crate::up) async fn certificate(&self) -> Proof {
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
        let decided = self.certificate_decided(&interim.serial)?;
        Ok(format!(
            "`openssl verify` accepts serial {} under the authority; the database issued it as {} to {}, by {decided}; the device holds its private key",
            interim.serial,
            stored.purpose,
            stored.device_id.unwrap_or_default()
        ))
    }

    /// The openssl command line verifies the signature, opens the envelope with the device's key, and with no other.
    pub(in crate::up) async fn profile(&self) -> Proof {
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
    pub(in crate::up) async fn tokens(&self) -> Proof {
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
        if Some(hex::encode(Digest::sha256(target.token.expose()))) != state.token_sha256 {
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

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
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
