//! Easy handles: set up once for their client, then changed only where a request differs from the one before.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use curl::easy::{Easy2, List};
use curl::multi::{Easy2Handle, Multi, Socket};
use url::Position;

use super::frames;
use super::proxy::ProxyChoice;
use super::sockets::Sockets;
use super::sys::{self, Raw};
use super::tls::{self, Roots};
use super::{Lane, Net, PROBE_PATIENCE, Transfer};
use crate::body::decoding::ACCEPTED;
use crate::body::source::BodyLength;
use crate::config::{Config, Pin, TlsVersion, canonical_host};
use crate::error::Refusal;
use crate::event::Protocol;
use crate::request::{HttpVersion, Limit, with_zone};

/// libcurl's receive buffer, one per multi handle. Larger ones halve the kernel time of large downloads.
const RECEIVE_BUFFER: i64 = 512 << 10;
/// libcurl's own connect limit, which only has to be out of the way of ours.
const NO_CONNECT_LIMIT: i64 = 0x7FFF_FFFF;

/// A handler for a handle that is never used.
struct Unused;

impl curl::easy::Handler for Unused {}

/// What every handle of a client has in common.
pub(crate) struct Setup {
    roots: Roots,
    min_tls_version: TlsVersion,
    user_agent: Option<CString>,
    proxy: ProxyChoice,
    pins: Vec<(String, CString)>,
    certificates: Vec<(String, tls::Identity)>,
    /// CURLOPT_CONNECT_TO lines.
    connect_to: Vec<String>,
    keep_alive_interval: Limit,
    max_connection_idle: Limit,
}

