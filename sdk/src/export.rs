//! The macro line.

/// Makes a component of a [`Plugin`](crate::Plugin) that answers these hooks: `export!(MyPlugin: directory, event);`. Natively, and
/// in tests, it only checks that what it says can be.
///
/// What else is said goes into the component's manifest, beside the crate's name and version. Operators read it before they bind the
/// plugin, and a host refuses a plugin that does not keep to it. Grants are named as in a policy, each with a reason of 1 to 1,024
/// bytes; `grants: {}` is a promise to need none. The schema is a JSON Schema of the settings, an object; all together may have 64 KiB.
/// What is beyond that is refused when the plugin is loaded.
///
/// ```
/// # use lanyard_sdk::{Directory, Inquiry, NoSettings, Plugin, Secret, SignIn, Standing, Step, Unavailable};
/// # struct School;
/// # impl Plugin for School {
/// #     type Settings = NoSettings;
/// #     fn new(_: NoSettings) -> Result<Self, String> { Ok(Self) }
/// # }
/// # impl Directory for School {
/// #     fn begin(&self, _: SignIn, _: &Secret) -> Result<Step, Unavailable> { Ok(Step::Abstain) }
/// #     fn lookup(&self, _: Inquiry) -> Result<Standing, Unavailable> { Ok(Standing::Unknown) }
/// # }
/// lanyard_sdk::export! {
///     School: directory;
///     grants: {
///         ldap: "finds the person who signs in",
///         secrets: "the password is bound against the directory, and never read",
///     };
///     settings_schema: r#"{ "type": "object", "additionalProperties": false }"#;
/// }
/// ```
#[macro_export]
macro_rules! export {
    (
        $plugin:ty: $($hook:ident),+ $(,)?
        $(; grants: { $($grant:ident: $reason:expr),* $(,)? })?
        $(; settings_schema: $schema:expr)?
        $(;)?
    ) => {
        const _: () = {
            $( $crate::__check!($hook, $plugin); )+
            const MANIFEST: $crate::__private::Manifest = $crate::__private::Manifest {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                hooks: &[$( $crate::__name!($hook) ),+],
                grants: $crate::__optional!($( &[$( ($crate::__grant!($grant), $reason) ),*] )?),
                settings_schema: $crate::__optional!($( $schema )?),
            };
            $crate::__component!(MANIFEST, $plugin: $($hook),+);
        };
    };
}

/// A hook's trait is implemented, or the compiler says so here.
#[doc(hidden)]
#[macro_export]
macro_rules! __check {
    (directory, $plugin:ty) => { const fn directory<P: $crate::Plugin + $crate::Directory>() {} directory::<$plugin>(); };
    (enrollment_approval, $plugin:ty) => { const fn enrollment<P: $crate::Plugin + $crate::EnrollmentApproval>() {} enrollment::<$plugin>(); };
    (ra_approval, $plugin:ty) => { const fn ra<P: $crate::Plugin + $crate::RaApproval>() {} ra::<$plugin>(); };
    (command_selection, $plugin:ty) => { const fn selection<P: $crate::Plugin + $crate::CommandSelection>() {} selection::<$plugin>(); };
    (event, $plugin:ty) => { const fn event<P: $crate::Plugin + $crate::EventSink>() {} event::<$plugin>(); };
    ($other:ident, $plugin:ty) => {
        compile_error!(concat!(
            "`", stringify!($other),
            "` is no hook: write directory, enrollment_approval, ra_approval, command_selection or event"
        ));
    };
}

/// A hook's name in the contract.
#[doc(hidden)]
#[macro_export]
macro_rules! __name {
    (directory) => {
        "directory"
    };
    (enrollment_approval) => {
        "enrollment-approval"
    };
    (ra_approval) => {
        "ra-approval"
    };
    (command_selection) => {
        "command-selection"
    };
    (event) => {
        "event"
    };
    ($other:ident) => {
        ""
    };
}

/// A capability's name in a policy.
#[doc(hidden)]
#[macro_export]
macro_rules! __grant {
    (log) => {
        "log"
    };
    (secrets) => {
        "secrets"
    };
    (ldap) => {
        "ldap"
    };
    (http) => {
        "http"
    };
    (reveal_secrets) => {
        "reveal-secrets"
    };
    ($other:ident) => {
        compile_error!(concat!(
            "`",
            stringify!($other),
            "` is no capability: write log, secrets, ldap, http or reveal_secrets"
        ))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

#[cfg(all(target_family = "wasm", not(feature = "test")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($manifest:ident, $plugin:ty: $($hook:ident),+) => {
        #[used]
        #[unsafe(link_section = "lanyard:manifest")]
        static SECTION: [u8; $manifest.length()] = $manifest.json();
        type Exported = $crate::__private::Adapter<$plugin>;
        $( $crate::__export_hook!($hook, Exported); )+
        $crate::__private::bindings::settings::__export_settings!(
            Exported with_types_in $crate::__private::bindings::settings
        );
    };
}

/// Nobody asks a native crate, or a test, as a plugin; but what is written has to be right.
#[cfg(any(not(target_family = "wasm"), feature = "test"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($manifest:ident, $plugin:ty: $($hook:ident),+) => {
        let _ = $manifest;
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    (directory, $exported:ident) => { $crate::__private::bindings::directory::__export_directory!($exported with_types_in $crate::__private::bindings::directory); };
    (enrollment_approval, $exported:ident) => { $crate::__private::bindings::enrollment::__export_enrollment_approval!($exported with_types_in $crate::__private::bindings::enrollment); };
    (ra_approval, $exported:ident) => { $crate::__private::bindings::ra::__export_ra_approval!($exported with_types_in $crate::__private::bindings::ra); };
    (command_selection, $exported:ident) => { $crate::__private::bindings::selection::__export_command_selection!($exported with_types_in $crate::__private::bindings::selection); };
    (event, $exported:ident) => { $crate::__private::bindings::event::__export_event!($exported with_types_in $crate::__private::bindings::event); };
    ($other:ident, $exported:ident) => {};
}
