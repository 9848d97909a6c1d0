//! What the host does for a component. In tests, [`test`](mod@crate::test) does the same.

pub use crate::bindings::capabilities::lanyard::policy::secrets::Secret;

pub(crate) use crate::bindings::capabilities::lanyard::policy::http::send;
pub(crate) use crate::bindings::capabilities::lanyard::policy::ldap::{bind, search};
pub(crate) use crate::bindings::capabilities::lanyard::policy::log::write;
