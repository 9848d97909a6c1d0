//! What belongs to a binding, and what belongs to one call of it.

use std::sync::Arc;

use lanyard_policy::{Decision, HookFailure};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use url::Url;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::credential::Credential;
use crate::directories::LdapDirectory;
use crate::grant::{Grants, covered, without_query};
use crate::host::{Common, Outside};
use crate::limits::{Ceiling, Limits};
use crate::log::Log;
use crate::sandbox;
use crate::tape::{Recording, Taping};

/// A plugin under the name, the settings and the limits of its binding.
pub(crate) struct Bound {
    pub(crate) name: Arc<str>,
    /// A JSON object.
    pub(crate) settings: Arc<str>,
    /// SHA-256 of the settings.
    pub(crate) settings_sha256: String,
    /// SHA-256 of the component.
    pub(crate) plugin_sha256: Arc<str>,
    pub(crate) recording: Recording,
    pub(crate) limits: Arc<Limits>,
    pub(crate) grants: Arc<Grants>,
    /// For HTTP requests.
    pub(crate) tls: Arc<ClientConfig>,
    /// Places for calls under way.
    pub(crate) places: Semaphore,
    pub(crate) common: Common,
}

/// Everything that belongs to one call and is gone with it.
pub(crate) struct CallState {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) ceiling: Ceiling,
    pub(crate) log: Arc<Log>,
    limits: Arc<Limits>,
    pub(crate) taping: Taping,
    grants: Arc<Grants>,
    outside: Arc<Outside>,
    tls: Arc<ClientConfig>,
    host_calls: u64,
    verifications: u64,
    /// A JSON object.
    pub(crate) settings: Arc<str>,
    /// The host's places for computing them.
    pub(crate) verifying: Arc<Semaphore>,
}

impl CallState {
    pub(crate) fn new(bound: &Bound, decision: &Decision) -> Self {
        let limits = &bound.limits;
        let log = Arc::new(Log::new(
            Arc::clone(&bound.name),
            decision.id.clone(),
            limits.log_bytes,
        ));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            wasi: sandbox::context(decision, &log),
            table,
            ceiling: Ceiling::new(limits),
            log,
            limits: Arc::clone(limits),
            taping: Taping::new(bound.recording, decision.meter.tape().cloned()),
            grants: Arc::clone(&bound.grants),
            outside: Arc::clone(&bound.common.outside),
            tls: Arc::clone(&bound.tls),
            host_calls: 0,
            verifications: 0,
            settings: Arc::clone(&bound.settings),
            verifying: Arc::clone(&bound.common.verifications),
        }
    }

    pub(crate) fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    pub(crate) fn directory(&self, name: &str) -> Option<LdapDirectory> {
        self.outside.directories.get(name).cloned()
    }

    /// A credential for a request to this URL. One that this server does not have is as good as not granted.
    pub(crate) fn credential(&self, name: &str, url: &Url) -> Result<Credential, HookFailure> {
        let known = self.outside.credentials.get(name);
        let usable = known.filter(|credential| covered(&credential.urls, url));
        usable.cloned().ok_or_else(|| HookFailure::NotGranted {
            what: format!("the credential {name:?} towards {}", without_query(url)),
        })
    }

    pub(crate) fn host_calls(&self) -> u64 {
        self.host_calls
    }

    pub(crate) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        count(&mut self.host_calls, self.limits.host_calls, "host-calls")
    }

    pub(crate) fn count_verification(&mut self) -> wasmtime::Result<()> {
        count(
            &mut self.verifications,
            self.limits.verifications,
            "secret-verify",
        )
    }
}

fn count(used: &mut u64, limit: u64, what: &str) -> wasmtime::Result<()> {
    if *used >= limit {
        return Err(wasmtime::Error::new(HookFailure::HostCallLimit {
            what: what.to_owned(),
            limit,
        }));
    }
    *used += 1;
    Ok(())
}

impl Drop for CallState {
    fn drop(&mut self) {
        self.log.finish();
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
