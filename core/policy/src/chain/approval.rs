//! The rule for approvals: any deny, else any pending, else allow on all terms together.

use super::answer::{Answers, Settled, settle};
use super::{Binding, ChainFailure, Decided, FailureSide, Opinion};
use crate::{
    Allowance, Approval, ChallengeOutcome, Conflict, EnrollmentApproval, EnrollmentQuestion,
    EnrollmentVerdict, Purpose, RaApproval, RaQuestion, RaVerdict, Reason,
};

/// Enrollment approvals: any deny denies, else any pending waits, else allow with all settings together.
#[derive(Clone, Default)]
pub struct EnrollmentChain {
    bindings: Vec<Binding<dyn EnrollmentApproval>>,
    answers: Answers,
}

impl EnrollmentChain {
    /// A chain that asks in this order. With no binding it allows.
    pub fn new(bindings: Vec<Binding<dyn EnrollmentApproval>>) -> Self {
        Self {
            bindings,
            answers: Answers::new(),
        }
    }

    /// The same chain for a question whose pendings a human has answered.
    #[must_use]
    pub fn answered(&self, answers: Answers) -> Self {
        Self {
            bindings: self.bindings.clone(),
            answers,
        }
    }

    /// Asks until one denies or fails, or all have answered.
    ///
    /// # Errors
    /// The first failure, unless an earlier binding denied.
    pub async fn decide(
        &self,
        question: EnrollmentQuestion,
    ) -> Result<Decided<EnrollmentVerdict>, ChainFailure> {
        let mut terms = Terms::new(Allowance::default());
        for binding in &self.bindings {
            let verdict = match binding.hook.decide(question.clone()).await {
                Err(failure) if binding.on_failure == FailureSide::Pass => {
                    terms.passed_over.push(ChainFailure::of(binding)(failure));
                    continue;
                }
                answer => answer.map_err(ChainFailure::of(binding))?,
            };
            let vote = match verdict.clone() {
                EnrollmentVerdict::Allow(allowance) => Vote::Yes(allowance),
                EnrollmentVerdict::Deny(reason) => Vote::No(reason),
                EnrollmentVerdict::Pending(reason) => {
                    match settle(&self.answers, &binding.name, reason) {
                        Settled::Yes(relied_on) => Vote::Yes(Allowance {
                            relied_on,
                            ..Allowance::default()
                        }),
                        Settled::No(reason) => Vote::No(reason),
                        Settled::Open(reason) => Vote::Later(reason),
                    }
                }
            };
            if !terms.count(&binding.name, verdict, vote, Allowance::and) {
                break;
            }
        }
        Ok(terms.close(|vote| match vote {
            Vote::Yes(allowance) => EnrollmentVerdict::Allow(allowance),
            Vote::No(reason) => EnrollmentVerdict::Deny(reason),
            Vote::Later(reason) => EnrollmentVerdict::Pending(reason),
        }))
    }
}

/// Certificate approvals: any deny denies, else any pending waits, else approve with all amendments together.
#[derive(Clone, Default)]
pub struct RaChain {
    bindings: Vec<Binding<dyn RaApproval>>,
    answers: Answers,
}

impl RaChain {
    /// A chain that asks in this order. With no binding it approves what has a challenge that holds, and renewals
    /// that the current certificate signed.
    pub fn new(bindings: Vec<Binding<dyn RaApproval>>) -> Self {
        Self {
            bindings,
            answers: Answers::new(),
        }
    }

    /// The same chain for a question whose pendings a human has answered.
    #[must_use]
    pub fn answered(&self, answers: Answers) -> Self {
        Self {
            bindings: self.bindings.clone(),
            answers,
        }
    }