impl Setup {
    /// Reads the environment and the disk once, so that the worker never does.
    pub(crate) fn new(config: &Config) -> Result<Setup, Refusal> {
        // curl-rust looks for roots on disk and in the environment when the process makes its first handle.
        drop(Easy2::new(Unused));
        frames::listen();
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let connect_to = config
            .resolves
            .iter()
            .map(|resolve| {
                let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
                let (from, to) = (port(resolve.port), port(resolve.address_port));
                let address = canonical_host("resolve address", &resolve.address.to_string())?;
                let host = canonical_host("resolve", &resolve.host)?;
                // To libcurl, a name with a dot at its end is another.
                Ok([format!("{host}:{from}:{address}:{to}"), format!("{host}.:{from}:{address}:{to}")])
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        let pin = |pin: &Pin| Ok((canonical_host("pin", &pin.host)?, text(&pin.public_keys)));
        Ok(Setup {
            roots: Roots::find(config.ca_file.as_deref())?,
            min_tls_version: config.min_tls_version,
            user_agent: config.user_agent.as_deref().map(text),
            proxy: ProxyChoice::new(&config.proxy)?,
            pins: config.pins.iter().map(pin).collect::<Result<_, Refusal>>()?,
            certificates: tls::identities(&config.client_certificates)?,
            connect_to: connect_to.into_iter().flatten().collect(),
            keep_alive_interval: config.keep_alive_interval,
            max_connection_idle: config.max_connection_idle,
        })
    }

    fn apply<H: Transfer>(&self, easy: &mut Easy2<H>, sockets: &Arc<Sockets>) -> Result<(), String> {
        let raw = Raw(easy.raw());
        raw.text(sys::OPT_PROTOCOLS_STR, Some(c"http,https"))?;
        raw.long(sys::OPT_PATH_AS_IS, 1)?;
        if let Some(interval) = self.keep_alive_interval.duration() {
            raw.long(curl_sys::CURLOPT_TCP_KEEPALIVE, 1)?;
            raw.long(curl_sys::CURLOPT_TCP_KEEPIDLE, whole_seconds(interval))?;
            raw.long(curl_sys::CURLOPT_TCP_KEEPINTVL, whole_seconds(interval))?;
        }
        raw.long(curl_sys::CURLOPT_MAXAGE_CONN, self.max_connection_idle.duration().map_or(0, whole_seconds))?;
        raw.long(sys::OPT_SUPPRESS_CONNECT_HEADERS, 1)?;
        // Compression is asked for through libcurl and undone by us.
        raw.long(curl_sys::CURLOPT_HTTP_CONTENT_DECODING, 0)?;
        raw.long(curl_sys::CURLOPT_BUFFERSIZE, RECEIVE_BUFFER)?;
        raw.long(curl_sys::CURLOPT_CONNECTTIMEOUT_MS, NO_CONNECT_LIMIT)?;
        raw.text(curl_sys::CURLOPT_USERAGENT, self.user_agent.as_deref())?;
        let version = match self.min_tls_version {
            TlsVersion::Tls12 => curl_sys::CURL_SSLVERSION_TLSv1_2,
            TlsVersion::Tls13 => curl_sys::CURL_SSLVERSION_TLSv1_3,
        };
        raw.long(curl_sys::CURLOPT_SSLVERSION, version.into())?;
        self.roots.apply(raw)?;
        if !self.connect_to.is_empty() {
            let mut list = List::new();
            for line in &self.connect_to {
                list.append(line).map_err(|error| error.to_string())?;
            }
            easy.connect_to(list).map_err(|error| error.to_string())?;
        }
        let handler: *const H = easy.get_ref();
        // SAFETY: each function is of its option's type. The handler lives in a box of the handle and so at one place as
        // long as the handle; the sockets live as long as the multi handle, and no connection lives longer.
        unsafe {
            raw.pointer(sys::OPT_PREREQFUNCTION, connected::<H> as *const () as *const c_char)?;
            raw.pointer(sys::OPT_PREREQDATA, handler.cast())?;
            raw.pointer(curl_sys::CURLOPT_CLOSESOCKETFUNCTION, close_socket as *const () as *const c_char)?;
            raw.pointer(curl_sys::CURLOPT_CLOSESOCKETDATA, Arc::as_ptr(sockets).cast())?;
            // curl-rust's hook into the TLS context does nothing here, and makes libcurl load the roots at once. Schannel has
            // no such hook.
            #[cfg(unix)]
            raw.pointer(curl_sys::CURLOPT_SSL_CTX_FUNCTION, std::ptr::null())?;
        }
        Ok(())
    }
}

extern "C" fn connected<H: Transfer>(
    handler: *mut c_void,
    _remote: *const c_char,
    _local: *const c_char,
    _remote_port: c_int,
    _local_port: c_int,
) -> c_int {
    // SAFETY: set in `Setup::apply`; libcurl calls back on the worker thread, where nobody else has the handler then.
    let handler = unsafe { &mut *handler.cast::<H>() };
    let told = catch_unwind(AssertUnwindSafe(|| handler.connected()));
    c_int::from(!told.unwrap_or(false))
}

extern "C" fn close_socket(sockets: *mut c_void, socket: curl_sys::curl_socket_t) -> c_int {
    // SAFETY: set in `Setup::apply`.
    let sockets = unsafe { &*sockets.cast::<Sockets>() };
    let _ = catch_unwind(AssertUnwindSafe(|| sockets.closing(socket)));
    #[cfg(unix)]
    // SAFETY: the socket is libcurl's, which gives it up by this call.
    let failed = unsafe { libc::close(socket) };
    #[cfg(windows)]
    // SAFETY: as on Unix.
    let failed = {
        use std::os::windows::io::{FromRawSocket, OwnedSocket};
        drop(unsafe { OwnedSocket::from_raw_socket(socket as u64) });
        0
    };
    failed
}

/// One request as it goes over the wire.
pub(crate) struct Hop<'a> {
    pub(crate) url: &'a url::Url,
    /// The number of the network interface on which its host is.
    pub(crate) zone: Option<&'a str>,
    pub(crate) method: &'a str,
    /// The body's length, if there is a body.
    pub(crate) body: Option<BodyLength>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) credential: Credential<'a>,
    pub(crate) version: HttpVersion,
    /// The request's own proxy, empty for none; `None` for the client's.
    pub(crate) proxy: Option<&'a CStr>,
    /// Whether to ask for compression.
    pub(crate) compression: bool,
    /// Whether to make a new connection for it.
    pub(crate) fresh: bool,
}

