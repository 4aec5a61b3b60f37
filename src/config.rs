//! How a client is set up: its defaults and their validation.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::body::disk::Location;
use crate::error::{Reason, Refusal};
use crate::event::TraceLevel;
use crate::headers::Headers;
use crate::request::{BaseDirectory, FileName, Limit, MinSpeed, Rates, add_header};
use crate::slots::MAX_SLOTS;

/// The lowest TLS version to accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Where to connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What http_proxy, https_proxy, all_proxy and no_proxy say in the environment when the client is created.
    #[default]
    Environment,
    /// Straight to the host.
    Direct,
    /// Through this proxy, but for these hosts.
    Url {
        /// "http://host:port", "https://", "socks4://", "socks4a://", "socks5://" or "socks5h://".
        url: String,
        /// Hosts to reach without it, separated by commas.
        except: String,
    },
}

/// Public keys that a host must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The host's name, without scheme or port.
    pub host: String,
    /// Hashes as "sha256//BASE64", separated by ';'. One must match.
    pub public_keys: String,
}

/// A certificate by which a server may ask the client to identify itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The host that may have it, without scheme or port.
    pub host: String,
    /// A PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// A PEM file with the private key, if it is another.
    pub key: Option<PathBuf>,
    /// The private key's password, if it has one.
    pub password: Option<String>,
}

/// An address to use for a host in place of name lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The host's name as URLs have it.
    pub host: String,
    /// The port as URLs have it, or every port.
    pub port: Option<u16>,
    /// The address to connect to.
    pub address: IpAddr,
    /// The port to connect to, or the same.
    pub address_port: Option<u16>,
}

