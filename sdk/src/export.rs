//! The macro line.

/// Makes a component of a [`Plugin`](crate::Plugin) that answers these hooks: `export!(MyPlugin: directory, event);`. Natively it only
/// checks that the traits are there.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($hook:ident),+ $(,)?) => {
        const _: () = {
            $( $crate::__check!($hook, $plugin); )+
        };
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::__private::Adapter<$plugin>;
            $( $crate::__export_hook!($hook, Exported); )+
            $crate::__private::bindings::settings::__export_settings!(
                Exported with_types_in $crate::__private::bindings::settings
            );
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
