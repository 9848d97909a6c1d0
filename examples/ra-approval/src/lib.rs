//! The smallest certificate approval: whoever has a challenge that holds gets a certificate, for at most so many days.

use lanyard_sdk::{
    Approval, Challenge, Plugin, RaApproval, RaQuestion, RaVerdict, Reason, Unavailable,
};
use serde::Deserialize;

/// What an operator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long certificates are valid, 1 to 397.
    days: u16,
}

/// The approval.
pub struct ShortLived(Settings);

impl Plugin for ShortLived {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if (1..=397).contains(&settings.days) {
            Ok(Self(settings))
        } else {
            Err(format!("days is {}; 1 to 397 are right", settings.days))
        }
    }
}

impl RaApproval for ShortLived {
    fn decide(&self, question: RaQuestion) -> Result<RaVerdict, Unavailable> {
        Ok(match question.challenge {
            Challenge::Held => RaVerdict::Approve(Approval {
                validity_seconds: Some(u64::from(self.0.days) * 24 * 3600),
                key_usages: None,
                relied_on: Vec::new(),
            }),
            Challenge::Absent | Challenge::Refused(_) => {
                Reason::new("no-challenge", "The request has no valid challenge.").deny()
            }
        })
    }
}

lanyard_sdk::export!(ShortLived: ra_approval; grants: {});

#[cfg(test)]
mod tests {
    use lanyard_sdk::{CertificationRequest, Decision};

    use super::*;

    fn question(challenge: Challenge) -> RaQuestion {
        RaQuestion {
            decision: Decision::example(),
            purpose: "identity".into(),
            request: CertificationRequest {
                subject: "CN=device".into(),
                key_type: "rsa".into(),
                key_bits: 2048,
                spki_sha256: "00".repeat(32),
                requested_san: Vec::new(),
            },
            challenge,
            person: None,
            device: None,
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_challenge_that_holds_is_worth_thirty_days() {
        let plugin = ShortLived::new(Settings { days: 30 }).expect("good settings");
        let verdict = plugin.decide(question(Challenge::Held));
        assert!(matches!(
            verdict,
            Ok(RaVerdict::Approve(Approval {
                validity_seconds: Some(2_592_000),
                ..
            }))
        ));
        let verdict = plugin.decide(question(Challenge::Absent));
        assert!(matches!(verdict, Ok(RaVerdict::Deny(_))));
        assert!(ShortLived::new(Settings { days: 0 }).is_err());
    }
}