impl Hop<'_> {
    /// The proxy that it goes through.
    fn proxy<'a>(&'a self, setup: &'a Setup) -> Option<&'a CStr> {
        match self.proxy {
            Some(own) => Some(own).filter(|own| !own.is_empty()),
            None => setup.proxy.for_scheme(self.url.scheme()),
        }
    }
}

/// Who a hop is from.
#[derive(Clone, Copy, Default)]
pub(crate) enum Credential<'a> {
    #[default]
    None,
    Basic(&'a str, &'a str),
    Bearer(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Get,
    Head,
    Upload,
}

/// What a handle is set to, beyond its client's setup: the next request changes only what differs.
struct Applied {
    url: String,
    target: bool,
    mode: Mode,
    method: String,
    headers: bool,
    credential: bool,
    version: HttpVersion,
    compression: bool,
    fresh: bool,
    pin: Option<usize>,
    certificate: Option<usize>,
    proxy: Option<CString>,
    /// The proxy is a request's own: the client's exceptions do not count.
    own_proxy: bool,
}

/// Lines of bytes as libcurl takes them; curl-rust's own list takes UTF-8 alone.
struct Lines(*mut curl_sys::curl_slist);

impl Lines {
    fn add(&mut self, line: Vec<u8>) -> Result<(), String> {
        let line = CString::new(line).map_err(|_| "a header line holds a NUL")?;
        // SAFETY: the list is NULL or libcurl's own, and the line is NUL-terminated and copied.
        let longer = unsafe { curl_sys::curl_slist_append(self.0, line.as_ptr()) };
        if longer.is_null() {
            return Err("no memory for the header lines".to_owned());
        }
        self.0 = longer;
        Ok(())
    }
}

impl Default for Lines {
    fn default() -> Lines {
        Lines(std::ptr::null_mut())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: the list is NULL or ours, and no handle uses it any more.
        unsafe { curl_sys::curl_slist_free_all(self.0) };
    }
}

/// An easy handle that no transfer runs on.
pub(crate) struct Easy<H> {
    easy: Easy2<H>,
    lines: Lines,
    applied: Applied,
    line: Vec<u8>,
}

/// An easy handle on which a transfer runs.
pub(crate) struct Active<H> {
    lane: Lane,
    handle: Easy2Handle<H>,
    lines: Lines,
    applied: Applied,
    line: Vec<u8>,
}

/// Where the time of one hop went, from its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HopTiming {
    pub(crate) name_lookup: Duration,
    pub(crate) connect: Duration,
    pub(crate) tls: Duration,
    pub(crate) first_byte: Duration,
}

impl<H: Transfer> Easy<H> {
    pub(crate) fn new(handler: H, setup: &Setup, net: &Net) -> Result<Easy<H>, String> {
        let mut easy = Easy2::new(handler);
        setup.apply(&mut easy, net.sockets())?;
        let raw = Raw(easy.raw());
        raw.text(curl_sys::CURLOPT_PROXY, Some(c""))?;
        raw.text(curl_sys::CURLOPT_NOPROXY, Some(setup.proxy.except()))?;
        raw.text(curl_sys::CURLOPT_ACCEPT_ENCODING, Some(ACCEPTED))?;
        let applied = Applied {
            url: String::new(),
            target: false,
            mode: Mode::Get,
            // Not even GET: with a body it would go out as PUT.
            method: String::new(),
            headers: false,
            credential: false,
            version: HttpVersion::Default,
            compression: true,
            fresh: false,
            pin: None,
            certificate: None,
            proxy: None,
            own_proxy: false,
        };
        Ok(Easy { easy, lines: Lines::default(), applied, line: Vec::new() })
    }

