//! What a device may be told to do wrong while it enrolls and is managed. How it deviates in answering commands is
//! [`crate::model::Behaviour`].

use std::fmt;
use std::str::FromStr;

use lanyard_mdm::Challenge;
use lanyard_mdm::ota::DeviceAttributes;
use lanyard_mdm::profile::ScepPayload;

use crate::credentials::Credentials;

/// One thing to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// Signs in with another password.
    WrongPassword,
    /// Changes one bit of the phase-2 message.
    AlterPhase2,
    /// Sends a challenge in phase 2 that is not its own.
    ForeignPhase2,
    /// Sends the phase-2 message twice, and goes on with the second answer.
    ReplayPhase2,
    /// Asks for the interim certificate with a challenge that was not given to it.
    WrongChallenge,
    /// Changes one bit of the request for the interim certificate.
    AlterCsr,
    /// Changes one bit of the phase-3 message.
    AlterPhase3,
    /// Claims another UDID in phase 3 than in phase 2.
    OtherDeviceInPhase3,
    /// Sends the phase-3 message twice, and goes on with the second answer.
    ReplayPhase3,
    /// Leaves `Mdm-Signature` out of everything.
    UnsignedCheckIn,
    /// Claims another UDID in Authenticate than its certificate is for.
    OtherUdidCheckIn,
    /// Stops before TokenUpdate.
    NoTokenUpdate,
    /// Sleeps on when it is woken.
    IgnorePush,
    /// Sends each result twice, and goes on with the second answer.
    DuplicateResults,
    /// Loses the first command that comes, as if the connection had broken under the answer.
    LoseCommand,
}

const ALL: [(Mischief, &str); 15] = [
    (Mischief::WrongPassword, "wrong-password"),
    (Mischief::AlterPhase2, "alter-phase-2"),
    (Mischief::ForeignPhase2, "foreign-phase-2"),
    (Mischief::ReplayPhase2, "replay-phase-2"),
    (Mischief::WrongChallenge, "wrong-challenge"),
    (Mischief::AlterCsr, "alter-csr"),
    (Mischief::AlterPhase3, "alter-phase-3"),
    (Mischief::OtherDeviceInPhase3, "other-device-in-phase-3"),
    (Mischief::ReplayPhase3, "replay-phase-3"),
    (Mischief::UnsignedCheckIn, "unsigned-check-in"),
    (Mischief::OtherUdidCheckIn, "other-udid-check-in"),
    (Mischief::NoTokenUpdate, "no-token-update"),
    (Mischief::IgnorePush, "ignore-push"),
    (Mischief::DuplicateResults, "duplicate-results"),
    (Mischief::LoseCommand, "lose-command"),
];

impl Mischief {
    /// Each of them.
    pub fn all() -> impl Iterator<Item = Mischief> {
        ALL.into_iter().map(|(mischief, _)| mischief)
    }
}

/// Another UDID than any device of ours has, in the form of one.
pub(crate) const OTHER_UDID: &str = "00008120-FFFFFFFFFFFFFFFF";

/// All that a device was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told(Vec<Mischief>);

impl Told {
    /// A device that was told this.
    #[must_use]
    pub fn new(mischief: impl IntoIterator<Item = Mischief>) -> Told {
        Told(mischief.into_iter().collect())
    }

    pub(crate) fn to(&self, mischief: Mischief) -> bool {
        self.0.contains(&mischief)
    }

    pub(crate) fn credentials(&self, right: &Credentials) -> Credentials {
        match self.to(Mischief::WrongPassword) {
            true => Credentials::new(&right.user, "not the password"),
            false => right.clone(),
        }
    }

    pub(crate) fn attributes_of_phase_2(&self, right: DeviceAttributes) -> DeviceAttributes {
        match self.to(Mischief::ForeignPhase2) {
            true => DeviceAttributes {
                challenge: Some(Challenge::new("not the challenge")),
                ..right
            },
            false => right,
        }
    }

    pub(crate) fn attributes_of_phase_3(&self, right: DeviceAttributes) -> DeviceAttributes {
        match self.to(Mischief::OtherDeviceInPhase3) {
            true => DeviceAttributes {
                udid: OTHER_UDID.to_owned(),
                ..right
            },
            false => right,
        }
    }

    pub(crate) fn scep(&self, right: ScepPayload) -> ScepPayload {
        match self.to(Mischief::WrongChallenge) {
            true => ScepPayload {
                challenge: Some(Challenge::new("not the challenge")),
                ..right
            },
            false => right,
        }
    }

    /// Flips the lowest bit of an octet of what is signed: that stands at the beginning, before certificates that no signature of
    /// the message covers.
    pub(crate) fn alter(&self, mischief: Mischief, message: &mut [u8]) {
        let signed = message.len() / 8;
        if self.to(mischief)
            && let Some(octet) = message.get_mut(signed)
        {
            *octet ^= 1;
        }
    }
}

impl FromStr for Mischief {
    type Err = MischiefError;

    fn from_str(text: &str) -> Result<Mischief, MischiefError> {
        let known = ALL.into_iter().find(|(_, name)| *name == text);
        known
            .map(|(mischief, _)| mischief)
            .ok_or_else(|| MischiefError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for Mischief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.into_iter().find(|(mischief, _)| mischief == self);
        f.write_str(name.map(|(_, name)| name).unwrap_or_default())
    }
}

/// A mischief that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no mischief: write one of {}", ALL.map(|(_, name)| name).join(", "))]
pub struct MischiefError {
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for (mischief, name) in ALL {
            assert_eq!(mischief.to_string(), name);
            assert_eq!(name.parse(), Ok(mischief));
        }
        let error = "sleep".parse::<Mischief>().unwrap_err();
        assert!(error.to_string().contains("alter-phase-2"));
    }
}
