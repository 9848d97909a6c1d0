//! Why APNs refused a notification, and what that asks of the sender.

use std::fmt;
use std::time::SystemTime;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The `reason` of an APNs error response (Apple, "Handling notification responses from APNs").
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)+
            /// A reason that this list does not know, or the empty text where the body carried none.
            /// At most 64 printable ASCII characters, so that it can be logged.
            Other(String),
        }

        impl Reason {
            /// Every reason that has a name of its own.
            pub const NAMED: &'static [Reason] = &[$(Reason::$name,)+];

            /// The reason as APNs spells it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Reason::$name => stringify!($name),)+
                    Reason::Other(text) => text,
                }
            }

            /// Reads a reason; one that is unknown is kept as text.
            pub fn from_name(name: &str) -> Reason {
                match name {
                    $(stringify!($name) => Reason::$name,)+
                    other => Reason::Other(
                        other.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect(),
                    ),
                }
            }
        }
    };
}

reasons! {
    /// 400: the collapse identifier is too long.
    BadCollapseId,
    /// 400: the device token is malformed, or belongs to the other environment.
    BadDeviceToken,
    /// 400: `apns-expiration` is not a number of seconds.
    BadExpirationDate,
    /// 400: `apns-id` is not a UUID.
    BadMessageId,
    /// 400: `apns-priority` is not one of the known ones.
    BadPriority,
    /// 400: `apns-topic` is malformed.
    BadTopic,
    /// 400: the token belongs to a device that enrolled with another topic.
    DeviceTokenNotForTopic,
    /// 400: a header came twice.
    DuplicateHeaders,
    /// 400: the connection was idle for too long.
    IdleTimeout,
    /// 400: `apns-push-type` does not fit.
    InvalidPushType,
    /// 400: the path has no device token.
    MissingDeviceToken,
    /// 400: `apns-topic` is missing and the certificate stands for several topics.
    MissingTopic,
    /// 400: the body is empty.
    PayloadEmpty,
    /// 400: the certificate may not push to this topic.
    TopicDisallowed,
    /// 403: the push certificate is invalid, expired or revoked.
    BadCertificate,
    /// 403: the push certificate belongs to the other environment.
    BadCertificateEnvironment,
    /// 403: the key identifier belongs to the other environment.
    BadEnvironmentKeyIdInToken,
    /// 403: the provider token is stale.
    ExpiredProviderToken,
    /// 403: the action is not allowed.
    Forbidden,
    /// 403: the provider token is invalid.
    InvalidProviderToken,
    /// 403: neither a client certificate nor a provider token was presented.
    MissingProviderToken,
    /// 403: the key is not related to the one used before on this connection.
    UnrelatedKeyIdInToken,
    /// 404: the path is wrong.
    BadPath,
    /// 405: the method is not POST.
    MethodNotAllowed,
    /// 410: the device token has expired.
    ExpiredToken,
    /// 410: the device token is no longer active for the topic.
    Unregistered,
    /// 413: the body is longer than 4096 octets.
    PayloadTooLarge,
    /// 429: the provider token is renewed too often.
    TooManyProviderTokenUpdates,
    /// 429: too many notifications to the same device.
    TooManyRequests,
    /// 500: APNs failed.
    InternalServerError,
    /// 503: APNs is unavailable.
    ServiceUnavailable,
    /// 503: this APNs server is shutting down.
    Shutdown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            "" => f.write_str("no reason given"),
            text => f.write_str(text),
        }
    }
}

/// What a refusal asks of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep the enrollment, push no more to this token, wait for the device's next TokenUpdate.
    DropToken {
        /// Since when APNs knows the token to be dead; a TokenUpdate that arrived later makes this refusal obsolete.
        dead_since: Option<SystemTime>,
    },
    /// Try again later ([`crate::schedule::retry`]).
    Retry,
    /// This device was pushed to too often: wait longer ([`crate::schedule::back_off`]) and coalesce.
    BackOff,
    /// Something is wrong with this device's push that no retry mends: tell the operator.
    AlertOperator,
    /// APNs does not accept the push certificate, or not for its topic: stop every push to the topic and tell the operator.
    StopTopic,
    /// The request was malformed, which is an error in this program: log it, do not retry.
    ReportBug,
}

impl Action {
    /// What a response with this status, reason and timestamp asks for. Of a reason that has no name of its own the status
    /// decides; an unknown one of the 4xx goes to the operator, who can look it up, and is not retried.
    pub fn of(status: u16, reason: &Reason, timestamp: Option<SystemTime>) -> Action {
        use Reason::*;
        match reason {
            BadDeviceToken => Action::DropToken { dead_since: None },
            Unregistered | ExpiredToken => Action::DropToken {
                dead_since: timestamp,
            },
            DeviceTokenNotForTopic => Action::AlertOperator,
            BadCertificate
            | BadCertificateEnvironment
            | BadTopic
            | MissingTopic
            | TopicDisallowed
            | Forbidden
            | ExpiredProviderToken
            | InvalidProviderToken
            | MissingProviderToken
            | UnrelatedKeyIdInToken
            | BadEnvironmentKeyIdInToken
            | TooManyProviderTokenUpdates => Action::StopTopic,
            BadCollapseId | BadExpirationDate | BadMessageId | BadPriority | DuplicateHeaders
            | InvalidPushType | MissingDeviceToken | PayloadEmpty | PayloadTooLarge | BadPath
            | MethodNotAllowed => Action::ReportBug,
            TooManyRequests => Action::BackOff,
            IdleTimeout | InternalServerError | ServiceUnavailable | Shutdown => Action::Retry,
            Other(_) => match status {
                410 => Action::DropToken {
                    dead_since: timestamp,
                },
                403 => Action::StopTopic,
                429 => Action::BackOff,
                404 | 405 | 413 => Action::ReportBug,
                500..=599 => Action::Retry,
                _ => Action::AlertOperator,
            },
        }
    }

