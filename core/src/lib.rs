//! The part of Sortie that does no input or output: protocols and decisions as values that take bytes, commands and times,
//! and give back bytes and events.
//!
//! Nothing here knows libcurl, a thread, a clock or a file, so every test runs without sockets and at the speed of the
//! processor. The `sortie` crate drives it.

#![forbid(unsafe_code)]

pub mod event_stream;
pub mod websocket;
