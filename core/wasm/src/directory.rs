//! A component that answers for the hook point *directory*.

use std::fmt;

use async_trait::async_trait;
use lanyard_policy::{
    Directory, HookFailure, Lookup, PersonRef, ResumeSignIn, Secret, SignIn, Standing, Step,
};
use wasmtime::Store;
use wasmtime::component::Resource;

use crate::bindings::exports::lanyard::policy::directory as wit;
use crate::call::{CallState, Callable};
use crate::capability::HeldSecret;
use crate::contract;

/// A plugin bound as a directory. Cheap to clone; a call makes an instance of its own.
///
/// A call must be made within a Tokio runtime. Dropping its future ends the plugin's work.
#[derive(Clone)]
pub struct WasmDirectory {
    callable: Callable,
}

impl WasmDirectory {
    pub(crate) fn new(callable: Callable) -> Self {
        Self { callable }
    }

    /// The binding's name, which is the directory of every person that the plugin vouches for.
    pub fn name(&self) -> &str {
        &self.callable.plugin
    }
}

impl fmt::Debug for WasmDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmDirectory")
            .field("name", &self.name())
            .field("limits", &self.callable.limits)
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
        contract::step(self.name(), step)
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
        contract::step(self.name(), step)
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
        contract::standing(self.name(), standing)
    }
}

/// Puts a secret where the plugin's handle finds it. It goes, zeroed, with the call's table.
fn hold(store: &mut Store<CallState>, secret: Secret) -> wasmtime::Result<Resource<HeldSecret>> {
    Ok(store.data_mut().table.push(HeldSecret(secret))?)
}
