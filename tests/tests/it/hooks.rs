//! Every hook point with every kind of answer, on an engine in this process.

mod approvals;
mod certificates;
mod clock;
mod directories;
mod events;
mod obstacles;
mod schedules;
mod script;
mod selection;
mod sign_in;
mod standing;
pub(crate) mod workshop;
