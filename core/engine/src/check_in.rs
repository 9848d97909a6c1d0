//! Check-in: the device is being managed, can be woken, or leaves.

use std::time::SystemTime;

use lanyard_mdm::{
    EnrollmentId,
    checkin::{Authenticate, CheckIn, Message, TokenUpdate},
    document::Limits,
};
use lanyard_policy::Occurrence;
use lanyard_store::{
    AuthenticateOutcome, AuthenticateRow, CheckOutOutcome, EnrollmentFacts, Occasion, Session,
    SessionState, TokenUpdateOutcome,
};

use crate::{Engine, Proof, Refusal, identity::Speaker};

/// What a check-in message is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckInAnswer {
    /// 200, without a body.
    Accepted,
    /// 410: this user is not managed on that Mac. Asked again at the next login.
    UserNotManaged,
    /// 400: a message that this server does not serve yet.
    NotServed,
}

impl Engine {
    /// Answers a check-in message, `body` as it came.
    ///
    /// # Errors
    /// [`Refusal`]
    #[tracing::instrument(name = "check in", level = "debug", skip_all)]
    pub async fn check_in(&self, body: &[u8], proof: Proof<'_>) -> Result<CheckInAnswer, Refusal> {
        let speaker = self.speaker(body, proof).await?;
        let message =
            CheckIn::parse(body, Limits::default()).map_err(|error| self.unreadable(&error))?;
        speaker.must_be(&message.sender)?;
        let id = message.sender.id();
        if !self.0.throttle.admit_check_in(id.device()) {
            return Err(Refusal::too_many(format!("{id} checks in too often")));
        }
        let now = self.now();
        match &message.message {
            Message::Authenticate(authenticate) => {
                self.authenticate(id, authenticate, &speaker, now).await?
            }
            Message::TokenUpdate(update) => self.token_update(id, update, &speaker, now).await?,
            Message::CheckOut { .. } => self.check_out(id, &speaker, now).await?,
            declined => {
                self.metrics().check_in("other");
                tracing::info!(enrollment = %id, message = %declined.message_type().escape_debug().take(64).collect::<String>(), "declined");
                return Ok(match declined {
                    Message::UserAuthenticate(_) => CheckInAnswer::UserNotManaged,
                    _ => CheckInAnswer::NotServed,
                });
            }
        }
        self.0.notes.seen(&id.to_string(), now);
        self.metrics().check_in(match &message.message {
            Message::Authenticate(_) => "Authenticate",
            Message::TokenUpdate(_) => "TokenUpdate",
            _ => "CheckOut",
        });
        Ok(CheckInAnswer::Accepted)
    }

    async fn authenticate(
        &self,
        id: &EnrollmentId,
        message: &Authenticate,
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        self.check_topic(id, &message.topic)?;
        if id.is_user_channel() {
            return Err(Refusal::bad_request(format!(
                "{id}: a user channel does not send Authenticate"
            )));
        }
        let session = self.session_behind(id, speaker, now).await?;
        // A certificate out of another session than the enrollment's means that the person enrolled the device afresh: what
        // was queued before is not meant for it. Out of the same session, it is a repetition or a renewal.
        let known = self.store().find_enrollment(id.device()).await?;
        let occasion = match known {
            Some(known) if known.session_id == Some(session.id) => Occasion::Renewal,
            _ => Occasion::FreshEnrollment,
        };
        let row = AuthenticateRow {
            device_id: id.device().to_owned(),
            session_id: Some(session.id),
            directory: session.directory,
            person_id: session.person_id,
            person_name: session.person_name,
            topic: message.topic.clone(),
            certificate: speaker.fingerprint().to_owned(),
            facts: facts(message),
        };
        match self.store().authenticate(row, occasion, now).await? {
            AuthenticateOutcome::BoundToAnother { device_id } => Err(Refusal::bad_request(
                format!("{id}: the identity certificate belongs to {device_id}"),
            )),
            AuthenticateOutcome::UnknownCertificate => Err(Refusal::bad_request(format!(
                "{id}: the identity certificate is not on record"
            ))),
            AuthenticateOutcome::OfAnotherPerson => Err(Refusal::bad_request(format!(
                "{id}: another person has the device, and nobody has released it"
            ))),
            AuthenticateOutcome::Superseded => Err(Refusal::bad_request(format!(
                "{id}: the identity certificate is older than the one that the device has now"
            ))),
            outcome @ (AuthenticateOutcome::Created
            | AuthenticateOutcome::Restarted { .. }
            | AuthenticateOutcome::Renewed) => {
                tracing::info!(enrollment = %id, session = %session.id, ?outcome, "Authenticate");
                Ok(())
            }
        }
    }

