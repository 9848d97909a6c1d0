//! Phases 2 and 3: the device says who it is, first under its factory identity, then under the certificate that it got.

use std::{net::IpAddr, time::SystemTime};

use lanyard_mdm::{
    document::Limits,
    ota::{self, Attestation, DeviceAttributes, PhaseMessage},
};
use lanyard_pki::{Certificate, Strength};
use lanyard_policy::{Allowance, EnrollmentQuestion, EnrollmentVerdict, Facts, HookPoint, Person};
use lanyard_store::{
    ApprovalState, ApprovalSubject, AskOutcome, CertificatePurpose, DecisionRecord, DeviceFacts,
    EnrollmentState, Identification, IdentifyOutcome, Session, SessionState, Transition,
};
use uuid::Uuid;

use crate::{
    DeviceAuthority, Engine, Refusal, approvals, decision, records::Asked, refusal,
    sign_in::challenge_hash, standing::Barred,
};

/// The largest factory certificate that is kept, in bytes.
const LARGEST_FACTORY_CERTIFICATE: usize = 8 * 1024;

impl Engine {
    /// Answers a device's signed message of phase 2 or 3: with the profile that leads to its interim certificate, or with the
    /// management profile encrypted to that certificate.
    ///
    /// # Errors
    /// [`Refusal`]. A message that is altered, replayed, expired or foreign changes nothing.
    #[tracing::instrument(name = "enrollment message", level = "debug", skip_all)]
    pub async fn enrollment_message(
        &self,
        message: &[u8],
        remote: IpAddr,
    ) -> Result<Vec<u8>, Refusal> {
        self.admit_message(remote)?;
        let message = message.to_vec();
        let message = self
            .compute(move |engine| engine.verified(&message))
            .await??;
        match message {
            PhaseMessage::Device {
                attributes,
                certificate,
                chain,
            } => self.identify(attributes, certificate, chain, remote).await,
            PhaseMessage::Identity {
                attributes,
                certificate,
            } => self.deliver_profile(attributes, certificate).await,
        }
    }

    fn verified(&self, message: &[u8]) -> Result<PhaseMessage, Refusal> {
        let authority = self.setup().scep.authority().public_key();
        let is_ours = |certificate: &Certificate| {
            certificate
                .verify_signed_by(authority, Strength::Modern)
                .is_ok()
        };
        ota::verify_message(message, Limits::default(), is_ours)
            .map_err(|error| self.unreadable(&error))
    }

    async fn identify(
        &self,
        attributes: DeviceAttributes,
        certificate: Certificate,
        chain: Vec<Certificate>,
        remote: IpAddr,
    ) -> Result<Vec<u8>, Refusal> {
        let now = self.now();
        let session = self.session_of(&attributes, now).await?;
        let id = session.id;
        if certificate.der().len() > LARGEST_FACTORY_CERTIFICATE {
            return Err(Refusal::bad_request(format!(
                "session {id}: the signer's certificate has {} bytes; a factory's has one or two thousand",
                certificate.der().len()
            )));
        }
        let (certificate, attestation) = self
            .compute(move |engine| {
                let attestation = engine.setup().factory.attest(&certificate, &chain);
                (certificate, attestation)
            })
            .await?;
        if self.setup().device_authority == DeviceAuthority::Require
            && let Attestation::None(reason) = &attestation
        {
            return Err(Refusal::forbidden(format!(
                "session {id}: no factory authority vouches for the device: {reason}"
            )));
        }
        self.must_not_be_of_another(&session, &attributes.udid)
            .await?;
        self.must_still_be_active(&session, now).await?;
        let (allowance, record, used) = self
            .ask_enrollment_approval(&session, &attributes, &attestation, remote, now)
            .await?;
        let device = device_facts(&attributes);
        let identification = Identification {
            device: device.clone(),
            attestation: serde_json::to_value(policy_attestation(&attestation))
                .map_err(|error| Refusal::internal(&error))?,
            device_certificate: certificate.der().to_vec(),
            settings: serde_json::to_value(allowance.settings)
                .map_err(|error| Refusal::internal(&error))?,
        };
        let profile = {
            let device = device.clone();
            self.compute(move |engine| engine.interim_profile(id, &device, now))
                .await??
        };
        match self
            .carrying(record)
            .using(used, now)
            .identify_session(id, session.version, identification)
            .await?
        {
            IdentifyOutcome::Identified { .. } => {
                let attested = policy_attestation(&attestation);
                tracing::info!(session = %id, udid = device.udid, %attested, "device identified (phase 2)");
                Ok(profile)
            }
            IdentifyOutcome::AlreadyIdentified { .. } => Err(Refusal::bad_request(format!(
                "session {id}: the challenge was used before"
            ))),
            IdentifyOutcome::ApprovalGone => Err(Refusal::unavailable(format!(
                "session {id}: its approval was used or changed meanwhile"
            ))),
            outcome @ (IdentifyOutcome::Moved { .. } | IdentifyOutcome::Unknown) => Err(
                Refusal::bad_request(format!("session {id}: it changed meanwhile ({outcome:?})")),
            ),
        }
    }

