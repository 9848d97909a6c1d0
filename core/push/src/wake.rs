//! One notification: which device token to wake, and the magic that proves who wakes it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use lanyard_mdm::{DeviceToken, PushMagic};
use zeroize::Zeroizing;

/// How soon APNs should deliver (`apns-priority`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// At once (10).
    #[default]
    Now,
    /// When it suits the device's battery (5).
    SparePower,
}

/// A wake-up for one channel of one device (Apple, "Pushing notifications to MDM clients").
#[derive(Clone)]
pub struct Wake {
    token: Zeroizing<String>,
    magic: PushMagic,
    expires: Option<SystemTime>,
    urgency: Urgency,
}

impl Wake {
    /// A wake-up for the device token and push magic of a TokenUpdate. APNs drops it at once if the device
    /// cannot be reached, unless [`Wake::kept_until`] says otherwise.
    ///
    /// # Errors
    /// A token or magic that is empty or longer than any that a device sends.
    pub fn new(token: &DeviceToken, magic: PushMagic) -> Result<Wake, WakeError> {
        let length = token.expose().len();
        if !(1..=LONGEST_TOKEN).contains(&length) {
            return Err(WakeError::Token { length });
        }
        let length = magic.expose().len();
        if !(1..=LONGEST_MAGIC).contains(&length) {
            return Err(WakeError::Magic { length });
        }
        Ok(Wake {
            token: token.to_hex(),
            magic,
            expires: None,
            urgency: Urgency::Now,
        })
    }

    /// Asks APNs to keep the notification until then for a device that is off (`apns-expiration`).
    pub fn kept_until(mut self, expires: SystemTime) -> Wake {
        self.expires = Some(expires);
        self
    }

    /// Sets how soon APNs should deliver.
    pub fn with_urgency(mut self, urgency: Urgency) -> Wake {
        self.urgency = urgency;
        self
    }

    /// The device token as lower-case hexadecimal.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn magic(&self) -> &str {
        self.magic.expose()
    }

    /// Seconds since the Unix epoch; 0 asks APNs not to store.
    pub(crate) fn expiration(&self) -> u64 {
        self.expires
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_secs())
    }

    pub(crate) fn urgency(&self) -> Urgency {
        self.urgency
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake")
            .field("magic", &self.magic)
            .field("expires", &self.expires)
            .field("urgency", &self.urgency)
            .finish_non_exhaustive()
    }
}

/// Tokens have 32 octets today and Apple says not to rely on it; its documentation names 100 as a bound.
const LONGEST_TOKEN: usize = 100;

/// A magic is a UUID of 36 characters. Even if each of these octets were escaped as `\u0000`, the body would stay
/// below the 4096 octets that APNs takes.
const LONGEST_MAGIC: usize = 512;

/// The device's tokens cannot be what a device sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WakeError {
    /// The device token has no octets or too many.
    #[error(
        "a device token has 1 to {LONGEST_TOKEN} octets, not {length}: wait for the device's next TokenUpdate"
    )]
    Token {
        /// Octets.
        length: usize,
    },
    /// The push magic is empty or too long.
    #[error(
        "a push magic has 1 to {LONGEST_MAGIC} octets, not {length}: wait for the device's next TokenUpdate"
    )]
    Magic {
        /// Octets of UTF-8.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wake(token: &[u8], magic: &str) -> Result<Wake, WakeError> {
        Wake::new(&DeviceToken::new(token), PushMagic::new(magic))
    }

    #[test]
    fn debug_shows_neither_token_nor_magic() {
        let wake = wake(&[0xAB, 0x01], "MAGIC-1").unwrap();
        assert_eq!(wake.token(), "ab01");
        let shown = format!("{wake:?}");
        assert!(
            !shown.contains("ab01") && !shown.contains("MAGIC-1"),
            "{shown}"
        );
    }

    #[test]
    fn expiration_is_in_seconds_and_zero_means_do_not_store() {
        let wake = wake(&[1; 32], "m").unwrap();
        assert_eq!(wake.expiration(), 0);
        let kept = wake.kept_until(UNIX_EPOCH + Duration::from_millis(1_700_000_000_999));
        assert_eq!(kept.expiration(), 1_700_000_000);
    }

    #[test]
    fn impossible_tokens_are_refused() {
        assert_eq!(wake(&[], "m").unwrap_err(), WakeError::Token { length: 0 });
        assert!(wake(&[0; 101], "m").is_err());
        assert!(wake(&[0; 32], "").is_err());
        assert!(wake(&[0; 32], &"m".repeat(513)).is_err());
    }
}
