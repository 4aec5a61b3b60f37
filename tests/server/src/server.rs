//! The server: how it is built, what it tells, how it ends.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::accept::Listening;
use crate::conn::{Conn, Outcome};
use crate::endpoints;
use crate::gate::Gate;
use crate::message::Request;
use crate::record::{Log, Recorded};
use crate::tls::{Authority, Flaw, Identity};
use crate::wire::Wire;

type Handler = dyn Fn(&Request, &mut Conn) -> io::Result<Option<Outcome>> + Send + Sync;

/// What every connection of a server shares.
pub(crate) struct Shared {
    pub log: Log,
    handler: Option<Box<Handler>>,
    gates: Mutex<HashMap<String, Gate>>,
    failures: Mutex<HashMap<String, u64>>,
    stubs: Mutex<HashMap<String, String>>,
}

impl Shared {
    pub(crate) fn answer(&self, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
        if let Some(handler) = &self.handler
            && let Some(outcome) = handler(request, conn)?
        {
            return Ok(outcome);
        }
        endpoints::answer(self, request, conn)
    }

    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.gates.lock().entry(name.to_owned()).or_default().clone()
    }

    /// The target that this path answers as.
    pub(crate) fn stub(&self, path: &str) -> Option<String> {
        self.stubs.lock().get(path).cloned()
    }

    pub(crate) fn set_stub(&self, path: String, target: String) {
        self.stubs.lock().insert(path, target);
    }

    /// Counts one more attempt under `key`; the first is 1.
    pub(crate) fn attempt(&self, key: String) -> u64 {
        let mut failures = self.failures.lock();
        let count = failures.entry(key).or_default();
        *count += 1;
        *count
    }
}

/// A server on 127.0.0.1. Dropping it closes every connection and waits for every thread.
pub struct Server {
    listening: Listening,
    shared: Arc<Shared>,
    tls: Option<(Arc<Authority>, String)>,
}

impl Server {
    /// Plain HTTP on a free port.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Everything else.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A URL of this server, by its IPv4 address; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        self.url_of("127.0.0.1", path)
    }

    /// A URL of this server's port under another host name; an IPv6 address goes in brackets.
    pub fn url_of(&self, host: &str, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}{path}", self.port())
    }

    /// Its IPv4 address.
    pub fn addr(&self) -> SocketAddr {
        self.listening.addr
    }

    /// Its port, the same for IPv4 and IPv6.
    pub fn port(&self) -> u16 {
        self.listening.addr.port()
    }

    fn tls(&self) -> &(Arc<Authority>, String) {
        self.tls.as_ref().expect("only a server with TLS has certificates")
    }

    /// The authority that signed its certificate.
    ///
    /// # Panics
    /// If the server has no TLS; so do the five below.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.tls().0
    }

    /// A file with the authority's certificate, to be trusted by clients.
    pub fn ca_pem(&self) -> &Path {
        self.authority().ca_pem()
    }

    /// A file with a client certificate that [`Builder::client_auth`] accepts.
    pub fn client_cert_pem(&self) -> &Path {
        self.authority().client_cert_pem()
    }

    /// A file with that certificate's key, in PKCS #8.
    pub fn client_key_pem(&self) -> &Path {
        self.authority().client_key_pem()
    }

    /// The certificate's public key as curl's `CURLOPT_PINNEDPUBLICKEY` wants it: `sha256//BASE64`.
    pub fn public_key_pin(&self) -> String {
        self.tls().1.clone()
    }

    /// The requests whose heads have arrived, oldest first; the latest 20,000 are remembered.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// Forgets them.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// How many requests there have been, forgotten ones included.
    pub fn request_count(&self) -> u64 {
        self.shared.log.total()
    }

    /// Waits until `count` requests are remembered; false if that takes longer than `timeout`.
    pub fn wait_requests(&self, count: usize, timeout: Duration) -> bool {
        self.shared.log.wait_for(count, timeout)
    }

    /// Connections accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.listening.sockets.counts().accepted
    }

    /// Connections open now.
    pub fn connections_open(&self) -> usize {
        self.listening.sockets.counts().open
    }

    /// The most that were open at once.
    pub fn max_connections_open(&self) -> usize {
        self.listening.sockets.counts().max_open
    }

    /// Waits until exactly `count` connections are open; false if that takes longer than `timeout`.
    pub fn wait_connections_open(&self, count: usize, timeout: Duration) -> bool {
        self.listening.sockets.wait_counts(timeout, |counts| counts.open == count)
    }

    /// Waits until `count` connections have been accepted; false if that takes longer than `timeout`.
    pub fn wait_connections_accepted(&self, count: u64, timeout: Duration) -> bool {
        self.listening.sockets.wait_counts(timeout, |counts| counts.accepted >= count)
    }

    /// Shuts down every connection there is now; new ones are welcome.
    pub fn close_connections(&self) {
        self.listening.sockets.shut_down_all();
    }

    /// The gate that `/gate/NAME` waits at.
    pub fn gate(&self, name: &str) -> Gate {
        self.shared.gate(name)
    }
}

