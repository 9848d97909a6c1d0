//! The smallest command selection: a device that has nothing to do is asked for its name and version, once a day.

use lanyard_sdk::commands::{DeviceInformation, Query};
use lanyard_sdk::{
    CommandRequest, CommandSelection, NoSettings, Plugin, Reason, SelectionQuestion,
    SelectionVerdict, Unavailable,
};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The selection.
pub struct OnceADay;

impl Plugin for OnceADay {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl CommandSelection for OnceADay {
    fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, Unavailable> {
        if question.queue_length > 0 {
            return Ok(SelectionVerdict::Abstain);
        }
        let failed = |error: &dyn std::error::Error| Unavailable(error.to_string());
        let command = DeviceInformation::new([Query::DEVICE_NAME, Query::OS_VERSION])
            .map_err(|error| failed(&error))?;
        // The same key on the same day is the same command, however often the device asks.
        let day = question.decision.at_ms / DAY_MS;
        let reason = Reason::new("daily", "Its name and version are asked for once a day.");
        let request = CommandRequest::new(format!("information-{day}"), command, reason)
            .map_err(|error| failed(&error))?;
        Ok(SelectionVerdict::Issue(request))
    }
}

lanyard_sdk::export!(OnceADay: command_selection; grants: {});

#[cfg(test)]
mod tests {
    use lanyard_sdk::{Decision, Device};

    use super::*;

    fn select(queue_length: u64, at_ms: i64) -> SelectionVerdict {
        let question = SelectionQuestion {
            decision: Decision {
                at_ms,
                ..Decision::example()
            },
            enrollment: "00008120-0000000000000001".into(),
            person: None,
            device: Device {
                udid: "00008120-0000000000000001".into(),
                facts: Vec::new(),
            },
            queue: Vec::new(),
            queue_length,
            last_result: None,
            facts: Vec::new(),
        };
        OnceADay.select(question).expect("it depends on nothing")
    }

    fn key(verdict: SelectionVerdict) -> String {
        match verdict {
            SelectionVerdict::Issue(request) => request.dedupe_key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_idle_device_is_asked_once_a_day() {
        assert!(matches!(select(1, 0), SelectionVerdict::Abstain));
        assert_eq!(key(select(0, 1)), key(select(0, DAY_MS - 1)));
        assert_ne!(key(select(0, 1)), key(select(0, DAY_MS)));
    }
}
