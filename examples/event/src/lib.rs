//! The smallest event plugin: a device that enrolls is asked how it is protected.

use lanyard_sdk::commands::SecurityInfo;
use lanyard_sdk::{
    CommandRequest, EventSink, Happening, IssuedCommand, NoSettings, Plugin, Reason, Unavailable,
    log,
};

/// The event plugin.
pub struct Welcome;

impl Plugin for Welcome {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl EventSink for Welcome {
    fn handle(&self, happening: Happening) -> Result<Vec<IssuedCommand>, Unavailable> {
        let (Some(enrollment), "enrolled") = (happening.enrollment, happening.kind.as_str()) else {
            return Ok(Vec::new());
        };
        log::info(&format!("{enrollment} is new here"));
        let reason = Reason::new("enrolled", "A new device is asked how it is protected.");
        let command = CommandRequest::new("welcome", SecurityInfo, reason)
            .map_err(|error| Unavailable(error.to_string()))?;
        Ok(vec![IssuedCommand::new(enrollment, command)])
    }
}

lanyard_sdk::export! {
    Welcome: event;
    grants: { log: "says which device is new" };
}

#[cfg(test)]
mod tests {
    use lanyard_sdk::{Decision, test};

    use super::*;

    fn handle(kind: &str) -> Vec<IssuedCommand> {
        let happening = Happening {
            decision: Decision::example(),
            kind: kind.into(),
            enrollment: Some("00008120-0000000000000001".into()),
            person: None,
            device: None,
            command: None,
            facts: Vec::new(),
        };
        Welcome.handle(happening).expect("it depends on nothing")
    }

    #[test]
    fn a_new_device_is_asked_and_others_are_not() {
        let issued = handle("enrolled");
        assert_eq!(issued[0].command.request_type, "SecurityInfo");
        assert_eq!(test::take_log(), ["00008120-0000000000000001 is new here"]);
        assert!(handle("checked-out").is_empty() && handle("a kind of tomorrow").is_empty());
    }
}