    /// Whether anything is bound: with nothing bound, nothing ever waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Asks until one denies or fails, or all have answered.
    ///
    /// # Errors
    /// The first failure, unless an earlier binding denied.
    pub async fn decide(&self, question: RaQuestion) -> Result<Decided<RaVerdict>, ChainFailure> {
        if self.bindings.is_empty() {
            return Ok(Decided {
                verdict: challenge_alone(&question),
                opinions: Vec::new(),
                passed_over: Vec::new(),
            });
        }
        let mut terms = Terms::new(Approval::default());
        for binding in &self.bindings {
            let answer = binding.hook.decide(question.clone()).await;
            let verdict = answer.map_err(ChainFailure::of(binding))?;
            let vote = match verdict.clone() {
                RaVerdict::Approve(approval) => Vote::Yes(approval),
                RaVerdict::Deny(reason) => Vote::No(reason),
                RaVerdict::Pending(reason) => match settle(&self.answers, &binding.name, reason) {
                    Settled::Yes(relied_on) => Vote::Yes(Approval {
                        relied_on,
                        ..Approval::default()
                    }),
                    Settled::No(reason) => Vote::No(reason),
                    Settled::Open(reason) => Vote::Later(reason),
                },
            };
            if !terms.count(&binding.name, verdict, vote, Approval::and) {
                break;
            }
        }
        Ok(terms.close(|vote| match vote {
            Vote::Yes(approval) => RaVerdict::Approve(approval),
            Vote::No(reason) => RaVerdict::Deny(reason),
            Vote::Later(reason) => RaVerdict::Pending(reason),
        }))
    }
}

fn challenge_alone(question: &RaQuestion) -> RaVerdict {
    let renewal = question.purpose == Purpose::Renewal && question.signer_serial.is_some();
    if renewal || question.challenge.outcome == ChallengeOutcome::Held {
        RaVerdict::Approve(Approval::default())
    } else {
        RaVerdict::Deny(Reason::new(
            "challenge-not-held",
            "This certificate was asked for without a valid challenge.",
        ))
    }
}

/// An approval's verdict with its terms, whatever is approved.
enum Vote<T> {
    Yes(T),
    No(Reason),
    Later(Reason),
}

/// The running count of an approval chain.
struct Terms<T, V> {
    vote: Vote<T>,
    /// Terms of those that allowed before one asked to wait: a conflict denies even then.
    agreed: T,
    opinions: Vec<Opinion<V>>,
    passed_over: Vec<ChainFailure>,
}

impl<T: Clone, V> Terms<T, V> {
    fn new(unconditional: T) -> Self {
        Self {
            vote: Vote::Yes(unconditional.clone()),
            agreed: unconditional,
            opinions: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// Counts one vote and says whether to go on asking.
    fn count(
        &mut self,
        binding: &str,
        verdict: V,
        vote: Vote<T>,
        and: impl FnOnce(T, T) -> Result<T, Conflict>,
    ) -> bool {
        self.opinions.push(Opinion {
            binding: binding.to_owned(),
            verdict,
        });
        match vote {
            Vote::No(reason) => self.vote = Vote::No(reason),
            Vote::Later(reason) => {
                if let Vote::Yes(_) = self.vote {
                    self.vote = Vote::Later(reason);
                }
            }
            Vote::Yes(terms) => match and(self.agreed.clone(), terms) {
                Ok(agreed) => {
                    self.agreed = agreed.clone();
                    if let Vote::Yes(_) = self.vote {
                        self.vote = Vote::Yes(agreed);
                    }
                }
                Err(conflict) => {
                    self.vote = Vote::No(
                        Reason::new(
                            "conflicting-terms",
                            "The rules that apply here contradict each other.",
                        )
                        .relying_on("conflict", conflict.subject),
                    );
                }
            },
        }
        !matches!(self.vote, Vote::No(_))
    }

    fn close(self, into_verdict: impl FnOnce(Vote<T>) -> V) -> Decided<V> {
        Decided {
            verdict: into_verdict(self.vote),
            opinions: self.opinions,
            passed_over: self.passed_over,
        }
    }
}
