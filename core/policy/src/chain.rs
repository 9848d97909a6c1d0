//! Several hooks at one hook point: ordered bindings, and the rule by which their answers become one.

use std::sync::Arc;

use crate::{
    Allowance, Approval, ChallengeOutcome, CommandSelection, Conflict, Directory,
    EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, HookFailure, Lookup,
    MAX_STATE_BYTES, RaApproval, RaQuestion, RaVerdict, Reason, ResumeSignIn, SelectionQuestion,
    SelectionVerdict, SignIn, Standing, Step,
};

/// A hook under the name that the operator gave it.
pub struct Binding<H: ?Sized> {
    /// Unique within its hook point. For a directory also the name in [`Person::directory`](crate::Person::directory).
    pub name: String,
    /// The hook.
    pub hook: Arc<H>,
}

impl<H: ?Sized> Binding<H> {
    /// Binds a hook.
    pub fn new(name: impl Into<String>, hook: Arc<H>) -> Self {
        Self {
            name: name.into(),
            hook,
        }
    }
}

impl<H: ?Sized> Clone for Binding<H> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone(), Arc::clone(&self.hook))
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
                });
            }
        }
        Ok(Decided {
            verdict: Step::Abstain,
            opinions,
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

/// Enrollment approvals: any deny denies, else any pending waits, else allow with all settings together.
#[derive(Clone, Default)]
pub struct EnrollmentChain {
    bindings: Vec<Binding<dyn EnrollmentApproval>>,
}

impl EnrollmentChain {
    /// A chain that asks in this order. With no binding it allows.
    pub fn new(bindings: Vec<Binding<dyn EnrollmentApproval>>) -> Self {
        Self { bindings }
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
            let answer = binding.hook.decide(question.clone()).await;
            let verdict = answer.map_err(ChainFailure::of(binding))?;
            let vote = match verdict.clone() {
                EnrollmentVerdict::Allow(allowance) => Vote::Yes(allowance),
                EnrollmentVerdict::Deny(reason) => Vote::No(reason),
                EnrollmentVerdict::Pending(reason) => Vote::Later(reason),
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
}

impl RaChain {
    /// A chain that asks in this order. With no binding it approves what has a challenge that holds, and renewals
    /// that the current certificate signed.
    pub fn new(bindings: Vec<Binding<dyn RaApproval>>) -> Self {
        Self { bindings }
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
            });
        }
        let mut terms = Terms::new(Approval::default());
        for binding in &self.bindings {
            let answer = binding.hook.decide(question.clone()).await;
            let verdict = answer.map_err(ChainFailure::of(binding))?;
            let vote = match verdict.clone() {
                RaVerdict::Approve(approval) => Vote::Yes(approval),
                RaVerdict::Deny(reason) => Vote::No(reason),
                RaVerdict::Pending(reason) => Vote::Later(reason),
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
    let renewal = question.purpose == crate::Purpose::Renewal && question.signer_serial.is_some();
    if renewal || question.challenge.outcome == ChallengeOutcome::Held {
        RaVerdict::Approve(Approval::default())
    } else {
        RaVerdict::Deny(Reason::new(
            "challenge-not-held",
            "This certificate was asked for without a valid challenge.",
        ))
    }
}

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
        for binding in &self.bindings {
            let answer = binding.hook.select(question.clone()).await;
            let verdict = answer
                .and_then(|verdict| checked_selection(&question, verdict))
                .map_err(ChainFailure::of(binding))?;
            opinions.push(Opinion {
                binding: binding.name.clone(),
                verdict: verdict.clone(),
            });
            if verdict != SelectionVerdict::Abstain {
                return Ok(Decided { verdict, opinions });
            }
        }
        Ok(Decided {
            verdict: SelectionVerdict::Abstain,
            opinions,
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
}

impl<T: Clone, V> Terms<T, V> {
    fn new(unconditional: T) -> Self {
        Self {
            vote: Vote::Yes(unconditional.clone()),
            agreed: unconditional,
            opinions: Vec::new(),
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
        }
    }
}