/// How a client is set up. Start from `Config::default()`.
#[derive(Clone)]
pub struct Config {
    /// The User-Agent of requests that give none; `None` sends none.
    pub user_agent: Option<String>,
    /// What [`BaseDirectory::Documents`] stands for.
    pub documents_directory: Option<PathBuf>,
    /// What [`BaseDirectory::Temporary`] stands for.
    pub temporary_directory: Option<PathBuf>,
    /// What [`BaseDirectory::Caches`] stands for.
    pub caches_directory: Option<PathBuf>,
    /// What [`BaseDirectory::ApplicationSupport`] stands for.
    pub application_support_directory: Option<PathBuf>,
    /// What [`BaseDirectory::Resource`] stands for.
    pub resource_directory: Option<PathBuf>,
    /// How many requests may be on the network at a time; 1 to 65535. A host that speaks HTTP/2 takes up at most two of
    /// these places.
    pub max_active: u32,
    /// How many of them may be to one host. A host that speaks HTTP/2 takes up to 100.
    pub max_active_per_host: u32,
    /// How many requests may wait, run or be undrained in all; 1 to 1048576.
    pub max_requests: u32,
    /// The total time limit of requests that say none.
    pub timeout: Limit,
    /// The connect time limit of requests that say none.
    pub connect_timeout: Limit,
    /// The stall time limit of requests that say none.
    pub stall_timeout: Limit,
    /// How slow requests may be that do not say.
    pub min_speed: MinSpeed,
    /// The queue time limit of requests that say none.
    pub queue_timeout: Limit,
    /// The lowest TLS version to accept.
    pub min_tls_version: TlsVersion,
    /// The largest response body in memory, in bytes after decompression.
    pub max_body_bytes: u64,
    /// The largest response body in a file, in bytes after decompression.
    pub max_file_bytes: u64,
    /// How many times as large as it came a compressed body may become that no byte cap bounds, beyond 256 MiB; at least 1,
    /// `u32::MAX` sets no limit.
    pub max_decompression_ratio: u32,
    /// While events hold more than this many bytes of bodies, no request starts and none receives into memory.
    pub max_buffered_bytes: u64,
    /// Headers of every request that does not give the same name itself; add to them by [`Config::default_header`].
    pub default_headers: Headers,
    /// Public keys that hosts must show.
    pub pins: Vec<Pin>,
    /// A PEM file with the roots to trust, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificates by which to identify the client.
    pub client_certificates: Vec<ClientCertificate>,
    /// Addresses in place of name lookup.
    pub resolves: Vec<Resolve>,
    /// Where to connect to.
    pub proxy: Proxy,
    /// Whether cookies are kept and sent.
    pub cookies: bool,
    /// Where cookies with an end are kept beyond the client's life; one client at a time.
    pub cookie_file: Option<PathBuf>,
    /// How often a watched host is looked at when nothing has changed.
    pub reachability_interval: Limit,
    /// After how long without a packet a connection is asked whether its other end is still there, and how often then.
    pub keep_alive_interval: Limit,
    /// How long a connection may be idle and still be used again.
    pub max_connection_idle: Limit,
    /// A folder of its own for what the HTTP cache keeps beyond the client's life; one client at a time. Made if it does not
    /// exist.
    pub cache_directory: Option<PathBuf>,
    /// How much the cache keeps there, in bytes; each file counts in blocks of 4 KiB.
    pub max_cache_bytes: u64,
    /// How much the cache keeps in memory, in bytes. Without this and a directory there is no cache.
    pub max_memory_cache_bytes: u64,
    /// How fast the bodies of all requests together may go; they share it fairly.
    pub rates: Rates,
    /// How much the trace tells from the start on.
    pub trace_level: TraceLevel,
    /// Whether the trace shows values that may be secret: credentials, cookies, the values in queries.
    pub trace_secrets: bool,
    /// Whether the trace shows bodies, the start of each piece, if it tells details.
    pub trace_bodies: bool,
    /// Whether a request that no mock answers fails rather than go to the network.
    pub mocks_only: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            user_agent: Some(concat!("sortie/", env!("CARGO_PKG_VERSION")).to_owned()),
            documents_directory: None,
            temporary_directory: None,
            caches_directory: None,
            application_support_directory: None,
            resource_directory: None,
            max_active: 64,
            max_active_per_host: 16,
            max_requests: 65_536,
            timeout: Limit::After(Duration::from_secs(30)),
            connect_timeout: Limit::After(Duration::from_secs(10)),
            stall_timeout: Limit::After(Duration::from_secs(60)),
            min_speed: MinSpeed { bytes_per_second: 0, period: Limit::After(Duration::from_secs(30)) },
            queue_timeout: Limit::Never,
            min_tls_version: TlsVersion::Tls12,
            max_body_bytes: 64 << 20,
            max_file_bytes: u64::MAX,
            max_decompression_ratio: 1000,
            max_buffered_bytes: 256 << 20,
            default_headers: Headers::new(),
            pins: Vec::new(),
            ca_file: None,
            client_certificates: Vec::new(),
            resolves: Vec::new(),
            proxy: Proxy::Environment,
            cookies: true,
            cookie_file: None,
            reachability_interval: Limit::After(Duration::from_secs(30)),
            keep_alive_interval: Limit::After(Duration::from_secs(30)),
            max_connection_idle: Limit::After(Duration::from_secs(60)),
            cache_directory: None,
            max_cache_bytes: 100 << 20,
            max_memory_cache_bytes: 0,
            rates: Rates::default(),
            trace_level: TraceLevel::Off,
            trace_secrets: false,
            trace_bodies: false,
            mocks_only: false,
        }
    }
}

impl Config {
    /// Adds a header to every request that does not give the same name itself.
    ///
    /// # Errors
    /// As [`crate::Request::header`].
    pub fn default_header(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        add_header(&mut self.default_headers, name, value)
    }

