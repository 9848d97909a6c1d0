//! What a plugin may call: the operator's log, its settings, and secrets that it uses and does not read.

mod http;
mod ldap;

use std::sync::Arc;

use lanyard_policy::{Capability, HookFailure, Secret};
use wasmtime::component::Resource;

use crate::bindings::capabilities::lanyard::policy::log::Level;
use crate::bindings::capabilities::lanyard::policy::{log, secrets, settings, types};
use crate::secret::HeldSecret;
use crate::state::CallState;
use crate::verify::Verification;

impl types::Host for CallState {}

impl log::Host for CallState {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        self.grants().capability(Capability::Log)?;
        self.log.line(level, &message);
        Ok(())
    }
}

impl secrets::Host for CallState {}

impl secrets::HostSecret for CallState {
    async fn verify(
        &mut self,
        handle: Resource<HeldSecret>,
        phc: String,
    ) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        self.grants().capability(Capability::Secrets)?;
        self.count_verification()?;
        let secret = self.table.get(&handle)?.0.clone();
        let verification = Verification::parse(phc.clone()).map_err(|refusal| {
            wasmtime::Error::new(HookFailure::InvalidAnswer {
                detail: refusal.to_string(),
            })
        })?;
        let places = Arc::clone(&self.verifying);
        self.taped("secret.verify", &(handle.rep(), phc), async move {
            let place = places.acquire_owned().await?;
            // Off the executor's threads: twenty milliseconds of pure computing would hold up everybody else's requests. The place is
            // held until the computing ends, which no deadline interrupts.
            let verified = tokio::task::spawn_blocking(move || {
                let _place = place;
                verification.run(&secret)
            });
            Ok(verified.await?)
        })
        .await
    }

    async fn equals(
        &mut self,
        handle: Resource<HeldSecret>,
        text: String,
    ) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        self.grants().capability(Capability::Secrets)?;
        self.count_verification()?;
        let secret = self.table.get(&handle)?.0.clone();
        let arguments = (handle.rep(), text.clone());
        self.taped("secret.equals", &arguments, async move {
            Ok(secret == Secret::new(text))
        })
        .await
    }

    async fn reveal(&mut self, handle: Resource<HeldSecret>) -> wasmtime::Result<String> {
        self.count_host_call()?;
        self.grants().capability(Capability::RevealSecrets)?;
        // A secret that was read is never recorded, so what was decided upon it cannot be made again.
        if self.is_replaying() {
            let needs = "secret.reveal".to_owned();
            return Err(wasmtime::Error::new(HookFailure::Undetermined { needs }));
        }
        Ok(self.table.get(&handle)?.0.expose().to_owned())
    }

    async fn drop(&mut self, handle: Resource<HeldSecret>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl settings::Host for CallState {
    async fn get(&mut self) -> wasmtime::Result<String> {
        self.count_host_call()?;
        Ok(self.settings.to_string())
    }
}
