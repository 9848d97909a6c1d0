//! Quiet hours: a window of the day, where the organisation is.

use serde::{Deserialize, Deserializer, de::Error};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// When what can wait is held back.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct QuietHours {
    from_ms: i64,
    to_ms: i64,
    offset_ms: i64,
    urgent: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: TimeOfDay,
    to: TimeOfDay,
    utc_offset: Option<UtcOffset>,
    urgent: Option<Vec<String>>,
}

impl TryFrom<Written> for QuietHours {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if written.from.0 == written.to.0 {
            return Err(
                "quiet_hours begin when they end: at least one minute is between".to_owned(),
            );
        }
        let usual = ["DeviceLock", "EraseDevice", "EnableLostMode"];
        Ok(Self {
            from_ms: written.from.0,
            to_ms: written.to.0,
            offset_ms: written.utc_offset.map_or(0, |offset| offset.0),
            urgent: written
                .urgent
                .unwrap_or_else(|| usual.map(str::to_owned).to_vec()),
        })
    }
}

impl QuietHours {
    /// Seconds until they are over; `None` outside.
    pub(crate) fn left(&self, at_ms: i64) -> Option<u32> {
        let now = (at_ms + self.offset_ms).rem_euclid(DAY_MS);
        let since = (now - self.from_ms).rem_euclid(DAY_MS);
        let lasts = (self.to_ms - self.from_ms).rem_euclid(DAY_MS);
        if since >= lasts {
            return None;
        }
        u32::try_from((lasts - since + 999) / 1000).ok()
    }

    pub(crate) fn is_urgent(&self, request_type: &str) -> bool {
        self.urgent.iter().any(|urgent| urgent == request_type)
    }
}

/// `22:30`, in milliseconds.
struct TimeOfDay(i64);

/// `+02:00`, in milliseconds.
struct UtcOffset(i64);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let minutes = minutes(&text, 23);
        let time = minutes.map(|minutes| Self(minutes * MINUTE_MS));
        time.ok_or_else(|| D::Error::custom(format!("{text:?} is no time of day: write 22:30")))
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let signed = match text.split_at_checked(1) {
            Some(("+", rest)) => minutes(rest, 14),
            Some(("-", rest)) => minutes(rest, 12).map(|minutes| -minutes),
            _ => None,
        };
        let offset = signed.map(|minutes| Self(minutes * MINUTE_MS));
        offset.ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no offset from UTC: write +02:00"))
        })
    }
}

/// Minutes of `HH:MM`.
fn minutes(text: &str, last_hour: i64) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours <= last_hour && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(json: &str) -> Result<QuietHours, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn they_may_go_past_midnight_and_count_where_the_organisation_is() {
        let night = quiet(r#"{"from":"22:00","to":"06:00","utc_offset":"+02:00"}"#).unwrap();
        let at = |hours: i64, minutes: i64| (hours * 60 + minutes) * MINUTE_MS;
        for (at_ms, left) in [
            (at(19, 59), None),
            (at(20, 0), Some(8 * 3600)),
            (at(3, 59), Some(60)),
            (at(4, 0) - 1, Some(1)),
            (at(4, 0), None),
            (at(24 + 20, 0), Some(8 * 3600)),
        ] {
            assert_eq!(night.left(at_ms), left, "{at_ms}");
        }
        let noon = quiet(r#"{"from":"12:00","to":"13:00","utc_offset":"-05:30"}"#).unwrap();
        assert_eq!(noon.left(at(17, 30)), Some(3600));
        assert_eq!(noon.left(at(12, 30)), None);
        assert!(noon.is_urgent("DeviceLock") && !noon.is_urgent("ProfileList"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (json, part) in [
            (r#"{"from":"24:00","to":"06:00"}"#, "write 22:30"),
            (r#"{"from":"6:00","to":"07:00"}"#, "write 22:30"),
            (r#"{"from":"06:00","to":"06:00"}"#, "at least one minute"),
            (
                r#"{"from":"06:00","to":"07:00","utc_offset":"2"}"#,
                "write +02:00",
            ),
            (
                r#"{"from":"06:00","to":"07:00","zone":"x"}"#,
                "unknown field",
            ),
        ] {
            let refused = quiet(json).unwrap_err();
            assert!(refused.contains(part), "{json}: {refused}");
        }
    }
}
