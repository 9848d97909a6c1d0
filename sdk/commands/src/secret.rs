//! Values that let someone into a device, or lock someone out.

use std::fmt;

use zeroize::Zeroizing;

use crate::CommandError;

/// The six digits that a Mac is locked or erased with; whoever has them unlocks it. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    pub(crate) const EXPECTED: &'static str = "a string of exactly six digits";

    /// A PIN of exactly six ASCII digits.
    ///
    /// # Errors
    /// [`NotAPin`] for anything else; the error does not repeat it.
    pub fn new(digits: impl Into<String>) -> Result<Self, NotAPin> {
        let digits = Zeroizing::new(digits.into());
        if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(NotAPin)
        }
    }

    pub(crate) fn of(
        request_type: &'static str,
        digits: Option<&str>,
    ) -> Result<Option<Self>, CommandError> {
        let pin = digits.map(Self::new).transpose();
        pin.map_err(|NotAPin| CommandError::Wrong {
            request_type,
            key: "PIN",
            expected: Self::EXPECTED,
        })
    }

    /// The six digits.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Text that is not a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN must have exactly six digits")]
pub struct NotAPin;

/// What a device gave its server (`TokenUpdate`) so that its passcode can be removed without knowing it: opaque octets,
/// at least one, usually some hundreds. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct UnlockToken(Zeroizing<Vec<u8>>);

impl UnlockToken {
    pub(crate) const EXPECTED: &'static str =
        "non-empty data, the UnlockToken of the device's last TokenUpdate";

    /// The token from the octets of `TokenUpdate`.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] if there are none.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, CommandError> {
        let octets = Zeroizing::new(octets.into());
        if octets.is_empty() {
            return Err(CommandError::Wrong {
                request_type: "ClearPasscode",
                key: "UnlockToken",
                expected: Self::EXPECTED,
            });
        }
        Ok(Self(octets))
    }

    /// The octets.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(redacted)")
    }
}

impl fmt::Debug for UnlockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockToken(redacted)")
    }
}
