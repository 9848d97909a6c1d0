//! What Apple's schema says about each command beyond its keys: where it exists, what it takes, what it does to a person.

mod table;

use std::fmt;

use crate::AccessRights;

/// An operating system that speaks the MDM protocol. iPadOS counts as iOS, as it does in Apple's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // their names say it
pub enum Platform {
    Ios,
    Macos,
    Tvos,
    Visionos,
    Watchos,
}

impl Platform {
    /// The platform of a product name as devices report it (`PRODUCT`, `ProductName`), such as `iPhone17,1` or
    /// `VirtualMac2,1`; `None` for a name of a family unknown here.
    #[must_use]
    pub fn of_product(product: &str) -> Option<Self> {
        let family = product.split(|c: char| c.is_ascii_digit()).next()?;
        match family {
            "iPhone" | "iPad" | "iPod" => Some(Self::Ios),
            "AppleTV" => Some(Self::Tvos),
            "RealityDevice" => Some(Self::Visionos),
            "Watch" => Some(Self::Watchos),
            family if family.contains("Mac") || family == "Xserve" => Some(Self::Macos),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ios => "iOS",
            Self::Macos => "macOS",
            Self::Tvos => "tvOS",
            Self::Visionos => "visionOS",
            Self::Watchos => "watchOS",
        })
    }
}

/// One command, as Apple's schema describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The name on the wire.
    pub request_type: &'static str,
    /// The right that it takes; where platforms differ, the one that any of them wants. `DeviceInformation` has none here:
    /// its queries have ([`Query::right`](crate::Query::right)).
    pub right: AccessRights,
    /// It erases data, locks someone out or takes a protection away, and no other command undoes it.
    pub destructive: bool,
    /// iOS never answers it with NotNow.
    pub never_not_now_on_ios: bool,
    availability: [Option<Availability>; 5],
}

/// How one platform has a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    /// The platform.
    pub platform: Platform,
    /// The first version of its operating system with the command, such as `10.13.6`.
    pub since: &'static str,
    /// Only a supervised device takes it.
    pub supervised: bool,
    /// Only a device that came through Automated Device Enrollment takes it.
    pub automated_enrollment: bool,
    /// A user enrollment (a person's own device) takes it.
    pub user_enrollment: bool,
    /// The device channel takes it.
    pub device_channel: bool,
    /// User channels (macOS, Shared iPad) take it.
    pub user_channel: bool,
}

impl Facts {
    /// The facts of a command; `None` if Apple's schema of that release does not have it.
    #[must_use]
    pub fn of(request_type: &str) -> Option<&'static Self> {
        let found = table::TABLE.binary_search_by(|facts| facts.request_type.cmp(request_type));
        found.ok().map(|index| &table::TABLE[index])
    }

    /// All commands, in the order of their names.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &table::TABLE
    }

    /// How a platform has the command; `None` if it does not.
    #[must_use]
    pub fn on(&self, platform: Platform) -> Option<Availability> {
        self.availability
            .into_iter()
            .flatten()
            .find(|availability| availability.platform == platform)
    }

    const fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }

    const fn never_not_now_on_ios(mut self) -> Self {
        self.never_not_now_on_ios = true;
        self
    }
}

impl Availability {
    /// Whether a version of the operating system, such as `17.4.1`, has the command. Versions compare number by
    /// number; a part that is no number counts as 0.
    #[must_use]
    pub fn includes(&self, version: &str) -> bool {
        fn parts(version: &str) -> impl Iterator<Item = u64> {
            version.split('.').map(|part| part.parse().unwrap_or(0))
        }
        let mut have = parts(version);
        for wanted in parts(self.since) {
            let have = have.next().unwrap_or(0);
            if have != wanted {
                return have > wanted;
            }
        }
        true
    }

    const fn since(platform: Platform, version: &'static str) -> Self {
        Self {
            platform,
            since: version,
            supervised: false,
            automated_enrollment: false,
            user_enrollment: true,
            device_channel: true,
            user_channel: false,
        }
    }

    const fn supervised(mut self) -> Self {
        self.supervised = true;
        self
    }

    const fn automated(mut self) -> Self {
        self.automated_enrollment = true;
        self
    }

    const fn no_user_enrollment(mut self) -> Self {
        self.user_enrollment = false;
        self
    }

    const fn user_channel(mut self) -> Self {
        self.user_channel = true;
        self
    }

    const fn user_channel_only(mut self) -> Self {
        self.user_channel = true;
        self.device_channel = false;
        self
    }
}

const fn command<const N: usize>(
    request_type: &'static str,
    right: AccessRights,
    platforms: [Availability; N],
) -> Facts {
    let mut availability = [None; 5];
    let mut index = 0;
    while index < N {
        availability[index] = Some(platforms[index]);
        index += 1;
    }
    Facts {
        request_type,
        right,
        destructive: false,
        never_not_now_on_ios: false,
        availability,
    }
}

const fn ios(version: &'static str) -> Availability {
    Availability::since(Platform::Ios, version)
}

const fn macos(version: &'static str) -> Availability {
    Availability::since(Platform::Macos, version)
}

const fn tvos(version: &'static str) -> Availability {
    // Neither tvOS nor watchOS has user enrollment at all.
    Availability::since(Platform::Tvos, version).no_user_enrollment()
}

const fn visionos(version: &'static str) -> Availability {
    Availability::since(Platform::Visionos, version)
}

const fn watchos(version: &'static str) -> Availability {
    Availability::since(Platform::Watchos, version).no_user_enrollment()
}