    /// The session that the message's challenge was given to.
    async fn session_of(
        &self,
        attributes: &DeviceAttributes,
        now: SystemTime,
    ) -> Result<Session, Refusal> {
        let Some(challenge) = &attributes.challenge else {
            return Err(Refusal::bad_request(
                "phase 2: the message carries no challenge",
            ));
        };
        let session = self
            .store()
            .find_session_by_challenge_hash(&challenge_hash(challenge))
            .await?
            .ok_or_else(|| Refusal::bad_request("phase 2: the challenge is not ours"))?;
        if session.state != SessionState::Authenticated {
            let (id, state) = (session.id, session.state);
            return Err(Refusal::bad_request(format!(
                "session {id}: the challenge was used before ({state:?})"
            )));
        }
        if now >= session.expires_at {
            return Err(Refusal::bad_request(format!(
                "session {}: the challenge has expired",
                session.id
            )));
        }
        Ok(session)
    }

    /// A UDID is only what a device says: whoever claims one that another person enrolled gets nothing, until that device checks
    /// out or an operator releases it. The same is checked again when the enrollment is made.
    async fn must_not_be_of_another(&self, session: &Session, udid: &str) -> Result<(), Refusal> {
        let Some(known) = self.store().find_enrollment(udid).await? else {
            return Ok(());
        };
        let same = (&known.directory, &known.person_id) == (&session.directory, &session.person_id);
        if same || known.state == EnrollmentState::CheckedOut {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "session {}: device {udid} is enrolled by {} of {}, and nobody has released it",
            session.id, known.person_id, known.directory
        )))
    }

    async fn ask_enrollment_approval(
        &self,
        session: &Session,
        attributes: &DeviceAttributes,
        attestation: &Attestation,
        remote: IpAddr,
        now: SystemTime,
    ) -> Result<(Allowance, Option<DecisionRecord>, Vec<Uuid>), Refusal> {
        let question = EnrollmentQuestion {
            decision: decision::new(now),
            session: session.id.to_string(),
            person: person_of(session)?,
            device: policy_device(&device_facts(attributes)),
            attestation: policy_attestation(attestation),
            remote_address: remote.to_string(),
        };
        let id = session.id;
        let hooks = self.hooks();
        let asked = Asked::new(
            &hooks,
            HookPoint::EnrollmentApproval,
            &question.decision,
            &question,
            Some(id.to_string()),
            now,
        );
        let subject = ApprovalSubject {
            directory: session.directory.clone(),
            person_id: session.person_id.clone(),
            udid: attributes.udid.clone(),
            request: None,
        };
        let shown = approvals::shown_of_enrollment(&question);
        let inbox = self.inbox(&subject, shown, now).await?;
        let chain = hooks.enrollment.answered(inbox.answers());
        let answer = chain.decide(question).await;
        let asked_in = asked.id().to_owned();
        let record = self.record(asked, &answer);
        let decided = match answer {
            Ok(decided) => decided,
            Err(failure) => {
                self.keep_record(record).await?;
                return Err(Refusal::unavailable(format!(
                    "session {id}: enrollment-approval failed: {}",
                    refusal::chain(&failure)
                )));
            }
        };
        match decided.verdict {
            EnrollmentVerdict::Allow(allowance) => Ok((
                allowance,
                record,
                inbox.answered_as(ApprovalState::Approved),
            )),
            EnrollmentVerdict::Deny(reason) => {
                self.keep_record(record).await?;
                self.store().refuse_session(id, session.version).await?;
                Err(Refusal::forbidden(format!(
                    "session {id}: enrollment denied: {}: {}",
                    reason.code, reason.message
                )))
            }
            EnrollmentVerdict::Pending(reason) => {
                let wanted = inbox.asked_for(&decided.opinions, &asked_in, |said| match said {
                    EnrollmentVerdict::Pending(reason) => Some(reason),
                    EnrollmentVerdict::Allow(_) | EnrollmentVerdict::Deny(_) => None,
                });
                let store = self.carrying(record);
                Err(match store.ask_approvals(&subject, &wanted, now).await? {
                    AskOutcome::Waiting => Refusal::forbidden(format!(
                        "session {id}: enrollment waits for approval: {}",
                        reason.code
                    )),
                    AskOutcome::TooMany(why) => {
                        Refusal::unavailable(format!("session {id}: {why}"))
                    }
                })
            }
        }
    }

    async fn deliver_profile(
        &self,
        attributes: DeviceAttributes,
        certificate: Certificate,
    ) -> Result<Vec<u8>, Refusal> {
        let now = self.now();
        let (session, device) = self.session_of_interim(&certificate, now).await?;
        let id = session.id;
        if attributes.udid != device.udid || attributes.serial != device.serial {
            return Err(Refusal::bad_request(format!(
                "session {id}: phase 3 comes from another device than phase 2"
            )));
        }
        if session.state != SessionState::Certified {
            let state = session.state;
            return Err(Refusal::bad_request(format!(
                "session {id}: the profile was delivered before ({state:?})"
            )));
        }
        self.must_still_be_active(&session, now).await?;
        let udid = device.udid.clone();
        let profile = self
            .compute(move |engine| engine.management_profile(id, &device, &certificate, now))
            .await??;
        let moved = self
            .store()
            .advance_session(
                id,
                session.version,
                SessionState::Certified,
                SessionState::Delivered,
            )
            .await?;
        match moved {
            Transition::Done { .. } => {
                tracing::info!(session = %id, udid, "encrypted profile delivered (phase 3)");
                Ok(profile)
            }
            outcome @ (Transition::Moved { .. } | Transition::Unknown) => Err(
                Refusal::bad_request(format!("session {id}: it changed meanwhile ({outcome:?})")),
            ),
        }
    }

    /// Asks the person's directory once more: between the sign-in and the last step lies up to an hour.
    pub(crate) async fn must_still_be_active(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let id = session.id;
        let person = person_of(session)?.reference();
        let why = match self.look_up(&person, Some(id.to_string()), now).await? {
            Ok(()) => return Ok(()),
            Err(Barred::Disabled(reason)) => reason.code,
            Err(Barred::Unknown) => "the directory does not know them".to_owned(),
            Err(Barred::CannotTell(why)) => {
                return Err(Refusal::unavailable(format!("session {id}: {why}")));
            }
        };
        self.store().refuse_session(id, session.version).await?;
        Err(Refusal::forbidden(format!(
            "session {id}: the person may not enroll any more: {why}"
        )))
    }

    /// The session that an interim certificate was issued to, and its device.
    async fn session_of_interim(
        &self,
        certificate: &Certificate,
        now: SystemTime,
    ) -> Result<(Session, DeviceFacts), Refusal> {
        let refused =
            |what: &str| Refusal::bad_request(format!("phase 3: the signer's certificate {what}"));
        let identity = self
            .standing_identity(certificate, &[CertificatePurpose::OtaInterim])
            .await?;
        let id: Uuid = identity
            .session_id
            .ok_or_else(|| refused("belongs to no session"))?;
        let session = self
            .store()
            .find_session(id)
            .await?
            .ok_or_else(|| refused("belongs to a session that is gone"))?;
        if now >= session.expires_at {
            return Err(refused("belongs to a session that has expired"));
        }
        let device = session
            .device
            .clone()
            .ok_or_else(|| refused("belongs to a session without a device"))?;
        Ok((session, device))
    }
}

