//! Directories.
use crate::bindings::capabilities::lanyard::policy::ldap::{
    self, BindOutcome, Entry, LdapError, SearchRequest,
};
use crate::secret::HeldSecret;
use crate::state::CallState;
use wasmtime::component::Resource;
impl ldap::Host for CallState {
    async fn search(
        &mut self,
        _: String,
        _: SearchRequest,
    ) -> wasmtime::Result<Result<Vec<Entry>, LdapError>> {
        self.count_host_call()?;
        Ok(Err(LdapError::Unavailable(
            "no directory is configured".to_owned(),
        )))
    }
    async fn bind(
        &mut self,
        _: String,
        _: String,
        _: Resource<HeldSecret>,
    ) -> wasmtime::Result<Result<BindOutcome, LdapError>> {
        self.count_host_call()?;
        Ok(Err(LdapError::Unavailable(
            "no directory is configured".to_owned(),
        )))
    }
}
