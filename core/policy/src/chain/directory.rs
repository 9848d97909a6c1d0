//! The rule for directories: the first answer that is not abstain.

use super::{Binding, ChainFailure, Decided, Opinion};
use crate::{
    Directory, HookFailure, Lookup, MAX_STATE_BYTES, ResumeSignIn, SignIn, Standing, Step,
};

/// Directories: the first answer that is not abstain counts, and a failure ends the sign-in.
#[derive(Clone, Default)]
pub struct DirectoryChain {
    bindings: Vec<Binding<dyn Directory>>,
}

impl DirectoryChain {
    /// A chain that asks in this order.
    pub fn new(bindings: Vec<Binding<dyn Directory>>) -> Self {
        Self { bindings }
    }

    /// First step of a sign-in. [`Decided::settled_by`] names the binding to [`resume`](Self::resume) with.
    ///
    /// # Errors
    /// The first failure. A later directory is not asked: it might know another person of the same name.
    pub async fn begin(&self, sign_in: SignIn) -> Result<Decided<Step>, ChainFailure> {
        let mut opinions = Vec::new();
        for binding in &self.bindings {
            let answer = binding.hook.begin(sign_in.clone()).await;
            let step = answer
                .and_then(|step| checked_step(&binding.name, step))
                .map_err(ChainFailure::of(binding))?;
            opinions.push(Opinion {
                binding: binding.name.clone(),
                verdict: step.clone(),
            });
            if step != Step::Abstain {
                return Ok(Decided {
                    verdict: step,
                    opinions,
                    passed_over: Vec::new(),
                });
            }
        }
        Ok(Decided {
            verdict: Step::Abstain,
            opinions,
            passed_over: Vec::new(),
        })
    }

    /// A further step with the binding that asked for it.
    ///
    /// # Errors
    /// The binding's failure; [`HookFailure::Unavailable`] if it is bound no longer.
    pub async fn resume(
        &self,
        binding: &str,
        sign_in: ResumeSignIn,
    ) -> Result<Decided<Step>, ChainFailure> {
        let bound = self.bound(binding)?;
        let answer = bound.hook.resume(sign_in).await;
        let step = answer
            .and_then(|step| checked_step(binding, step))
            .map_err(ChainFailure::of(bound))?;
        Ok(Decided {
            verdict: step.clone(),
            opinions: vec![Opinion {
                binding: binding.to_owned(),
                verdict: step,
            }],
            passed_over: Vec::new(),
        })
    }

    /// Looks a person up in the directory that vouched for them.
    ///
    /// # Errors
    /// The binding's failure; [`HookFailure::Unavailable`] if it is bound no longer.
    pub async fn lookup(&self, lookup: Lookup) -> Result<Standing, ChainFailure> {
        let bound = self.bound(&lookup.person.directory)?;
        let asked = lookup.person.clone();
        let answer = bound.hook.lookup(lookup).await;
        answer
            .and_then(|standing| match standing {
                Standing::Active(person) if person.reference() != asked => {
                    Err(HookFailure::InvalidAnswer {
                        detail: "lookup answered with another person than it was asked about"
                            .to_owned(),
                    })
                }
                standing => Ok(standing),
            })
            .map_err(ChainFailure::of(bound))
    }

    fn bound(&self, name: &str) -> Result<&Binding<dyn Directory>, ChainFailure> {
        self.bindings
            .iter()
            .find(|binding| binding.name == name)
            .ok_or_else(|| ChainFailure {
                binding: name.to_owned(),
                failure: HookFailure::Unavailable {
                    detail: "no directory of this name is bound".to_owned(),
                },
            })
    }
}

/// A directory vouches for its own persons only, and what it leaves behind must fit into the session.
fn checked_step(binding: &str, step: Step) -> Result<Step, HookFailure> {
    let detail = match &step {
        Step::Authenticated(person) if person.directory != binding => format!(
            "the person belongs to directory `{}`, and only `{binding}` may be vouched for here",
            person.directory
        ),
        Step::Authenticated(person) if person.id.is_empty() => {
            "the person's id is empty".to_owned()
        }
        Step::Ask { state, .. } | Step::Redirect { state, .. } if state.len() > MAX_STATE_BYTES => {
            format!(
                "the state has {} bytes; at most {MAX_STATE_BYTES} are kept",
                state.len()
            )
        }
        Step::Ask { fields, .. } if fields.is_empty() => "it asks for no field at all".to_owned(),
        _ => return Ok(step),
    };
    Err(HookFailure::InvalidAnswer { detail })
}
