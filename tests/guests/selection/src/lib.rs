//! A command selection that traps whenever it is asked.

use lanyard_sdk::{
    CommandSelection, NoSettings, Plugin, SelectionQuestion, SelectionVerdict, Unavailable,
};

struct Broken;

impl Plugin for Broken {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl CommandSelection for Broken {
    fn select(&self, _: SelectionQuestion) -> Result<SelectionVerdict, Unavailable> {
        panic!("asked to trap")
    }
}

lanyard_sdk::export!(Broken: command_selection);