    /// Makes every path a full one: the host may change its working directory later.
    pub(crate) fn with_full_paths(mut self) -> Result<Config, Refusal> {
        let paths = [
            ("documents_directory", &mut self.documents_directory),
            ("temporary_directory", &mut self.temporary_directory),
            ("caches_directory", &mut self.caches_directory),
            ("application_support_directory", &mut self.application_support_directory),
            ("resource_directory", &mut self.resource_directory),
            ("ca_file", &mut self.ca_file),
            ("cookie_file", &mut self.cookie_file),
            ("cache_directory", &mut self.cache_directory),
        ];
        let given = paths.into_iter().filter_map(|(what, path)| Some((what, path.as_mut()?)));
        let of_hosts = self.client_certificates.iter_mut().flat_map(|of_host| {
            let key = of_host.key.as_mut().map(|key| ("key_file", key));
            std::iter::once(("certificate_file", &mut of_host.certificate)).chain(key)
        });
        for (what, path) in given.chain(of_hosts) {
            *path = std::path::absolute(&*path).map_err(|error| {
                let shown = path.display();
                let why =
                    if path.as_os_str().is_empty() { "is empty".to_owned() } else { format!("'{shown}': {error}") };
                Refusal::new(Reason::Path, format!("{what} {why}"))
            })?;
        }
        Ok(self)
    }

    /// The path of a base directory; an outer `None` if the client has none for it.
    pub(crate) fn directory(&self, base: BaseDirectory) -> Option<Option<&Path>> {
        match base {
            BaseDirectory::None => return Some(None),
            BaseDirectory::Documents => &self.documents_directory,
            BaseDirectory::Temporary => &self.temporary_directory,
            BaseDirectory::Caches => &self.caches_directory,
            BaseDirectory::ApplicationSupport => &self.application_support_directory,
            BaseDirectory::Resource => &self.resource_directory,
        }
        .as_deref()
        .map(Some)
    }

    /// Where a file is, once `check_file` has accepted it.
    pub(crate) fn locate(&self, file: &FileName) -> Location {
        let base = self.directory(file.directory).flatten().map(Path::to_owned);
        Location { base, path: file.path.clone() }
    }

    /// Refuses a file whose base directory the client does not have.
    pub(crate) fn check_file(&self, file: &FileName) -> Result<(), Refusal> {
        if self.directory(file.directory).is_some() {
            return Ok(());
        }
        let message = format!("file name '{}': the client has no {:?} directory", file.path.display(), file.directory);
        Err(Refusal::new(Reason::Path, message))
    }

    /// Checks every field.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.min_speed.check()?;
        within("max_active", self.max_active, 65_535)?;
        within("max_active_per_host", self.max_active_per_host, 65_535)?;
        within("max_requests", self.max_requests, MAX_SLOTS)?;
        within("max_decompression_ratio", self.max_decompression_ratio, u32::MAX)?;
        if self.max_body_bytes > isize::MAX.unsigned_abs() as u64 {
            return Err(Refusal::new(Reason::Argument, "max_body_bytes is larger than memory can be"));
        }
        if let Some(user_agent) = &self.user_agent {
            add_header(&mut Headers::new(), "User-Agent", user_agent)?;
        }
        for pin in &self.pins {
            canonical_host("pin", &pin.host)?;
            let valid =
                pin.public_keys.split(';').all(|key| key.strip_prefix("sha256//").is_some_and(is_sha256_base64));
            if !valid {
                let message = format!("pin for {}: '{}' is not sha256//BASE64", pin.host, pin.public_keys);
                return Err(Refusal::new(Reason::Argument, message));
            }
        }
        for certificate in &self.client_certificates {
            canonical_host("client certificate", &certificate.host)?;
        }
        for resolve in &self.resolves {
            canonical_host("resolve", &resolve.host)?;
        }
        if self.cookie_file.is_some() && !self.cookies {
            return Err(Refusal::new(Reason::Argument, "cookie_file is set, but cookies are off"));
        }
        if let Proxy::Url { url, except } = &self.proxy {
            check_proxy(url)?;
            if except.chars().any(char::is_control) {
                return Err(Refusal::new(Reason::Argument, "no_proxy has a control character"));
            }
        }
        Ok(())
    }
}

