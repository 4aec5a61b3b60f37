//! HTTP for game loops.
//!
//! A game submits requests and, once a frame, drains events from a lock-free queue. One worker thread runs every transfer
//! on libcurl's multi interface; the frame never waits. [`Client`] and [`Request`] are the way in for Rust programs;
//! C programs and bindings use the same through `include/sortie.h`, which [`ffi`] defines.
//!
//! See `examples/rust/frame_loop.rs` for a whole program.

#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

mod body;
mod budget;
mod cache;
mod chain;
mod client;
mod config;
mod error;
mod event;
#[doc(hidden)]
pub mod ffi;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod http_date;
mod lock;
mod mock;
mod net;
mod published;
mod request;
mod slots;
mod text;
mod worker;

pub use body::form::FormPart;
pub use budget::Body;
pub use client::{Client, Stats};
pub use config::{ClientCertificate, Config, Pin, Proxy, Resolve, TlsVersion};
pub use error::{ErrorKind, Failure, Reason, Refusal};
pub use event::{BodyKind, CharsetSource, Event, EventKind, Network, Protocol, Response, Timing, TraceLevel};
pub use headers::Headers;
pub use mock::Mock;
pub use request::{
    BaseDirectory, CacheMode, FileName, HttpVersion, Limit, MAX_HEADER_BYTES, MAX_URL_BYTES, MinSpeed, Priority,
    Progress, Rates, Request, Retry, SharedBytes,
};
pub use slots::RequestId;
pub use text::Text;
