//! The rights that an enrollment profile claims.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of access rights, as the bit mask `AccessRights` of the payload `com.apple.mdm`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AccessRights(u16);

impl AccessRights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// 1: list installed profiles and certificates.
    pub const INSPECT: Self = Self(1);
    /// 2: install and remove profiles.
    pub const INSTALL_AND_REMOVE_PROFILES: Self = Self(2);
    /// 4: lock the device and remove its passcode.
    pub const LOCK_AND_REMOVE_PASSCODE: Self = Self(4);
    /// 8: erase the device.
    pub const ERASE: Self = Self(8);
    /// 16: query device information.
    pub const QUERY_DEVICE: Self = Self(16);
    /// 32: query network information.
    pub const QUERY_NETWORK: Self = Self(32);
    /// 64: list provisioning profiles.
    pub const INSPECT_PROVISIONING: Self = Self(64);
    /// 128: install and remove provisioning profiles.
    pub const INSTALL_AND_REMOVE_PROVISIONING: Self = Self(128);
    /// 256: list installed applications.
    pub const QUERY_APPLICATIONS: Self = Self(256);
    /// 512: query restrictions.
    pub const QUERY_RESTRICTIONS: Self = Self(512);
    /// 1024: query security information.
    pub const QUERY_SECURITY: Self = Self(1024);
    /// 2048: change settings.
    pub const SETTINGS: Self = Self(2048);
    /// 4096: manage applications.
    pub const MANAGE_APPLICATIONS: Self = Self(4096);
    /// 8191: every right.
    pub const ALL: Self = Self(8191);

    /// The set for a bit mask; bits beyond 4096 have no meaning and are dropped.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bit mask, 0 to 8191.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether every right of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for AccessRights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for AccessRights {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for AccessRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessRights({})", self.0)
    }
}

impl fmt::Display for AccessRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
