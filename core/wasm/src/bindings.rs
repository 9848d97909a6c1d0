//! Generated from `sdk/wit/`: the contract's types on the host's side. What plugins may import is generated once, so that the
//! hooks share its types and it is implemented once.

// The contract documents itself in WIT; what the macro makes of it is private.
#![allow(missing_docs, unreachable_pub)]

pub(crate) use capabilities::lanyard::policy::types;

pub(crate) mod capabilities {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "capabilities",
        imports: { default: async | trappable },
        // What the host answered is recorded.
        additional_derives: [serde::Serialize, serde::Deserialize],
        with: {
            "lanyard:policy/secrets.secret": crate::secret::HeldSecret,
        },
    });
}

macro_rules! hook {
    ($module:ident, $world:literal) => {
        pub(crate) mod $module {
            wasmtime::component::bindgen!({
                path: "../../sdk/wit",
                world: $world,
                imports: { default: async | trappable },
                exports: { default: async },
                with: {
                    "lanyard:policy/types": crate::bindings::capabilities::lanyard::policy::types,
                    "lanyard:policy/http": crate::bindings::capabilities::lanyard::policy::http,
                    "lanyard:policy/ldap": crate::bindings::capabilities::lanyard::policy::ldap,
                    "lanyard:policy/log": crate::bindings::capabilities::lanyard::policy::log,
                    "lanyard:policy/secrets": crate::bindings::capabilities::lanyard::policy::secrets,
                    "lanyard:policy/settings": crate::bindings::capabilities::lanyard::policy::settings,
                },
            });
        }
    };
}

hook!(directory, "directory-plugin");
hook!(enrollment, "enrollment-approval-plugin");
hook!(ra, "ra-approval-plugin");
hook!(selection, "command-selection-plugin");
hook!(event, "event-plugin");
hook!(settings, "settings-plugin");
