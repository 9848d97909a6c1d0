//! A hook that says what it is told to.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lanyard_policy::{
    CommandSelection, Directory, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, Event,
    EventSink, HookFailure, IssuedCommand, Lookup, Person, RaApproval, RaQuestion, RaVerdict,
    ResumeSignIn, SelectionQuestion, SelectionVerdict, SignIn, Standing, Step,
};

/// Gives the same answer until it is given another one, and remembers what it was asked.
pub(super) struct Script<Q, V> {
    answer: Mutex<Result<V, HookFailure>>,
    asked: Mutex<Vec<Q>>,
}

impl<Q: Clone, V: Clone> Script<Q, V> {
    pub(super) fn new(answer: Result<V, HookFailure>) -> Self {
        Self {
            answer: Mutex::new(answer),
            asked: Mutex::default(),
        }
    }

    /// From now on.
    pub(super) fn say(&self, answer: Result<V, HookFailure>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(super) fn asked(&self) -> Vec<Q> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, question: Q) -> Result<V, HookFailure> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(question);
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn out_of_reach<V>() -> Result<V, HookFailure> {
    Err(HookFailure::Unavailable {
        detail: "told to be out of reach".to_owned(),
    })
}

#[async_trait]
impl Directory for Script<SignIn, Step> {
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure> {
        self.answer(sign_in)
    }

    async fn resume(&self, _: ResumeSignIn) -> Result<Step, HookFailure> {
        out_of_reach()
    }

    /// Whom it vouched for is still there.
    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure> {
        Ok(Standing::Active(Person {
            directory: lookup.person.directory,
            id: lookup.person.id,
            display_name: String::new(),
            attributes: Default::default(),
        }))
    }
}

/// Signs everybody in, and says this of whoever it is asked about.
#[async_trait]
impl Directory for Script<Lookup, Standing> {
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure> {
        Ok(Step::Authenticated(known(sign_in.user_name)))
    }

    async fn resume(&self, _: ResumeSignIn) -> Result<Step, HookFailure> {
        out_of_reach()
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure> {
        self.answer(lookup)
    }
}

/// A person of the directory `scripted`.
pub(super) fn known(id: String) -> Person {
    Person {
        directory: "scripted".to_owned(),
        display_name: id.clone(),
        id,
        attributes: [("groups".to_owned(), vec!["staff".to_owned()])].into(),
    }
}

#[async_trait]
impl EventSink for Script<Event, Vec<IssuedCommand>> {
    async fn handle(&self, event: Event) -> Result<Vec<IssuedCommand>, HookFailure> {
        self.answer(event)
    }
}

#[async_trait]
impl EnrollmentApproval for Script<EnrollmentQuestion, EnrollmentVerdict> {
    async fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure> {
        self.answer(question)
    }
}

#[async_trait]
impl RaApproval for Script<RaQuestion, RaVerdict> {
    async fn decide(&self, question: RaQuestion) -> Result<RaVerdict, HookFailure> {
        self.answer(question)
    }
}

#[async_trait]
impl CommandSelection for Script<SelectionQuestion, SelectionVerdict> {
    async fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        self.answer(question)
    }
}