    pub(crate) fn handler(&mut self) -> &mut H {
        self.easy.get_mut()
    }

    /// Sets the handle to one request.
    pub(crate) fn prepare(&mut self, hop: &Hop<'_>, setup: &Setup) -> Result<(), String> {
        let raw = Raw(self.easy.raw());
        self.set_url(hop, setup)?;
        self.set_method(hop)?;
        self.set_headers(hop)?;
        self.set_credential(hop.credential)?;
        if self.applied.version != hop.version {
            let version = match hop.version {
                HttpVersion::Default => curl_sys::CURL_HTTP_VERSION_2TLS,
                HttpVersion::Http11 => curl_sys::CURL_HTTP_VERSION_1_1,
                HttpVersion::Http2PriorKnowledge => curl_sys::CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
            };
            raw.long(curl_sys::CURLOPT_HTTP_VERSION, version.into())?;
            self.applied.version = hop.version;
        }
        if self.applied.fresh != hop.fresh {
            raw.long(sys::OPT_FRESH_CONNECT, hop.fresh.into())?;
            self.applied.fresh = hop.fresh;
        }
        if self.applied.compression != hop.compression {
            raw.text(curl_sys::CURLOPT_ACCEPT_ENCODING, hop.compression.then_some(ACCEPTED))?;
            self.applied.compression = hop.compression;
        }
        self.set_host_options(hop, setup)
    }

    /// Sets the handle to connect and do nothing else.
    pub(super) fn prepare_probe(&mut self, url: &str, scheme: &str, tunnel: bool, setup: &Setup) -> Result<(), String> {
        let raw = self.raw();
        raw.text(curl_sys::CURLOPT_URL, Some(c_text(&mut self.line, url)))?;
        raw.text(curl_sys::CURLOPT_PROXY, Some(setup.proxy.for_scheme(scheme).unwrap_or(c"")))?;
        raw.long(sys::OPT_HTTPPROXYTUNNEL, tunnel.into())?;
        raw.long(sys::OPT_CONNECT_ONLY, 1)?;
        let patience = i64::try_from(PROBE_PATIENCE.as_millis()).unwrap_or(i64::MAX);
        raw.long(curl_sys::CURLOPT_CONNECTTIMEOUT_MS, patience)
    }

    pub(super) fn raw(&self) -> Raw {
        Raw(self.easy.raw())
    }

    /// libcurl takes its URL apart and puts it together again for each transfer, byte by byte. What it needs for that is the
    /// origin; the rest goes out as the request's target, which it only copies. A proxy is asked for the whole URL.
    fn set_url(&mut self, hop: &Hop<'_>, setup: &Setup) -> Result<(), String> {
        let raw = Raw(self.easy.raw());
        let apart = hop.proxy(setup).is_none();
        let url = if apart { &hop.url[..Position::BeforePath] } else { hop.url.as_str() };
        let url = with_zone(url, hop.zone);
        if self.applied.url != url {
            raw.text(curl_sys::CURLOPT_URL, Some(c_text(&mut self.line, &url)))?;
            url.as_ref().clone_into(&mut self.applied.url);
        }
        if apart {
            let target = &hop.url[Position::BeforePath..Position::AfterQuery];
            raw.text(sys::OPT_REQUEST_TARGET, Some(c_text(&mut self.line, target)))?;
        } else if self.applied.target {
            raw.text(sys::OPT_REQUEST_TARGET, None)?;
        }
        self.applied.target = apart;
        Ok(())
    }