    async fn session_behind(
        &self,
        id: &EnrollmentId,
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<Session, Refusal> {
        let session = speaker.session().ok_or_else(|| {
            Refusal::bad_request(format!(
                "{id}: the identity certificate has no enrollment session"
            ))
        })?;
        let session = self.store().find_session(session).await?.ok_or_else(|| {
            Refusal::bad_request(format!("{id}: the enrollment session {session} is gone"))
        })?;
        match session.state {
            // What was allowed then stays allowed: the person's standing is looked at again when the identity is renewed.
            SessionState::Completed => {}
            SessionState::Delivered if now < session.expires_at => {
                self.must_still_be_active(&session, now).await?;
            }
            state => {
                return Err(Refusal::bad_request(format!(
                    "{id}: the enrollment session {} is {state}, or has expired: the enrollment begins again",
                    session.id
                )));
            }
        }
        Ok(session)
    }

    async fn token_update(
        &self,
        id: &EnrollmentId,
        message: &TokenUpdate,
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        self.check_topic(id, &message.topic)?;
        speaker.device_state(id.device())?;
        let enrollment = self.enrollment(id.device()).await?;
        let update = lanyard_store::TokenUpdate {
            device_id: id.device(),
            user_id: id.user(),
            certificate: speaker.fingerprint(),
            topic: &message.topic,
            token: message.token.expose(),
            push_magic: message.push_magic.expose(),
            unlock_token: message.unlock_token.as_ref().map(|token| token.expose()),
            awaiting_configuration: message.awaiting_configuration,
        };
        let (device, person) = self.known_of(&enrollment).await?;
        let enrolled = Occurrence::Enrolled {
            enrollment: id.to_string(),
            device,
            person: Some(person),
        };
        match self
            .noting(enrolled, now)?
            .token_update(update, now)
            .await?
        {
            TokenUpdateOutcome::OtherCertificate => Err(Refusal::bad_request(format!(
                "{id}: the identity certificate is not the enrollment's current one any more"
            ))),
            TokenUpdateOutcome::CheckedOut => Err(Refusal::bad_request(format!(
                "{id}: TokenUpdate after CheckOut"
            ))),
            TokenUpdateOutcome::TooManyUsers => Err(Refusal::bad_request(format!(
                "{id}: the device has as many user channels as it may"
            ))),
            TokenUpdateOutcome::UnknownDevice => Err(Refusal::bad_request(format!(
                "{id}: TokenUpdate before Authenticate"
            ))),
            outcome @ (TokenUpdateOutcome::First | TokenUpdateOutcome::Refreshed) => {
                tracing::info!(enrollment = %id, ?outcome, "TokenUpdate");
                self.0.outbox.notify_one();
                self.0.events.notify_one();
                Ok(())
            }
        }
    }

    async fn check_out(
        &self,
        id: &EnrollmentId,
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        speaker.device_state(id.device())?;
        let checked_out = Occurrence::CheckedOut {
            enrollment: id.to_string(),
        };
        let store = self.noting(checked_out, now)?;
        let certificate = Some(speaker.fingerprint());
        match store.check_out(&id.to_string(), certificate, now).await? {
            CheckOutOutcome::OtherCertificate => Err(Refusal::bad_request(format!(
                "{id}: the identity certificate is not the enrollment's current one any more"
            ))),
            CheckOutOutcome::Unknown => Err(Refusal::bad_request(format!(
                "{id}: CheckOut of an unknown channel"
            ))),
            outcome @ (CheckOutOutcome::CheckedOut | CheckOutOutcome::AlreadyCheckedOut) => {
                tracing::info!(enrollment = %id, ?outcome, "CheckOut");
                Ok(())
            }
        }
    }

    /// Another topic than a push certificate's means a profile of another server: the device could never be woken.
    fn check_topic(&self, id: &EnrollmentId, topic: &str) -> Result<(), Refusal> {
        let topics = self.topics();
        if topics.is_empty() || topics.iter().any(|known| known.name() == topic) {
            return Ok(());
        }
        Err(Refusal::bad_request(format!(
            "{id}: the topic {} is no push certificate's",
            topic.escape_debug()
        )))
    }
}

fn facts(message: &Authenticate) -> EnrollmentFacts {
    EnrollmentFacts {
        serial: message.serial_number.clone(),
        product: message.product_name.clone(),
        model: message.model.clone(),
        model_name: message.model_name.clone(),
        device_name: message.device_name.clone(),
        os_version: message.os_version.clone(),
        build_version: message.build_version.clone(),
        imei: message.imei.clone(),
        meid: message.meid.clone(),
    }
}
