//! Requests.
use crate::bindings::capabilities::lanyard::policy::http::{
    self, HttpError, Request, Response, SecretPlace,
};
use crate::secret::HeldSecret;
use crate::state::CallState;
use wasmtime::component::Resource;
impl http::Host for CallState {
    async fn send(
        &mut self,
        _: Request,
        _: Vec<(SecretPlace, Resource<HeldSecret>)>,
    ) -> wasmtime::Result<Result<Response, HttpError>> {
        self.count_host_call()?;
        Ok(Err(HttpError::Unavailable("no URL is granted".to_owned())))
    }
}
