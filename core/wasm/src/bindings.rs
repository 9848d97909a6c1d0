//! Generated from `sdk/wit/`: the contract's types on the host's side.

// The contract documents itself in WIT; what the macro makes of it is private.
#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    world: "directory-plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "lanyard:policy/secrets.secret": crate::capability::HeldSecret,
    },
});
