//! A directory plugin that reads the password and reports it: what only the grant `reveal-secrets` lets it do. It is a crate of its own,
//! because a component imports what any of its code uses.

use lanyard_sdk::{
    Directory, Inquiry, NoSettings, Plugin, Reason, Secret, SignIn, Standing, Step, Unavailable,
};

struct Reveal;

impl Plugin for Reveal {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Directory for Reveal {
    fn begin(&self, _: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        Ok(Reason::new("revealed", password.reveal()).deny())
    }

    fn lookup(&self, _: Inquiry) -> Result<Standing, Unavailable> {
        Ok(Standing::Unknown)
    }
}

lanyard_sdk::export!(Reveal: directory);
