//! Fuzz targets: each takes bytes as a disk or a network might give them, and says what has to hold. See README.md.
//!
//! All of them are one program, since linking each with libcurl and OpenSSL would take longer than running it.

#![no_main]

mod disk;
mod input;
mod network;
mod text;

use std::sync::OnceLock;

/// A target's name, and what it does with an input.
type Target = (&'static str, fn(&[u8]));

/// Each has a folder of its name in `corpus`.
const TARGETS: &[Target] = &[
    ("mark", disk::mark),
    ("mark-written", disk::mark_written),
    ("cache-entry", disk::cache_entry),
    ("cache-rules", disk::cache_rules),
    ("cookie-file", disk::cookie_file),
    ("set-cookie", network::set_cookie),
    ("head", network::head),
    ("body", network::body),
    ("location", network::location),
    ("resume", network::resume),
    ("decoding", network::decoding),
    ("dates", network::dates),
    ("trace", network::trace),
    ("content-type", text::content_type),
    ("charset", text::charset),
    ("charset-written", text::charset_written),
    ("form", text::form),
];

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    let wanted = std::env::var("SORTIE_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    let (_, run) = found.unwrap_or_else(|| panic!("SORTIE_FUZZ_TARGET is '{wanted}', and no target has that name"));
    CHOSEN.get_or_init(|| *run);
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(run) = CHOSEN.get() {
        run(data);
    }
});
