//! Secrets as plugins hold them.

use lanyard_policy::Secret;

/// What a `secret` handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct HeldSecret(pub(crate) Secret);
