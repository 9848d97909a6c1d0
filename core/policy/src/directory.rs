//! Hook point *directory*: who is this person, and are they still one of us?

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Decision, HookFailure, Person, PersonRef, Reason, Secret};

/// The most state that [`Step::Ask`] and [`Step::Redirect`] may leave behind, in bytes.
pub const MAX_STATE_BYTES: usize = 4096;

/// Signs persons in and looks them up later.
#[async_trait]
pub trait Directory: Send + Sync {
    /// First step of a sign-in.
    ///
    /// # Errors
    /// A failure means "try again", never "wrong password".
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure>;

    /// A further step, after this directory answered [`Step::Ask`] or [`Step::Redirect`].
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    async fn resume(&self, sign_in: ResumeSignIn) -> Result<Step, HookFailure>;

    /// Whether a person whom this directory once authenticated may still act.
    ///
    /// # Errors
    /// A failure counts as [`Standing::Unavailable`].
    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure>;
}

/// A person asks to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The occasion.
    pub decision: Decision,
    /// The name that was typed, as it was typed.
    pub user_name: String,
    /// The password that was typed.
    pub password: Secret,
    /// The peer's IP address, without a port.
    pub remote_address: String,
    /// The browser's `User-Agent`, if it sent one.
    pub user_agent: Option<String>,
}

/// The person came back with what was asked for, or from where they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeSignIn {
    /// The occasion.
    pub decision: Decision,
    /// What the previous step left behind, at most [`MAX_STATE_BYTES`] bytes.
    pub state: Vec<u8>,
    /// Form fields or query parameters by name. All are secrets, since nobody but the directory knows which are.
    pub input: BTreeMap<String, Secret>,
    /// The peer's IP address, without a port.
    pub remote_address: String,
    /// The browser's `User-Agent`, if it sent one.
    pub user_agent: Option<String>,
}

/// Is this person still active?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The occasion.
    pub decision: Decision,
    /// Whom to look up.
    pub person: PersonRef,
}

/// Where a sign-in stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The person is who they say.
    Authenticated(Person),
    /// The person is known not to be, or may not sign in.
    Rejected(Reason),
    /// Nobody of that name here: ask the next directory.
    Abstain,
    /// Show these fields and resume with what is typed.
    Ask {
        /// The fields, in the order to show them.
        fields: Vec<Field>,
        /// Handed back to [`Directory::resume`], encrypted in between.
        state: Vec<u8>,
    },
    /// Send the browser elsewhere and resume with the parameters that it comes back with.
    Redirect {
        /// Where to: https. What is granted to a plugin is compared where the plugin is called.
        url: String,
        /// Handed back to [`Directory::resume`], encrypted in between.
        state: Vec<u8>,
    },
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Key in [`ResumeSignIn::input`].
    pub name: String,
    /// What to show beside it.
    pub label: String,
    /// How to show it.
    pub kind: FieldKind,
}

/// How a field is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// Visible text.
    Text,
    /// Hidden text.
    Password,
    /// A one-time code: digits, filled in by the phone where it can.
    OneTimeCode,
}

/// What a directory knows of a person now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Known and allowed, with today's attributes.
    Active(Person),
    /// Known and no longer allowed.
    Disabled(Reason),
    /// No such person (any more).
    Unknown,
    /// The directory cannot tell now.
    Unavailable,
}
