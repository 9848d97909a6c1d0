//! Hook point *directory*: who is this person, and are they still one of us?

pub use crate::bindings::directory::exports::lanyard::policy::directory::{
    Field, FieldKind, Form, Inquiry, Redirection, SignIn, Standing, Step,
};
use crate::{Decision, Fact, Secret, Unavailable, fact};

/// Signs persons in and looks them up later.
pub trait Directory {
    /// First step of a sign-in.
    ///
    /// # Errors
    /// [`Unavailable`]: the person is asked to try again.
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable>;

    /// A further step, after [`Step::Ask`] or [`Step::Redirect`]. One that never asks need not write it.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    fn resume(&self, _: Resumption) -> Result<Step, Unavailable> {
        Ok(Step::Abstain)
    }

    /// Whether a person whom this directory once authenticated may still act.
    ///
    /// # Errors
    /// As [`Standing::Unavailable`].
    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable>;
}

/// The person came back with what was asked for, or from where they were sent.
#[derive(Debug)]
pub struct Resumption {
    /// The occasion.
    pub decision: Decision,
    /// What the previous step left behind.
    pub state: Vec<u8>,
    /// Form fields or query parameters.
    pub input: Vec<Input>,
    /// `remote-address`, `user-agent`.
    pub facts: Vec<Fact>,
}

/// One answer of a form, or one parameter that the browser came back with.
#[derive(Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// What was typed. All are secrets, since nobody but the plugin knows which are.
    pub value: Secret,
}

impl SignIn {
    /// A fact about where the request comes from: `remote-address`, `user-agent`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        fact::text(&self.facts, name)
    }
}
