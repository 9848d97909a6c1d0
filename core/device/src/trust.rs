//! Whether the signer of a profile is one that the device trusts: what iOS shows as "Verified".

use std::time::SystemTime;

use lanyard_mdm::signed::SignedDocument;
use lanyard_pki::{Certificate, Strength};

/// Longest chain followed; more says that somebody goes round in circles.
const LONGEST_CHAIN: usize = 8;

/// Follows the signer's issuers, of which the message must carry all but the anchor, until one of the anchors.
///
/// # Errors
/// The walk ends elsewhere, or meets a certificate out of its time.
pub fn verify(
    document: &SignedDocument,
    anchors: &[Certificate],
    now: SystemTime,
) -> Result<(), Untrusted> {
    let mut current = &document.signer;
    for _ in 0..LONGEST_CHAIN {
        if !current.is_valid_at(now) {
            return Err(Untrusted::Time {
                subject: current.subject().to_string(),
            });
        }
        if anchors.contains(current) {
            return Ok(());
        }
        let candidates = anchors.iter().chain(&document.certificates);
        match candidates.into_iter().find(|above| issued(above, current)) {
            Some(above) if above != current => current = above,
            _ => break,
        }
    }
    Err(Untrusted::NoAnchor {
        subject: document.signer.subject().to_string(),
        top: current.subject().to_string(),
    })
}

fn issued(above: &Certificate, below: &Certificate) -> bool {
    above.is_authority()
        && above.subject() == below.issuer()
        && below
            .verify_signed_by(above.public_key(), Strength::Modern)
            .is_ok()
}

/// The signer is nobody that the device trusts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// The chain does not end at an anchor.
    #[error(
        "the signer {subject} is not trusted: its chain ends at {top}, which is none of the device's anchors"
    )]
    NoAnchor {
        /// The signer.
        subject: String,
        /// Where the walk ended.
        top: String,
    },
    /// A certificate of the chain is not valid yet, or not any more.
    #[error("the certificate of {subject} is out of its time")]
    Time {
        /// Whose certificate.
        subject: String,
    },
}
