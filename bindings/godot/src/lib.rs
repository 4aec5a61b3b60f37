//! Sortie as a GDExtension for Godot 4: `SortieClient`, `SortieRequest`, `SortieResponse`, `SortieMock`, and
//! `SortieHTTPRequest`, which takes the place of Godot's HTTPRequest.
//!
//! What the classes do is in their documentation, which the editor shows. Inside: signals are emitted while no object of
//! ours is borrowed, so that what listens may do anything, freeing the emitter included.

#![allow(clippy::needless_pass_by_value)] // what Godot calls takes values

mod client;
mod files;
mod http_request;
mod limits;
mod mock;
mod refused;
mod request;
mod response;

/// The way in for Godot.
#[allow(unsafe_code)]
mod entry {
    use godot::init::InitStage;
    use godot::prelude::{ExtensionLibrary, gdextension};

    struct Sortie;

    // SAFETY: gdext asks for this as a promise that its safety rules are known; no other unsafe code is in this crate.
    #[gdextension(entry_symbol = sortie_godot_init)]
    unsafe impl ExtensionLibrary for Sortie {
        fn on_stage_deinit(stage: InitStage) {
            if stage == InitStage::Scene {
                crate::http_request::close_shared();
            }
        }
    }
}
