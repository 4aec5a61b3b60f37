//! A connection that carries nothing, to see whether a host can be reached.

use std::net::IpAddr;
use std::time::Duration;

use curl::easy::Handler;

use super::easy::{Active, Easy, Setup};
use super::sys;
use super::{Lane, Net, Transfer};

/// How long a host may take to answer, name lookup included.
pub(crate) const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// What libcurl calls back for a probe: nothing.
struct Silent;

impl Handler for Silent {}

impl Transfer for Silent {
    fn connected(&mut self) -> bool {
        true
    }
}

/// A probe that is under way.
pub(crate) struct Probe(Active<Silent>);

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There was a connection, from this address of ours.
    Connected(Option<IpAddr>),
    /// Somebody was there to say no.
    Refused,
    /// Nobody answered, or there was no way.
    Nothing,
}

impl Net {
    /// Starts to connect to a host, as a request would: by its proxy and its resolve, if it has any. `token` comes back when
    /// it has ended.
    pub(crate) fn probe(&self, setup: &Setup, host: &str, port: u16, token: usize) -> Result<Probe, String> {
        let mut easy = Easy::new(Silent, setup, self)?;
        // As requests do: those to port 80 ask an http proxy for the page, all others for a connection.
        let (scheme, tunnel) = if port == 80 { ("http", false) } else { ("https", true) };
        easy.prepare_probe(&format!("http://{host}:{port}/"), scheme, tunnel, setup)?;
        self.start(easy, Lane::Requests, token).map(Probe).map_err(|failure| failure.message)
    }

    /// Ends a probe, under way or, with libcurl's code, over.
    pub(crate) fn end_probe(&self, Probe(active): Probe, code: Option<curl_sys::CURLcode>) -> Answer {
        let Some(easy) = self.stop(active) else { return Answer::Nothing };
        let raw = easy.raw();
        match code {
            Some(curl_sys::CURLE_OK) => {
                Answer::Connected(raw.info_text(sys::INFO_LOCAL_IP).and_then(|ip| ip.parse().ok()))
            }
            // A proxy's refusal says nothing of the host.
            Some(curl_sys::CURLE_COULDNT_CONNECT)
                if !easy.used_proxy() && is_refusal(raw.info_long(sys::INFO_OS_ERRNO)) =>
            {
                Answer::Refused
            }
            _ => Answer::Nothing,
        }
    }
}

/// Whether the system's error number says that the host refused.
#[allow(clippy::useless_conversion)] // c_long has 32 bits on Windows
fn is_refusal(error: std::ffi::c_long) -> bool {
    let error = i64::from(error);
    #[cfg(unix)]
    return error == i64::from(libc::ECONNREFUSED);
    #[cfg(windows)]
    return error == 10_061;
}