fn device_facts(attributes: &DeviceAttributes) -> DeviceFacts {
    DeviceFacts {
        udid: attributes.udid.clone(),
        serial: attributes.serial.clone(),
        product: attributes.product.clone(),
        build: attributes.version.clone(),
        imei: attributes.imei.clone(),
        meid: attributes.meid.clone(),
    }
}

fn policy_device(device: &DeviceFacts) -> lanyard_policy::DeviceFacts {
    lanyard_policy::DeviceFacts {
        udid: device.udid.clone(),
        serial: device.serial.clone(),
        product: device.product.clone(),
        os_version: None,
        build: device.build.clone(),
        imei: device.imei.clone(),
        meid: device.meid.clone(),
        further: Default::default(),
    }
}

/// What the session knows of its device, enrollment-approval's terms included.
pub(crate) fn device_of_session(
    session: &Session,
) -> Result<Option<lanyard_policy::DeviceFacts>, Refusal> {
    let Some(device) = &session.device else {
        return Ok(None);
    };
    let further = settings_of(session)?;
    Ok(Some(lanyard_policy::DeviceFacts {
        further,
        ..policy_device(device)
    }))
}

/// The terms that enrollment-approval gave, as facts that later questions have: `setting.` and the name.
pub(crate) fn settings_of(session: &Session) -> Result<Facts, Refusal> {
    let Some(settings) = &session.settings else {
        return Ok(Facts::new());
    };
    let settings: Facts =
        serde_json::from_value(settings.clone()).map_err(|error| Refusal::internal(&error))?;
    let prefixed = settings.into_iter();
    Ok(prefixed
        .map(|(name, value)| (format!("setting.{name}"), value))
        .collect())
}

fn policy_attestation(attestation: &Attestation) -> lanyard_policy::Attestation {
    match attestation {
        Attestation::Apple => lanyard_policy::Attestation::Apple,
        Attestation::Trusted { root_sha256 } => lanyard_policy::Attestation::Other {
            root_sha256: hex::encode(root_sha256),
        },
        Attestation::None(reason) => lanyard_policy::Attestation::None {
            reason: reason.to_string(),
        },
    }
}

pub(crate) fn person_of(session: &Session) -> Result<Person, Refusal> {
    Ok(Person {
        directory: session.directory.clone(),
        id: session.person_id.clone(),
        display_name: session.person_name.clone(),
        attributes: serde_json::from_value(session.attributes.clone())
            .map_err(|error| Refusal::internal(&error))?,
    })
}
