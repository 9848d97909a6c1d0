//! Generated from `wit/`: the contract's types on the plugin's side. What plugins may call is generated once, so that all hooks
//! share its types.

// The contract documents itself in WIT, and what the macro makes of it is not for plugins to see.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

pub mod capabilities {
    wit_bindgen::generate!({
        path: "wit",
        world: "capabilities",
        runtime_path: "lanyard_sdk::__private::wit_bindgen::rt",
        generate_all,
    });
}

macro_rules! hook {
    ($module:ident, $world:literal, $export:literal, $bindings:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                runtime_path: "lanyard_sdk::__private::wit_bindgen::rt",
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $bindings,
                with: {
                    "lanyard:policy/types@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::types,
                    "lanyard:policy/http@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::http,
                    "lanyard:policy/ldap@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::ldap,
                    "lanyard:policy/log@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::log,
                    "lanyard:policy/secrets@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::secrets,
                    "lanyard:policy/settings@0.1.0-dev": crate::bindings::capabilities::lanyard::policy::settings,
                },
            });
        }
    };
}

hook!(
    directory,
    "directory-plugin",
    "__export_directory",
    "lanyard_sdk::__private::bindings::directory"
);
hook!(
    enrollment,
    "enrollment-approval-plugin",
    "__export_enrollment_approval",
    "lanyard_sdk::__private::bindings::enrollment"
);
hook!(
    ra,
    "ra-approval-plugin",
    "__export_ra_approval",
    "lanyard_sdk::__private::bindings::ra"
);
hook!(
    selection,
    "command-selection-plugin",
    "__export_command_selection",
    "lanyard_sdk::__private::bindings::selection"
);
hook!(
    event,
    "event-plugin",
    "__export_event",
    "lanyard_sdk::__private::bindings::event"
);
hook!(
    settings,
    "settings-plugin",
    "__export_settings",
    "lanyard_sdk::__private::bindings::settings"
);
