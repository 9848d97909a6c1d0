//! Who is speaking: the identity certificate behind a request of a managed device.

use chrono::{DateTime, Utc};
use lanyard_mdm::{
    Sender,
    signature::{Claim, SignatureError},
};
use lanyard_pki::Digest;
use lanyard_store::{CertificatePurpose, IdentityRow};

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

/// A certificate of ours that is alive, and whose key vouches for the request.
pub(crate) struct Speaker {
    row: IdentityRow,
}

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
        let row = self
            .standing_identity(
                Digest::sha256(certificate),
                &[CertificatePurpose::Identity, CertificatePurpose::Renewal],
            )
            .await?;
        if let Some(claim) = &claim {
            claim.verify(body).map_err(unproven)?;
        }
        Ok(Speaker { row })
    }

    /// What is on record of the certificate with this SHA-256, if it is one of ours, for one of these purposes, and alive.
    ///
    /// Equal to what was recorded at issuance is as good as a chain check, and a lookup by primary key.
    pub(crate) async fn standing_identity(
        &self,
        fingerprint: [u8; 32],
        purposes: &[CertificatePurpose],
    ) -> Result<IdentityRow, Refusal> {
        let fingerprint = hex::encode(fingerprint);
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
            let ended = DateTime::<Utc>::from(row.not_after).format("%F");
            return Err(refused(&match &row.device_id {
                Some(device) => format!(
                    "of {device} has expired on {ended}: the device has to be enrolled again"
                ),
                None => format!("has expired on {ended}"),
            }));
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
