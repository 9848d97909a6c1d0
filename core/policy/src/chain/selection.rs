//! The rule for command selection: the first answer that is not abstain.

use super::{Binding, ChainFailure, Decided, FailureSide, Opinion};
use crate::{CommandSelection, HookFailure, SelectionQuestion, SelectionVerdict};

/// Command selections: the first answer that is not abstain counts.
#[derive(Clone, Default)]
pub struct SelectionChain {
    bindings: Vec<Binding<dyn CommandSelection>>,
}

impl SelectionChain {
    /// A chain that asks in this order. With no binding it abstains, which means queue order.
    pub fn new(bindings: Vec<Binding<dyn CommandSelection>>) -> Self {
        Self { bindings }
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Asks until one does not abstain.
    ///
    /// # Errors
    /// The first failure; [`HookFailure::InvalidAnswer`] for a command that the question did not show.
    pub async fn select(
        &self,
        question: SelectionQuestion,
    ) -> Result<Decided<SelectionVerdict>, ChainFailure> {
        let mut opinions = Vec::new();
        let mut passed_over = Vec::new();
        for binding in &self.bindings {
            let answer = binding.hook.select(question.clone()).await;
            let verdict = match answer.and_then(|verdict| checked_selection(&question, verdict)) {
                Err(failure) if binding.on_failure == FailureSide::Pass => {
                    passed_over.push(ChainFailure::of(binding)(failure));
                    continue;
                }
                answer => answer.map_err(ChainFailure::of(binding))?,
            };
            opinions.push(Opinion {
                binding: binding.name.clone(),
                verdict: verdict.clone(),
            });
            if verdict != SelectionVerdict::Abstain {
                return Ok(Decided {
                    verdict,
                    opinions,
                    passed_over,
                });
            }
        }
        Ok(Decided {
            verdict: SelectionVerdict::Abstain,
            opinions,
            passed_over,
        })
    }
}

fn checked_selection(
    question: &SelectionQuestion,
    verdict: SelectionVerdict,
) -> Result<SelectionVerdict, HookFailure> {
    match &verdict {
        SelectionVerdict::Deliver(uuid)
            if !question.queue.iter().any(|queued| queued.uuid == *uuid) =>
        {
            Err(HookFailure::InvalidAnswer {
                detail: format!("command {uuid:?} is not among those that the question showed"),
            })
        }
        _ => Ok(verdict),
    }
}