/// How a server is to be.
#[derive(Default)]
pub struct Builder {
    port: u16,
    ipv6: bool,
    tls: bool,
    client_auth: bool,
    flaw: Flaw,
    names: Vec<String>,
    authority: Option<Arc<Authority>>,
    handler: Option<Box<Handler>>,
}

impl Builder {
    /// A fixed port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Listens on ::1 as well, on the same port.
    pub fn ipv6(mut self, ipv6: bool) -> Self {
        self.ipv6 = ipv6;
        self
    }

    /// Speaks HTTPS, with a certificate for localhost, both loopback addresses, `example.com`, `*.example.com`,
    /// `example.org`, `*.sortie.test` and `a`, `b`, `api`, `cdn`, `www` under `.test`.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// More names for the certificate: DNS names or IP addresses.
    pub fn names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    /// Requires a client certificate signed by the authority.
    pub fn client_auth(mut self, client_auth: bool) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Speaks HTTPS with a certificate that its authority did not sign.
    pub fn self_signed(self) -> Self {
        self.flawed(Flaw::SelfSigned)
    }

    /// Speaks HTTPS with a certificate that ended in 2020.
    pub fn expired(self) -> Self {
        self.flawed(Flaw::Expired)
    }

    /// Speaks HTTPS with a certificate for `wrong.invalid` alone.
    pub fn wrong_name(self) -> Self {
        self.flawed(Flaw::WrongName)
    }

    fn flawed(mut self, flaw: Flaw) -> Self {
        self.tls = true;
        self.flaw = flaw;
        self
    }

    /// Shares an authority, so that a client trusts several servers by one file.
    pub fn authority(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// A script that is asked first. `Ok(None)`, before anything was written, leaves the request to the endpoints; an
    /// error drops the connection.
    pub fn handler(
        mut self,
        handler: impl Fn(&Request, &mut Conn) -> io::Result<Option<Outcome>> + Send + Sync + 'static,
    ) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If the port or the certificates cannot be had.
    pub fn start(self) -> Server {
        self.try_start().expect("the test server starts")
    }

    /// Starts it, or says why not.
    pub fn try_start(self) -> io::Result<Server> {
        let mut tls = None;
        let mut config = None;
        if self.tls {
            let authority = self.authority.unwrap_or_else(Authority::new);
            let Identity { config: made, public_key_pin } =
                authority.identity(&self.names, self.flaw, self.client_auth)?;
            config = Some(made);
            tls = Some((authority, public_key_pin));
        }
        let shared = Arc::new(Shared {
            log: Log::default(),
            handler: self.handler,
            gates: Mutex::default(),
            failures: Mutex::default(),
            stubs: Mutex::default(),
        });
        let of_connections = Arc::clone(&shared);
        let listening = Listening::start(self.port, self.ipv6, move |registered| {
            if let Ok(wire) = Wire::new(registered, config.clone()) {
                Conn::new(wire, Arc::clone(&of_connections)).serve();
            }
        })?;
        Ok(Server { listening, shared, tls })
    }
}
