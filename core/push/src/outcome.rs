//! What APNs answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::reason::{Action, Reason};

/// The answer of APNs to one wake-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// APNs took the notification. Whether the device wakes shows only when it connects.
    Accepted {
        /// The notification's identifier (`apns-id`), a UUID, for asking Apple about it.
        apns_id: Option<String>,
    },
    /// APNs refused it.
    Rejected(Rejection),
}

/// Why APNs refused a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status.
    pub status: u16,
    /// The reason in the body.
    pub reason: Reason,
    /// Of a 410: since when the token is known to be dead.
    pub timestamp: Option<SystemTime>,
    /// The notification's identifier (`apns-id`).
    pub apns_id: Option<String>,
}

impl Rejection {
    /// Reads an error response. The body is `{"reason": text, "timestamp": milliseconds}`; a body that is anything
    /// else yields a reason without text, for the status alone already says what to do.
    pub(crate) fn read(status: u16, apns_id: Option<String>, body: &[u8]) -> Rejection {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        Rejection {
            status,
            reason: Reason::from_name(&body.reason),
            timestamp: body.timestamp.and_then(|milliseconds| {
                UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
            }),
            apns_id,
        }
    }

    /// What to do about it.
    pub fn action(&self) -> Action {
        Action::of(self.status, &self.reason, self.timestamp)
    }
}

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    timestamp: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_body_is_read() {
        let body = br#"{"reason":"Unregistered","timestamp":1700000000123}"#;
        let rejection = Rejection::read(410, Some("id".into()), body);
        assert_eq!(rejection.reason, Reason::Unregistered);
        let dead_since = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(
            rejection.action(),
            Action::DropToken {
                dead_since: Some(dead_since)
            }
        );
    }

    #[test]
    fn a_body_that_is_not_apples_leaves_the_status() {
        for body in [&b""[..], b"<html>", b"[1]", br#"{"reason":7}"#] {
            let rejection = Rejection::read(503, None, body);
            assert_eq!(rejection.reason, Reason::Other(String::new()));
            assert_eq!(rejection.action(), Action::Retry);
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            Rejection::read(status, None, &body).action();
        }

        #[test]
        fn no_reason_panics(reason in ".*", timestamp in any::<u64>()) {
            let body = serde_json::json!({ "reason": reason, "timestamp": timestamp }).to_string();
            let rejection = Rejection::read(410, None, body.as_bytes());
            prop_assert!(rejection.reason.as_str().len() <= 64);
        }
    }
}
