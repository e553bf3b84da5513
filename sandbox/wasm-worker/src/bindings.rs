//! What `wit/kekkai-session.wit` says, as Rust.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated"
)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "tool",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "kekkai:session/data.rows": crate::host::Rows },
    require_store_data_send: true,
});

/// World `interpreter`: it imports what `tool` does, and exports `run-script`.
pub mod interpreter {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "interpreter",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "kekkai:session": crate::bindings::kekkai::session },
        require_store_data_send: true,
    });
}
