//! Several hooks at one hook point: ordered bindings, and the rule by which their answers become one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::HookFailure;

mod answer;
mod approval;
mod directory;
mod selection;

pub use answer::{Answer, Answers};
pub use approval::{EnrollmentChain, RaChain};
pub use directory::DirectoryChain;
pub use selection::SelectionChain;

/// A hook under the name that the operator gave it.
pub struct Binding<H: ?Sized> {
    /// Unique within its hook point. For a directory also the name in [`Person::directory`](crate::Person::directory).
    pub name: String,
    /// The hook.
    pub hook: Arc<H>,
    /// What its failure means.
    pub on_failure: FailureSide,
}

/// What the failure of a binding means for its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureSide {
    /// The chain fails with it.
    #[default]
    Close,
    /// The chain goes on as if it were not bound. Of enrollment approvals and command selections only.
    Pass,
}

impl<H: ?Sized> Binding<H> {
    /// Binds a hook.
    pub fn new(name: impl Into<String>, hook: Arc<H>) -> Self {
        Self {
            name: name.into(),
            hook,
            on_failure: FailureSide::default(),
        }
    }

    /// The same with another side to fail on.
    #[must_use]
    pub fn failing(mut self, on_failure: FailureSide) -> Self {
        self.on_failure = on_failure;
        self
    }
}

impl<H: ?Sized> Clone for Binding<H> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone(), Arc::clone(&self.hook)).failing(self.on_failure)
    }
}

/// What one binding said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion<V> {
    /// Name of the binding.
    pub binding: String,
    /// Its own verdict.
    pub verdict: V,
}

/// What a chain decided, and everything that was said on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<V> {
    /// The chain's verdict.
    pub verdict: V,
    /// The bindings that were asked, in order; the last one settled it. Empty if none is bound.
    pub opinions: Vec<Opinion<V>>,
    /// The bindings that failed and were passed over.
    pub passed_over: Vec<ChainFailure>,
}

impl<V> Decided<V> {
    /// Name of the binding that was asked last, and so the one that settled a directory's or a selection's verdict.
    pub fn settled_by(&self) -> Option<&str> {
        self.opinions.last().map(|opinion| opinion.binding.as_str())
    }
}

/// A binding failed, and with it the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hook binding `{binding}` failed")]
pub struct ChainFailure {
    /// Name of the binding.
    pub binding: String,
    /// What went wrong with it.
    #[source]
    pub failure: HookFailure,
}

impl ChainFailure {
    fn of<H: ?Sized>(binding: &Binding<H>) -> impl FnOnce(HookFailure) -> Self {
        let binding = binding.name.clone();
        |failure| Self { binding, failure }
    }
}
