//! A loopback HTTP/1.x server for tests: everything a well-behaved server would not do, on purpose and on time.
//!
//! [`Server`] answers a fixed set of paths (see [`endpoints`]) and lets a test script the rest with raw access to the
//! connection ([`Conn`]). [`Proxy`] is an HTTP or SOCKS5 proxy that remembers what it was asked for; [`BlackHole`] and
//! [`refused_addr`] are addresses that never answer and that refuse. Each connection has its own thread with a small
//! stack, and dropping a server or proxy closes every socket and waits for every thread.
//!
//! ```no_run
//! use sortie_test_server::{Response, Server};
//!
//! let server = Server::builder()
//!     .handler(|request, conn| match request.path() {
//!         "/teapot" => conn.send(&Response::new(418).body("short and stout")).map(Some),
//!         _ => Ok(None), // the built-in endpoints go on from here
//!     })
//!     .start();
//! println!("{}", server.url("/teapot"));
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod accept;
mod basic;
mod body;
mod conn;
pub mod endpoints;
pub mod frames;
mod gate;
mod message;
mod pattern;
mod proxy;
mod record;
mod server;
mod tls;
mod unreachable;
mod wire;

pub use conn::{Conn, Framing, Outcome};
pub use gate::Gate;
pub use message::{Request, Response};
pub use pattern::{Fnv, fnv, pattern, pattern_vec};
pub use proxy::{Proxied, Proxy, ProxyBuilder};
pub use record::Recorded;
pub use server::{Builder, Server};
pub use tls::Authority;
pub use unreachable::{BlackHole, refused_addr};

/// Raises this process's limit on open files as far as it may; thousands of connections with both ends in one process
/// need more than the usual default. Returns the limit now in force.
pub fn raise_file_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::from(u16::MAX)).unwrap_or(0)
}