    /// Whether this action still concerns a token that a TokenUpdate brought at `received`: APNs may report the death of the
    /// token's earlier registration after the device has already registered anew.
    pub fn concerns_token_received_at(self, received: SystemTime) -> bool {
        match self {
            Action::DropToken {
                dead_since: Some(dead_since),
            } => received <= dead_since,
            _ => true,
        }
    }
}

/// Reasons after which the same connection must not be used again.
pub(crate) fn ends_connection(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::IdleTimeout | Reason::ServiceUnavailable | Reason::Shutdown
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The table of `Action` by status and reason, as Apple's page lists them.
    const TABLE: &[(u16, &str, &str)] = &[
        (400, "BadDeviceToken", "drop"),
        (400, "DeviceTokenNotForTopic", "alert"),
        (400, "BadTopic", "stop"),
        (400, "MissingTopic", "stop"),
        (400, "TopicDisallowed", "stop"),
        (400, "BadExpirationDate", "bug"),
        (400, "BadPriority", "bug"),
        (400, "BadMessageId", "bug"),
        (400, "BadCollapseId", "bug"),
        (400, "InvalidPushType", "bug"),
        (400, "DuplicateHeaders", "bug"),
        (400, "MissingDeviceToken", "bug"),
        (400, "PayloadEmpty", "bug"),
        (400, "IdleTimeout", "retry"),
        (403, "BadCertificate", "stop"),
        (403, "BadCertificateEnvironment", "stop"),
        (403, "Forbidden", "stop"),
        (403, "ExpiredProviderToken", "stop"),
        (403, "InvalidProviderToken", "stop"),
        (403, "MissingProviderToken", "stop"),
        (403, "UnrelatedKeyIdInToken", "stop"),
        (403, "BadEnvironmentKeyIdInToken", "stop"),
        (404, "BadPath", "bug"),
        (405, "MethodNotAllowed", "bug"),
        (410, "Unregistered", "drop-since"),
        (410, "ExpiredToken", "drop-since"),
        (413, "PayloadTooLarge", "bug"),
        (429, "TooManyRequests", "back-off"),
        (429, "TooManyProviderTokenUpdates", "stop"),
        (500, "InternalServerError", "retry"),
        (503, "ServiceUnavailable", "retry"),
        (503, "Shutdown", "retry"),
        (400, "SomethingNew", "alert"),
        (403, "BadEnvironmentKeyInToken", "stop"),
        (410, "SomethingNew", "drop-since"),
        (413, "SomethingNew", "bug"),
        (429, "SomethingNew", "back-off"),
        (500, "", "retry"),
        (502, "SomethingNew", "retry"),
        (200, "SomethingNew", "alert"),
    ];

    #[test]
    fn every_reason_has_its_action() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (status, name, expected) in TABLE {
            let reason = Reason::from_name(name);
            assert_eq!(reason.as_str(), *name);
            let action = match Action::of(*status, &reason, Some(since)) {
                Action::DropToken { dead_since: None } => "drop",
                Action::DropToken {
                    dead_since: Some(at),
                } => {
                    assert_eq!(at, since);
                    "drop-since"
                }
                Action::Retry => "retry",
                Action::BackOff => "back-off",
                Action::AlertOperator => "alert",
                Action::StopTopic => "stop",
                Action::ReportBug => "bug",
            };
            assert_eq!(action, *expected, "{status} {name}");
        }
        for reason in Reason::NAMED {
            assert!(
                TABLE.iter().any(|(_, name, _)| *name == reason.as_str()),
                "{reason} is missing from the table"
            );
        }
    }

    #[test]
    fn a_later_token_update_outlives_a_410() {
        let dead = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let action = Action::of(410, &Reason::Unregistered, Some(dead));
        assert!(action.concerns_token_received_at(dead - Duration::from_secs(1)));
        assert!(action.concerns_token_received_at(dead));
        assert!(!action.concerns_token_received_at(dead + Duration::from_millis(1)));
        let undated = Action::of(410, &Reason::Unregistered, None);
        assert!(undated.concerns_token_received_at(dead + Duration::from_secs(1)));
    }

    #[test]
    fn an_unknown_reason_is_kept_and_harmless_in_a_log() {
        let reason = Reason::from_name(&format!("New\u{1b}[31m\n{}", "x".repeat(500)));
        let Reason::Other(text) = &reason else {
            panic!("{reason:?}");
        };
        assert!(text.starts_with("New[31mx") && text.len() == 64);
        assert_eq!(Reason::from_name("").to_string(), "no reason given");
    }
}
