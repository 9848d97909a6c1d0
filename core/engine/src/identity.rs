//! Who is speaking: the identity certificate behind a request of a managed device.

use chrono::{DateTime, Utc};
use lanyard_mdm::{
    Sender,
    signature::{Claim, SignatureError},
};
use lanyard_pki::{Certificate, Digest};
use lanyard_store::{
    Caller, CallingDevice, CertificatePurpose, Command, Enrollment, EnrollmentState, IdentityRow,
};

use crate::{Engine, Refusal, refusal::chain};

/// How a managed device proves that a request is its own: in the TLS handshake, by its signature, or both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof<'a> {
    /// The certificate, in DER, whose private key took part in the TLS handshake, be it with us or with a proxy that is believed.
    /// Nothing else of it was looked at.
    pub certificate: Option<&'a [u8]>,
    /// The `Mdm-Signature` header as it came.
    pub signature: Option<&'a [u8]>,
}

/// A certificate of ours that is alive, and whose key vouches for the request; and what waits for its device.
pub(crate) struct Speaker {
    row: IdentityRow,
    device: Option<CallingDevice>,
    next: Option<Command>,
}

/// What identity certificates of managed devices are issued for.
const MANAGEMENT: [CertificatePurpose; 2] =
    [CertificatePurpose::Identity, CertificatePurpose::Renewal];

impl Engine {
    /// Proves whose request it is. Whatever is wrong is a 400 and a line in the log.
    pub(crate) async fn speaker(&self, body: &[u8], proof: Proof<'_>) -> Result<Speaker, Refusal> {
        let unproven = |error: SignatureError| Refusal::bad_request(chain(&error));
        let claim = match proof.signature {
            Some(header) => Some(Claim::read(header).map_err(unproven)?),
            None => None,
        };
        let signer = match &claim {
            Some(claim) => Some(claim.unverified_signer().map_err(unproven)?.der()),
            None => None,
        };
        let certificate = match (proof.certificate, signer) {
            // A connection that one device opened does not carry what another one signed.
            (Some(shown), Some(signer)) if shown != signer => {
                return Err(Refusal::bad_request(
                    "the certificate of the connection is not the one that signed Mdm-Signature",
                ));
            }
            (Some(certificate), _) | (None, Some(certificate)) => certificate,
            (None, None) => {
                return Err(Refusal::bad_request(
                    "the request carries no Mdm-Signature, and its connection no client certificate",
                ));
            }
        };
        // The lookup goes first: it costs less than verifying what a stranger made up.
        let fingerprint = hex::encode(Digest::sha256(certificate));
        let caller = self.store().caller(&fingerprint).await?;
        let Caller {
            identity,
            device,
            next,
        } = caller.ok_or_else(|| not_ours(&fingerprint))?;
        self.stands(&identity, &MANAGEMENT)?;
        if let Some(claim) = &claim {
            claim.verify(body).map_err(unproven)?;
        }
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
        let fingerprint = hex::encode(certificate.fingerprint());
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
            "is not for this purpose".to_owned()
        } else if row.revoked_at.is_some() {
            "is revoked".to_owned()
        } else if row.not_after <= self.now() {
            expired(row)
        } else {
            return Ok(());
        };
        let fingerprint = &row.fingerprint;
        Err(Refusal::bad_request(format!(
            "the certificate {fingerprint} {what}"
        )))
    }
}

fn expired(row: &IdentityRow) -> String {
    let ended = DateTime::<Utc>::from(row.not_after).format("%F");
    match &row.device_id {
        Some(device) => {
            format!("of {device} has expired on {ended}: the device has to be enrolled again")
        }
        None => format!("has expired on {ended}"),
    }
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
