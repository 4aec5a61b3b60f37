//! The checks that `cargo xtask test` runs.

pub mod c;
pub mod consumer;
pub mod cost;
pub mod cpp;
pub mod csharp;
pub mod godot;
pub mod lua;
pub mod rust;
pub mod sources;
pub mod symbols;
pub mod thread_sanitizer;
pub mod unity;
