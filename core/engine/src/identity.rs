//! Who is speaking: the identity certificate behind a request of a managed device.

use lanyard_mdm::{
    Sender,
    signature::{Claim, SignatureError},
};
use lanyard_pki::Certificate;
use lanyard_store::{CertificatePurpose, IdentityRow};

use crate::{Engine, Refusal, refusal::chain};

/// A certificate of ours that is alive, and whose key signed the request.
pub(crate) struct Speaker {
    row: IdentityRow,
}

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
        let row = self
            .standing_identity(
                claim.unverified_signer().map_err(unproven)?,
                &[CertificatePurpose::Identity, CertificatePurpose::Renewal],
            )
            .await?;
        claim.verify(body).map_err(unproven)?;
        Ok(Speaker { row })
    }

    /// What is on record of a certificate, if it is one of ours, for one of these purposes, and alive.
    ///
    /// Equal by SHA-256 to what was recorded at issuance is as good as a chain check, and a lookup by primary key.
    pub(crate) async fn standing_identity(
        &self,
        certificate: &Certificate,
        purposes: &[CertificatePurpose],
    ) -> Result<IdentityRow, Refusal> {
        let fingerprint = hex::encode(certificate.fingerprint());
        let refused =
            |what: &str| Refusal::bad_request(format!("the certificate {fingerprint} {what}"));
        let row = self
            .store()
            .identity(&fingerprint)
            .await?
            .ok_or_else(|| refused("is not one of ours"))?;
        if !purposes.contains(&row.purpose) {
            return Err(refused("is not for this purpose"));
        }
        if row.revoked_at.is_some() {
            return Err(refused("is revoked"));
        }
        if row.not_after <= self.now() {
            return Err(refused("has expired"));
        }
        Ok(row)
    }
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

    /// SHA-256 of the certificate, in hexadecimal.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.row.fingerprint
    }

    /// The enrollment session that the certificate came out of.
    pub(crate) fn session(&self) -> Option<uuid::Uuid> {
        self.row.session_id
    }
}
