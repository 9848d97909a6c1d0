//! Signs a certificate and records it, in this order: what is handed out is on record, and a lost answer is given again.

use std::time::SystemTime;

use lanyard_pki::{Certificate, SerialNumber};
use lanyard_policy::{Occurrence, Purpose};
use lanyard_scep::Authorized;
use lanyard_store::{
    CertificatePurpose, DecisionRecord, IssueOutcome, NewIssuance, SessionState, SessionStep,
};
use uuid::Uuid;

use super::{Stopped, Transaction};
use crate::{Engine, Refusal, enrollment::person_of};

impl Engine {
    pub(super) async fn issue(
        &self,
        authorized: Authorized,
        record: Option<DecisionRecord>,
        approvals: Vec<Uuid>,
        transaction: Transaction,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let Transaction {
            binding,
            session,
            challenge,
            key,
            csr_sha256,
            subject: _,
        } = transaction;
        let serial = SerialNumber::from_random(rand::random());
        let certificate = self
            .compute(move |engine| engine.setup().scep.issue(&authorized, serial, now))
            .await?
            .map_err(|error| Refusal::internal(&error))?;
        let step = (binding.purpose == Purpose::OtaInterim).then_some(SessionStep {
            id: session.id,
            from: SessionState::Identified,
            to: SessionState::Certified,
        });
        let new = lanyard_store::Certificate {
            fingerprint: hex::encode(certificate.fingerprint()),
            serial: hex::encode(certificate.serial()),
            authority: hex::encode(self.setup().scep.authority().fingerprint()),
            subject: certificate.subject().to_string(),
            purpose: recorded_purpose(binding.purpose),
            session_id: Some(session.id),
            device_id: session.device.as_ref().map(|device| device.udid.clone()),
            issued_at: now,
            not_after: certificate.not_after(),
            revoked_at: None,
            der: certificate.der().to_vec(),
        };
        let issuance = NewIssuance {
            key,
            csr_sha256,
            challenge,
            certificate: new,
            session: step,
        };
        let device = session.device.as_ref();
        let issued = Occurrence::CertificateIssued {
            serial: issuance.certificate.serial.clone(),
            purpose: binding.purpose,
            person: Some(person_of(&session)?.reference()),
            udid: device.map(|device| device.udid.clone()),
        };
        let mut store = self.noting(issued, now)?.using(approvals, now);
        if let Some(mut record) = record {
            record.serial = Some(issuance.certificate.serial.clone());
            store = store.recording(record);
        }
        let outcome = store.issue(&issuance, now).await.map_err(Refusal::from)?;
        let id = session.id;
        match outcome {
            IssueOutcome::Issued => {
                let serial = &issuance.certificate.serial;
                self.metrics().certificate(binding.purpose);
                tracing::info!(session = %id, serial, purpose = binding.purpose.as_str(), "certificate issued");
                Ok(certificate)
            }
            IssueOutcome::AlreadyIssued(before) => issued_before(&before.der),
            IssueOutcome::Denied { reason } => Err(Stopped::Rejected(format!(
                "session {id}: denied before: {reason}"
            ))),
            IssueOutcome::ApprovalGone => Err(Stopped::Pending(format!(
                "session {id}: its approval was changed meanwhile"
            ))),
            IssueOutcome::ChallengeUsed => Err(Stopped::Rejected(format!(
                "session {id}: the challenge was used by another request"
            ))),
            IssueOutcome::SessionMoved => Err(Stopped::Rejected(format!(
                "session {id}: it has its interim certificate already"
            ))),
        }
    }
}

pub(super) fn issued_before(der: &[u8]) -> Result<Certificate, Stopped> {
    Ok(Certificate::from_der(der).map_err(|error| Refusal::internal(&error))?)
}

fn recorded_purpose(purpose: Purpose) -> CertificatePurpose {
    match purpose {
        Purpose::OtaInterim => CertificatePurpose::OtaInterim,
        Purpose::Identity => CertificatePurpose::Identity,
        Purpose::Renewal => CertificatePurpose::Renewal,
        Purpose::Other => CertificatePurpose::Other,
    }
}