    fn set_method(&mut self, hop: &Hop<'_>) -> Result<(), String> {
        let raw = Raw(self.easy.raw());
        let mode = match (hop.method, hop.body) {
            (_, Some(_)) => Mode::Upload,
            ("HEAD", None) => Mode::Head,
            (_, None) => Mode::Get,
        };
        if self.applied.mode != mode {
            let option = match mode {
                Mode::Get => curl_sys::CURLOPT_HTTPGET,
                Mode::Head => curl_sys::CURLOPT_NOBODY,
                Mode::Upload => curl_sys::CURLOPT_UPLOAD,
            };
            raw.long(option, 1)?;
            self.applied.mode = mode;
        }
        if let Some(length) = hop.body {
            raw.offset(curl_sys::CURLOPT_INFILESIZE_LARGE, length.estimate())?;
        }
        if self.applied.method != hop.method {
            raw.text(curl_sys::CURLOPT_CUSTOMREQUEST, Some(c_text(&mut self.line, hop.method)))?;
            hop.method.clone_into(&mut self.applied.method);
        }
        Ok(())
    }

    fn set_headers(&mut self, hop: &Hop<'_>) -> Result<(), String> {
        let any = !hop.headers.is_empty() || hop.body.is_some();
        if !any && !self.applied.headers {
            return Ok(());
        }
        let mut list = Lines::default();
        for (name, value) in &hop.headers {
            let mut line = name.as_bytes().to_vec();
            // To libcurl, "Name:" means that the header is not to be sent, "Name;" that it is to be sent empty.
            if value.is_empty() {
                line.push(b';');
            } else {
                line.extend_from_slice(b": ");
                line.extend_from_slice(value);
            }
            list.add(line)?;
        }
        if hop.body.is_some() && !hop.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Expect")) {
            // libcurl would wait a second for "100 Continue" before a body over 1 MiB.
            list.add(b"Expect:".to_vec())?;
        }
        self.applied.headers = any;
        let raw = Raw(self.easy.raw());
        // SAFETY: the option takes such a list, and the handle no longer uses the one that it replaces. The new one is kept
        // until the next, or until the handle is gone, which is dropped first.
        unsafe { raw.pointer(curl_sys::CURLOPT_HTTPHEADER, list.0.cast())? };
        self.lines = list;
        Ok(())
    }

    fn set_credential(&mut self, credential: Credential<'_>) -> Result<(), String> {
        if matches!(credential, Credential::None) && !self.applied.credential {
            return Ok(());
        }
        let raw = Raw(self.easy.raw());
        self.applied.credential = true;
        raw.text(curl_sys::CURLOPT_USERNAME, None)?;
        raw.text(curl_sys::CURLOPT_PASSWORD, None)?;
        raw.text(sys::OPT_XOAUTH2_BEARER, None)?;
        match credential {
            Credential::None => self.applied.credential = false,
            Credential::Basic(username, password) => {
                raw.long(curl_sys::CURLOPT_HTTPAUTH, curl_sys::CURLAUTH_BASIC as i64)?;
                raw.text(curl_sys::CURLOPT_USERNAME, Some(c_text(&mut self.line, username)))?;
                raw.text(curl_sys::CURLOPT_PASSWORD, Some(c_text(&mut self.line, password)))?;
            }
            Credential::Bearer(token) => {
                const CURLAUTH_BEARER: i64 = 1 << 6;
                raw.long(curl_sys::CURLOPT_HTTPAUTH, CURLAUTH_BEARER)?;
                raw.text(sys::OPT_XOAUTH2_BEARER, Some(c_text(&mut self.line, token)))?;
            }
        }
        Ok(())
    }

    /// What depends on the host: the proxy, its pinned keys, the certificate to show it.
    fn set_host_options(&mut self, hop: &Hop<'_>, setup: &Setup) -> Result<(), String> {
        let raw = Raw(self.easy.raw());
        let (proxy, own) = (hop.proxy(setup), hop.proxy.is_some());
        if self.applied.proxy.as_deref() != proxy {
            raw.text(curl_sys::CURLOPT_PROXY, Some(proxy.unwrap_or(c"")))?;
            self.applied.proxy = proxy.map(CStr::to_owned);
        }
        if self.applied.own_proxy != own {
            raw.text(curl_sys::CURLOPT_NOPROXY, Some(if own { c"" } else { setup.proxy.except() }))?;
            self.applied.own_proxy = own;
        }
        if setup.pins.is_empty() && setup.certificates.is_empty() {
            return Ok(());
        }
        let host = hop.url.host_str().unwrap_or("");
        let host = host.strip_suffix('.').unwrap_or(host);
        let pin = setup.pins.iter().position(|(name, _)| name.eq_ignore_ascii_case(host));
        if self.applied.pin != pin {
            let keys = pin.and_then(|pin| setup.pins.get(pin)).map(|(_, keys)| keys.as_c_str());
            raw.text(curl_sys::CURLOPT_PINNEDPUBLICKEY, keys)?;
            self.applied.pin = pin;
        }
        let certificate = setup.certificates.iter().position(|(name, _)| name.eq_ignore_ascii_case(host));
        if self.applied.certificate != certificate {
            let identity = certificate.and_then(|at| setup.certificates.get(at)).map(|(_, identity)| identity);
            tls::apply_identity(raw, identity)?;
            self.applied.certificate = certificate;
        }
        Ok(())
    }

    pub(super) fn start(mut self, multi: &Multi, lane: Lane, token: usize) -> Result<Active<H>, String> {
        // SAFETY: CURLOPT_PRIVATE takes any pointer and never follows it.
        unsafe { Raw(self.easy.raw()).pointer(curl_sys::CURLOPT_PRIVATE, token as *const c_char) }?;
        let handle = multi.add2(self.easy).map_err(|error| error.to_string())?;
        self.line.clear();
        Ok(Active { lane, handle, lines: self.lines, applied: self.applied, line: self.line })
    }

    /// What libcurl said about the last failure.
    pub(crate) fn take_error_text(&mut self) -> Option<String> {
        self.easy.take_error_buf().filter(|text| !text.is_empty())
    }

    /// The status with which a proxy answered CONNECT; 0 if none did.
    pub(crate) fn proxy_status(&self) -> i64 {
        #[allow(clippy::useless_conversion)] // c_long has 32 bits on Windows
        i64::from(Raw(self.easy.raw()).info_long(sys::INFO_HTTP_CONNECTCODE))
    }

    /// Whether the last hop went through a proxy.
    pub(crate) fn used_proxy(&self) -> bool {
        Raw(self.easy.raw()).info_long(sys::INFO_USED_PROXY) != 0
    }

    pub(super) fn forbid_reuse(&self, forbid: bool) {
        self.raw().forbid_reuse(forbid);
    }

    /// How many connections were made for the last hop.
    pub(crate) fn connections(&self) -> u64 {
        #[allow(clippy::useless_conversion)] // c_long has 32 bits on Windows
        u64::try_from(i64::from(Raw(self.easy.raw()).info_long(sys::INFO_NUM_CONNECTS))).unwrap_or(0)
    }

    /// The address at the other end of the last hop's connection.
    pub(crate) fn remote_address(&self) -> Option<SocketAddr> {
        Raw(self.easy.raw()).remote_address()
    }

    /// What the last hop's response was spoken in.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        // CURL_HTTP_VERSION_1_0, _1_1 and _2_0.
        match Raw(self.easy.raw()).info_long(sys::INFO_HTTP_VERSION) {
            1 => Some(Protocol::Http10),
            2 => Some(Protocol::Http11),
            3 => Some(Protocol::Http2),
            _ => None,
        }
    }

    /// Where the last hop's time went.
    pub(crate) fn timing(&self) -> HopTiming {
        let raw = Raw(self.easy.raw());
        let time = |info| Duration::from_micros(u64::try_from(raw.info_offset(info)).unwrap_or(0));
        HopTiming {
            name_lookup: time(sys::INFO_NAMELOOKUP_TIME_T),
            connect: time(sys::INFO_CONNECT_TIME_T),
            tls: time(sys::INFO_APPCONNECT_TIME_T),
            first_byte: time(sys::INFO_STARTTRANSFER_TIME_T),
        }
    }
}

