//! Why a policy is not applied.

use lanyard_store::StoreError;
use lanyard_wasm::LoadError;

use super::BindingDocument;
use crate::signature::SignatureRefused;

/// A policy is not applied; the one before stays in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyRefused {
    /// A binding that cannot be meant.
    #[error("{binding}: {problem}")]
    Binding {
        /// Which.
        binding: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A plugin that cannot be bound so.
    #[error("{binding}: {plugin} cannot be bound")]
    Plugin {
        /// Which binding.
        binding: String,
        /// Its file.
        plugin: String,
        /// Why.
        #[source]
        error: LoadError,
    },
    /// A plugin that nobody vouches for.
    #[error("{binding}: no key of `plugins.trusted_keys` in lanyard.toml vouches for {plugin}")]
    Untrusted {
        /// Which binding.
        binding: String,
        /// Its file.
        plugin: String,
        /// Why.
        #[source]
        error: SignatureRefused,
    },
    /// There is no such revision.
    #[error("there is no revision {0}")]
    Unknown(i64),
    /// A stored document cannot be read.
    #[error("the stored policy is damaged")]
    Damaged(#[from] serde_json::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl PolicyRefused {
    /// A binding that cannot be meant, for this reason.
    pub(super) fn binding(binding: &BindingDocument, problem: &str) -> Self {
        Self::Binding {
            binding: binding.title(),
            problem: problem.to_owned(),
        }
    }

    /// A binding's plugin that cannot be bound.
    pub(super) fn plugin(binding: &BindingDocument, error: LoadError) -> Self {
        Self::Plugin {
            binding: binding.title(),
            plugin: binding.plugin.clone(),
            error,
        }
    }
}
