//! How a device may be told to misbehave.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One deviation from what a well-behaved device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Answers NotNow and does nothing.
    NotNow,
    /// Answers Error with this code in `MCMDMErrorDomain` and does nothing.
    Error(i64),
    /// Answers CommandFormatError and does nothing.
    FormatError,
    /// Drops the connection and does nothing.
    Refuse,
    /// Obeys, then drops the connection without reporting.
    Lose,
    /// Obeys, and reports only after this time.
    Delay(Duration),
}

/// A deviation with the commands that it applies to.
///
/// Written `[REQUEST_TYPE=]WHAT[*COUNT]`, where WHAT is `not-now`, `error:CODE`, `format-error`, `refuse`, `lose` or
/// `delay:MILLISECONDS`: `not-now*2`, `DeviceLock=error:12021`, `delay:250`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// The `RequestType` concerned; every one if there is none.
    pub request_type: Option<String>,
    /// What it does.
    pub deviation: Deviation,
    /// How many more times; without an end if there is none.
    pub times: Option<u32>,
}

/// Takes what is due at one command: the sum of the delays, and the first other deviation.
pub(super) fn due(
    behaviours: &mut Vec<Behaviour>,
    request_type: &str,
) -> (Duration, Option<Deviation>) {
    let mut after = Duration::ZERO;
    let mut first = None;
    for behaviour in behaviours.iter_mut() {
        let applies = behaviour
            .request_type
            .as_ref()
            .is_none_or(|only| only == request_type);
        if !applies || behaviour.times == Some(0) {
            continue;
        }
        match behaviour.deviation {
            Deviation::Delay(delay) => after = after.saturating_add(delay),
            _ if first.is_some() => continue,
            other => first = Some(other),
        }
        if let Some(times) = &mut behaviour.times {
            *times -= 1;
        }
    }
    behaviours.retain(|behaviour| behaviour.times != Some(0));
    (after, first)
}

impl FromStr for Behaviour {
    type Err = BehaviourError;

    fn from_str(text: &str) -> Result<Behaviour, BehaviourError> {
        let error = || BehaviourError {
            text: text.to_owned(),
        };
        let (request_type, rest) = match text.split_once('=') {
            Some((name, rest)) if !name.is_empty() => (Some(name.to_owned()), rest),
            Some(_) => return Err(error()),
            None => (None, text),
        };
        let (what, times) = match rest.split_once('*') {
            Some((what, times)) => (what, Some(times.parse().map_err(|_| error())?)),
            None => (rest, None),
        };
        let (name, value) = match what.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (what, None),
        };
        let deviation = match (name, value) {
            ("not-now", None) => Deviation::NotNow,
            ("format-error", None) => Deviation::FormatError,
            ("refuse", None) => Deviation::Refuse,
            ("lose", None) => Deviation::Lose,
            ("error", Some(code)) => Deviation::Error(code.parse().map_err(|_| error())?),
            ("delay", Some(milliseconds)) => Deviation::Delay(Duration::from_millis(
                milliseconds.parse().map_err(|_| error())?,
            )),
            _ => return Err(error()),
        };
        Ok(Behaviour {
            request_type,
            deviation,
            times,
        })
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(request_type) = &self.request_type {
            write!(f, "{request_type}=")?;
        }
        match self.deviation {
            Deviation::NotNow => f.write_str("not-now")?,
            Deviation::Error(code) => write!(f, "error:{code}")?,
            Deviation::FormatError => f.write_str("format-error")?,
            Deviation::Refuse => f.write_str("refuse")?,
            Deviation::Lose => f.write_str("lose")?,
            Deviation::Delay(delay) => write!(f, "delay:{}", delay.as_millis())?,
        }
        match self.times {
            Some(times) => write!(f, "*{times}"),
            None => Ok(()),
        }
    }
}

/// A behaviour that is not written as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no behaviour: write [REQUEST_TYPE=]WHAT[*COUNT] with WHAT one of not-now, error:CODE, format-error, refuse, lose, delay:MILLISECONDS, as in \"DeviceLock=not-now*2\""
)]
pub struct BehaviourError {
    /// What was given.
    pub text: String,
}