impl<H: Transfer> Active<H> {
    pub(crate) fn handler(&mut self) -> &mut H {
        self.handle.get_mut()
    }

    pub(crate) fn handler_ref(&self) -> &H {
        self.handle.get_ref()
    }

    pub(super) fn forbid_reuse(&self, forbid: bool) {
        Raw(self.handle.raw()).forbid_reuse(forbid);
    }

    /// A way to ask about the connection from inside a callback.
    pub(crate) fn connection(&self) -> Connection {
        Connection(self.handle.raw())
    }

    /// Pauses the directions that are `true`, lets the others go on. Unpausing may call back at once.
    pub(crate) fn pause(&self, receive: bool, send: bool) {
        let bit = |paused, bit| if paused { bit } else { 0 };
        let mask = bit(receive, curl_sys::CURLPAUSE_RECV) | bit(send, curl_sys::CURLPAUSE_SEND);
        Raw(self.handle.raw()).pause(mask);
    }

    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) fn stop(self, multi: &Multi) -> Option<Easy<H>> {
        let Active { handle, lines, applied, line, .. } = self;
        let easy = multi.remove2(handle).ok()?;
        // It may have listened.
        let _ = Raw(easy.raw()).long(curl_sys::CURLOPT_VERBOSE, 0);
        Some(Easy { easy, lines, applied, line })
    }
}

