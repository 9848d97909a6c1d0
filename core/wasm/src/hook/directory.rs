//! A component that answers for the hook point *directory*.

use std::fmt;

use async_trait::async_trait;
use lanyard_policy::{
    Directory, Field, FieldKind, HookFailure, Lookup, MAX_STATE_BYTES, PersonRef, ResumeSignIn,
    Secret, SignIn, Standing, Step,
};
use wasmtime::Store;
use wasmtime::component::Resource;

use super::DirectoryHook;
use crate::bindings::directory::exports::lanyard::policy::directory as wit;
use crate::call::Callable;
use crate::contract::{self, CODE_BYTES, NAME_BYTES, counted, invalid, line, person, reason};
use crate::grant::Grants;
use crate::secret::HeldSecret;
use crate::state::CallState;

/// Longest URL, in bytes: what browsers and proxies agree to carry.
const URL_BYTES: usize = 2048;
/// Most fields of a form.
const FIELDS: usize = 16;

/// A plugin bound as a directory. Cheap to clone; a call makes an instance of its own.
///
/// A call must be made within a Tokio runtime. Dropping its future ends the plugin's work.
#[derive(Clone)]
pub struct WasmDirectory {
    callable: Callable<DirectoryHook>,
}

impl WasmDirectory {
    pub(crate) fn new(callable: Callable<DirectoryHook>) -> Self {
        Self { callable }
    }

    /// The binding's name, which is the directory of every person that the plugin vouches for.
    pub fn name(&self) -> &str {
        &self.callable.bound.name
    }

    fn step(&self, step: wit::Step) -> Result<Step, HookFailure> {
        step_of(self.name(), &self.callable.bound.grants, step)
    }
}

impl fmt::Debug for WasmDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmDirectory")
            .field("name", &self.name())
            .field("limits", &self.callable.bound.limits)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Directory for WasmDirectory {
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure> {
        let decision = sign_in.decision;
        let request = wit::SignIn {
            decision: contract::decision(&decision),
            user_name: sign_in.user_name,
            facts: contract::peer_facts(sign_in.remote_address, sign_in.user_agent),
        };
        let password = sign_in.password;
        let step = self
            .callable
            .call(&decision, async |store, plugin| {
                let password = hold(store, password)?;
                plugin
                    .lanyard_policy_directory()
                    .call_begin(store, &request, Resource::new_borrow(password.rep()))
                    .await
            })
            .await?;
        self.step(step)
    }

    async fn resume(&self, sign_in: ResumeSignIn) -> Result<Step, HookFailure> {
        let decision = sign_in.decision;
        let step = self
            .callable
            .call(&decision, async |store, plugin| {
                let mut input = Vec::with_capacity(sign_in.input.len());
                for (name, value) in sign_in.input {
                    let value = hold(store, value)?;
                    input.push(wit::Input { name, value });
                }
                let request = wit::Resumption {
                    decision: contract::decision(&decision),
                    state: sign_in.state,
                    input,
                    facts: contract::peer_facts(sign_in.remote_address, sign_in.user_agent),
                };
                plugin
                    .lanyard_policy_directory()
                    .call_resume(store, &request)
                    .await
            })
            .await?;
        self.step(step)
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure> {
        let Lookup { decision, person } = lookup;
        let PersonRef { directory, id } = person;
        if directory != self.name() {
            return Ok(Standing::Unknown);
        }
        let request = wit::Inquiry {
            decision: contract::decision(&decision),
            person_id: id,
            facts: Vec::new(),
        };
        let standing = self
            .callable
            .call(&decision, async |store, plugin| {
                plugin
                    .lanyard_policy_directory()
                    .call_lookup(store, &request)
                    .await
            })
            .await?;
        standing_of(self.name(), standing)
    }
}

/// Puts a secret where the plugin's handle finds it. It goes, zeroed, with the call's table.
fn hold(store: &mut Store<CallState>, secret: Secret) -> wasmtime::Result<Resource<HeldSecret>> {
    Ok(store.data_mut().table.push(HeldSecret(secret))?)
}

fn step_of(directory: &str, grants: &Grants, step: wit::Step) -> Result<Step, HookFailure> {
    Ok(match step {
        wit::Step::Authenticated(who) => Step::Authenticated(person(directory, who)?),
        wit::Step::Rejected(why) => Step::Rejected(reason(why)?),
        wit::Step::Abstain => Step::Abstain,
        wit::Step::Ask(form) => {
            counted("form's fields", &form.fields, 1..=FIELDS)?;
            Step::Ask {
                fields: form
                    .fields
                    .into_iter()
                    .map(field)
                    .collect::<Result<_, _>>()?,
                state: state(form.state)?,
            }
        }
        wit::Step::Redirect(to) => Step::Redirect {
            url: redirection(grants, to.url)?,
            state: state(to.state)?,
        },
    })
}

fn redirection(grants: &Grants, url: String) -> Result<String, HookFailure> {
    let url = line("redirection's url", url, 1, URL_BYTES)?;
    grants.redirection(&url).map(String::from)
}

fn standing_of(directory: &str, standing: wit::Standing) -> Result<Standing, HookFailure> {
    Ok(match standing {
        wit::Standing::Active(who) => Standing::Active(person(directory, who)?),
        wit::Standing::Disabled(why) => Standing::Disabled(reason(why)?),
        wit::Standing::Unknown => Standing::Unknown,
        wit::Standing::Unavailable => Standing::Unavailable,
    })
}

fn field(field: wit::Field) -> Result<Field, HookFailure> {
    Ok(Field {
        name: line("field's name", field.name, 1, CODE_BYTES)?,
        label: line("field's label", field.label, 0, NAME_BYTES)?,
        kind: match field.kind {
            wit::FieldKind::Text => FieldKind::Text,
            wit::FieldKind::Password => FieldKind::Password,
            wit::FieldKind::OneTimeCode => FieldKind::OneTimeCode,
        },
    })
}

fn state(state: Vec<u8>) -> Result<Vec<u8>, HookFailure> {
    if state.len() > MAX_STATE_BYTES {
        return Err(invalid(format!(
            "the state has {} bytes; at most {MAX_STATE_BYTES} are kept",
            state.len()
        )));
    }
    Ok(state)
}
