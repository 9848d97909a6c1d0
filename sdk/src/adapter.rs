//! Between the contract's exports and the traits. Only a component has exports.

use std::marker::PhantomData;

use crate::bindings::capabilities::lanyard::policy::{secrets, settings};
use crate::bindings::directory::exports::lanyard::policy::directory;
use crate::bindings::enrollment::exports::lanyard::policy::enrollment_approval;
use crate::bindings::event::exports::lanyard::policy::event;
use crate::bindings::ra::exports::lanyard::policy::ra_approval;
use crate::bindings::selection::exports::lanyard::policy::command_selection;
use crate::bindings::settings::exports::lanyard::policy::settings_check;
use crate::{
    CommandSelection, Directory, EnrollmentApproval, EventSink, Input, Plugin, RaApproval,
    Resumption, Unavailable,
};

/// A plugin as a component exports it.
pub struct Adapter<P>(PhantomData<P>);

/// Makes a plugin of the settings that it is bound with.
fn made<P: Plugin>(settings: &str) -> Result<P, String> {
    let settings = serde_json::from_str(settings).map_err(|error| error.to_string())?;
    P::new(settings)
}

/// Makes the plugin and asks it.
fn ask<P: Plugin, V>(question: impl FnOnce(&P) -> Result<V, Unavailable>) -> Result<V, String> {
    let plugin = made::<P>(&settings::get())?;
    question(&plugin).map_err(|Unavailable(why)| why)
}

impl<P: Plugin> settings_check::Guest for Adapter<P> {
    fn check(settings: String) -> Result<(), String> {
        made::<P>(&settings).map(drop)
    }
}

impl<P: Plugin + Directory> directory::Guest for Adapter<P> {
    fn begin(
        request: directory::SignIn,
        password: &secrets::Secret,
    ) -> Result<directory::Step, String> {
        ask(|plugin: &P| plugin.begin(request, password))
    }

    fn resume(request: directory::Resumption) -> Result<directory::Step, String> {
        let input = request.input.into_iter();
        let request = Resumption {
            decision: request.decision,
            state: request.state,
            input: input
                .map(|directory::Input { name, value }| Input { name, value })
                .collect(),
            facts: request.facts,
        };
        ask(|plugin: &P| plugin.resume(request))
    }

    fn lookup(request: directory::Inquiry) -> Result<directory::Standing, String> {
        ask(|plugin: &P| plugin.lookup(request))
    }
}

impl<P: Plugin + EnrollmentApproval> enrollment_approval::Guest for Adapter<P> {
    fn decide(
        question: enrollment_approval::Question,
    ) -> Result<enrollment_approval::Verdict, String> {
        ask(|plugin: &P| EnrollmentApproval::decide(plugin, question))
    }
}

impl<P: Plugin + RaApproval> ra_approval::Guest for Adapter<P> {
    fn decide(question: ra_approval::Question) -> Result<ra_approval::Verdict, String> {
        ask(|plugin: &P| RaApproval::decide(plugin, question))
    }
}

impl<P: Plugin + CommandSelection> command_selection::Guest for Adapter<P> {
    fn select(question: command_selection::Question) -> Result<command_selection::Verdict, String> {
        ask(|plugin: &P| plugin.select(question))
    }
}

impl<P: Plugin + EventSink> event::Guest for Adapter<P> {
    fn handle(happening: event::Happening) -> Result<Vec<event::IssuedCommand>, String> {
        ask(|plugin: &P| plugin.handle(happening))
    }
}