/// The connection of a running transfer. Kept by that transfer's own handler, and so never longer than the handle.
#[derive(Clone, Copy)]
pub(crate) struct Connection(*mut curl_sys::CURL);

impl Connection {
    /// Whether HTTP/2 was agreed on in the TLS handshake; `None` if that cannot be told.
    pub(crate) fn negotiated_http2(self) -> Option<bool> {
        tls::negotiated_protocol(Raw(self.0)).map(|protocol| protocol == b"h2")
    }

    /// What tells the transfer's connection from all others of its multi handle.
    pub(crate) fn id(self) -> i64 {
        Raw(self.0).info_offset(sys::INFO_CONN_ID)
    }

    /// Its socket, as long as it is open.
    pub(crate) fn socket(self) -> Option<Socket> {
        Raw(self.0).socket()
    }

    /// Has the transfer hear of the frames that it sees on its connection, from now on until it ends.
    pub(crate) fn listen(self) {
        let _ = Raw(self.0).long(curl_sys::CURLOPT_VERBOSE, 1);
    }

    /// Whether a connection that is used again is seen to be closed, or to have what an idle HTTP/1 connection has not:
    /// something to read. libcurl does not look at one that was used within the last second.
    pub(crate) fn is_stale(self) -> bool {
        let raw = Raw(self.0);
        if raw.info_long(sys::INFO_NUM_CONNECTS) != 0 {
            return false;
        }
        match raw.peek() {
            Some(Ok(0)) => true,
            Some(Ok(_)) => self.negotiated_http2() != Some(true),
            Some(Err(error)) => error.kind() != std::io::ErrorKind::WouldBlock,
            None => false,
        }
    }
}

/// A time in the unit of some options, rounded up: 0 would mean something else.
fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).clamp(1, i32::MAX.into())
}

/// Writes text with a NUL into a buffer that is used again. Text has no NUL: URLs, methods and credentials are checked.
fn c_text<'a>(line: &'a mut Vec<u8>, text: &str) -> &'a CStr {
    line.clear();
    line.extend_from_slice(text.as_bytes());
    line.push(0);
    CStr::from_bytes_until_nul(line).unwrap_or(c"")
}
