//! Answers made up for tests.

use std::time::Duration;

use godot::prelude::*;
use sortie::{ErrorKind, Mock};

use crate::limits::{self, bytes, count, duration};
use crate::refused::Refused;

/// An answer made up for tests, in place of a server's.
///
/// Give it to SortieClient.mock(). By default it answers 200 without a body.
#[derive(GodotClass)]
#[class(init, base = RefCounted)]
pub(crate) struct SortieMock {
    /// The URLs that it answers. `*` stands for any characters, or none; everything else stands for itself. It is held
    /// against the whole URL as it is sent.
    #[var]
    #[init(val = "*".into())]
    url: GString,
    /// The method that it answers; empty means every method.
    #[var]
    method: GString,
    /// The status, 200 to 599. A redirect is followed.
    #[var]
    #[init(val = 200)]
    status: i64,
    /// Response headers, each as "Name: value".
    #[var]
    headers: PackedStringArray,
    /// The body as it would come over the wire.
    #[var]
    body: PackedByteArray,
    /// How many seconds to wait before the answer, once the request's body is taken.
    #[var]
    delay: f64,
    /// How many bytes of the body come in a second; 0 means all at once.
    #[var]
    bytes_per_second: i64,
    /// A SortieResponse.ERROR_* to end the request with after the delay, without an answer.
    #[var]
    error: i64,
    /// How many requests it answers, each redirect counted; 0 means every one.
    #[var]
    times: i64,
}

impl SortieMock {
    pub(crate) fn mock(&self) -> Result<Mock, Refused> {
        let mut mock = Mock::new(&self.url.to_string())?;
        if !self.method.is_empty() {
            mock = mock.method(&self.method.to_string())?;
        }
        let status = u16::try_from(self.status)
            .map_err(|_| Refused::argument(format!("status is {}, it must be 200 to 599", self.status)))?;
        mock = mock.status(status)?;
        for line in self.headers.as_slice() {
            let line = line.to_string();
            let (name, value) = limits::header(&line)?;
            mock = mock.header(name, value)?;
        }
        if !self.body.is_empty() {
            mock = mock.body(self.body.to_vec());
        }
        let delay = duration("delay", self.delay)?;
        if delay > Duration::ZERO {
            mock = mock.delay(delay);
        }
        if self.error != 0 {
            let kind = u32::try_from(self.error).ok().and_then(ErrorKind::from_number);
            mock = mock.error(kind.ok_or_else(|| {
                Refused::argument(format!("error is {}, it must be a SortieResponse.ERROR_*", self.error))
            })?);
        }
        let rate = bytes("bytes_per_second", self.bytes_per_second)?;
        Ok(mock.bytes_per_second(rate).times(count("times", self.times)?))
    }
}
