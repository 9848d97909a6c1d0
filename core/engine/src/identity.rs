//! Who is speaking: the identity certificate behind a request of a managed device.

use lanyard_mdm::{
    Sender,
    signature::{Claim, SignatureError},
};
use lanyard_pki::Certificate;
use lanyard_store::{
    Caller, CallingDevice, CertificatePurpose, Command, Enrollment, EnrollmentState, IdentityRow,
};

use crate::{Engine, Refusal, refusal::chain};

/// A certificate of ours that is alive, and whose key signed the request; and what waits for its device.
pub(crate) struct Speaker {
    row: IdentityRow,
    device: Option<CallingDevice>,
    next: Option<Command>,
}

/// What identity certificates of managed devices are issued for.
const MANAGEMENT: [CertificatePurpose; 2] =
    [CertificatePurpose::Identity, CertificatePurpose::Renewal];

impl Engine {
    /// Proves who signed the body, by the `Mdm-Signature` header. Whatever is wrong is a 400 and a line in the log.
    pub(crate) async fn speaker(
        &self,
        body: &[u8],
        header: Option<&[u8]>,
    ) -> Result<Speaker, Refusal> {
        let header =
            header.ok_or_else(|| Refusal::bad_request("the request carries no Mdm-Signature"))?;
        let unproven = |error: SignatureError| Refusal::bad_request(chain(&error));
        let claim = Claim::read(header).map_err(unproven)?;
        // The lookup goes first: it costs less than verifying what a stranger made up.
        let fingerprint = fingerprint(claim.unverified_signer().map_err(unproven)?);
        let caller = self.store().caller(&fingerprint).await?;
        let Caller {
            identity,
            device,
            next,
        } = caller.ok_or_else(|| not_ours(&fingerprint))?;
        self.stands(&identity, &MANAGEMENT)?;
        claim.verify(body).map_err(unproven)?;
        Ok(Speaker {
            row: identity,
            device,
            next,
        })
    }

    /// What is on record of a certificate, if it is one of ours, for one of these purposes, and alive.
    ///
    /// Equal by SHA-256 to what was recorded at issuance is as good as a chain check, and a lookup by primary key.
    pub(crate) async fn standing_identity(
        &self,
        certificate: &Certificate,
        purposes: &[CertificatePurpose],
    ) -> Result<IdentityRow, Refusal> {
        let fingerprint = fingerprint(certificate);
        let row = self.store().identity(&fingerprint).await?;
        let row = row.ok_or_else(|| not_ours(&fingerprint))?;
        self.stands(&row, purposes)?;
        Ok(row)
    }

    /// An enrollment on record.
    pub(crate) async fn enrollment(&self, id: &str) -> Result<Enrollment, Refusal> {
        let enrollment = self.store().find_enrollment(id).await?;
        enrollment.ok_or_else(|| Refusal::bad_request(format!("{id} is not enrolled")))
    }

    fn stands(&self, row: &IdentityRow, purposes: &[CertificatePurpose]) -> Result<(), Refusal> {
        let what = if !purposes.contains(&row.purpose) {
            "is not for this purpose"
        } else if row.revoked_at.is_some() {
            "is revoked"
        } else if row.not_after <= self.now() {
            "has expired"
        } else {
            return Ok(());
        };
        let fingerprint = &row.fingerprint;
        Err(Refusal::bad_request(format!(
            "the certificate {fingerprint} {what}"
        )))
    }
}

fn fingerprint(certificate: &Certificate) -> String {
    hex::encode(certificate.fingerprint())
}

fn not_ours(fingerprint: &str) -> Refusal {
    Refusal::bad_request(format!("the certificate {fingerprint} is not one of ours"))
}

impl Speaker {
    /// The certificate was issued to this device, and the message is from this device.
    pub(crate) fn must_be(&self, sender: &Sender) -> Result<(), Refusal> {
        let claimed = sender.id().device();
        match self.row.device_id.as_deref() {
            Some(device) if device == claimed => Ok(()),
            other => Err(Refusal::bad_request(format!(
                "the identity certificate {} was issued to {}, but the message claims to be from {claimed}",
                self.row.fingerprint,
                other.unwrap_or("no device"),
            ))),
        }
    }

    /// Whether its device is managed, if the certificate is the device's current one: that of an enrollment before does not count.
    pub(crate) fn device_state(&self, device: &str) -> Result<EnrollmentState, Refusal> {
        let known = self.device.as_ref();
        let known =
            known.ok_or_else(|| Refusal::bad_request(format!("{device} is not enrolled")))?;
        if known.certificate.as_deref() != Some(self.fingerprint()) {
            return Err(Refusal::bad_request(format!(
                "{device}: the identity certificate {} is not the enrollment's current one",
                self.fingerprint()
            )));
        }
        Ok(known.state)
    }

    /// What waited for the device's own channel when it began to speak.
    pub(crate) fn into_next(self) -> Option<Command> {
        self.next
    }

    /// SHA-256 of the certificate, in hexadecimal.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.row.fingerprint
    }

    /// The enrollment session that the certificate came out of.
    pub(crate) fn session(&self) -> Option<uuid::Uuid> {
        self.row.session_id
    }
}