fn within(name: &str, value: u32, most: u32) -> Result<(), Refusal> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(Reason::Argument, format!("{name} is {value}, it must be 1 to {most}")))
}

/// A host as it stands in a URL once that is parsed: international names in ASCII, IPv6 addresses in brackets, no dot at
/// the end. What does not match so would silently never match.
pub(crate) fn canonical_host(what: &str, host: &str) -> Result<String, Refusal> {
    let bracketed = host.parse::<std::net::Ipv6Addr>().map(|address| format!("[{address}]"));
    let parsed = url::Host::parse(bracketed.as_deref().unwrap_or(host));
    let text = parsed.map(|host| host.to_string()).map_err(|error| {
        let message = format!("{what}: '{}' is not a host: {error}", host.escape_default());
        Refusal::new(Reason::Argument, message)
    })?;
    Ok(text.strip_suffix('.').unwrap_or(&text).to_owned())
}

/// Whether text is the base64 of 32 bytes.
fn is_sha256_base64(text: &str) -> bool {
    text.len() == 44
        && text.ends_with('=')
        && text.bytes().take(43).all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// Checks a proxy's URL, as given by the host or by the environment.
pub(crate) fn check_proxy(url: &str) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::new(Reason::Argument, format!("proxy {what}")));
    let Ok(parsed) = url::Url::parse(url) else { return refuse("is not a URL such as http://host:port") };
    if !matches!(parsed.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
        return refuse("must be http, https, socks4, socks4a, socks5 or socks5h");
    }
    if parsed.host_str().is_none_or(str::is_empty) || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("has no host, or holds a space or a control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().message
        };
        assert_eq!(refused(|c| c.max_active = 0), "max_active is 0, it must be 1 to 65535");
        assert!(refused(|c| c.max_requests = MAX_SLOTS + 1).contains("1048576"));
        assert!(refused(|c| c.user_agent = Some("a\r\nb".into())).contains("User-Agent"));
        let pin = |host: &str, keys: &str| Pin { host: host.into(), public_keys: keys.into() };
        let mut config = Config { pins: vec![pin("x", "md5//abc")], ..Config::default() };
        assert!(config.check().unwrap_err().message.contains("sha256"));
        config.pins = vec![pin("x/y", "")];
        assert!(config.check().unwrap_err().message.contains("not a host"));
        for bad in ["x", "ftp://x", "http://", "http://x\n"] {
            let proxy = Proxy::Url { url: bad.into(), except: String::new() };
            assert!(Config { proxy, ..Config::default() }.check().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_path_becomes_a_full_one() {
        let certificate =
            ClientCertificate { host: "x".into(), certificate: "c".into(), key: Some("k".into()), password: None };
        let some = |name: &str| Some(PathBuf::from(name));
        let config = Config {
            documents_directory: some("d"),
            ca_file: some("/ca"),
            cookie_file: some("a/../b"),
            client_certificates: vec![certificate],
            ..Config::default()
        };
        let config = config.with_full_paths().unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!((config.documents_directory, config.ca_file), (Some(here.join("d")), some("/ca")));
        assert_eq!(config.cookie_file.unwrap(), here.join("a/../b"));
        assert_eq!(config.client_certificates[0].key.as_ref().unwrap(), &here.join("k"));
        let empty = Config { caches_directory: some(""), ..Config::default() };
        assert_eq!(empty.with_full_paths().err().unwrap().message, "caches_directory is empty");
    }

    #[test]
    fn a_base_directory_that_is_not_configured_is_refused() {
        let file = FileName::new("a", BaseDirectory::Caches).unwrap();
        let mut config = Config::default();
        assert_eq!(config.check_file(&file).unwrap_err().reason, Reason::Path);
        config.caches_directory = Some("/tmp".into());
        assert!(config.check_file(&file).is_ok());
    }
}
