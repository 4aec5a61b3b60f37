//! One request and its response as libcurl's callbacks see them.
//!
//! Callbacks run on the worker's thread inside libcurl. They fill the response, feed the body, and leave the worker
//! notices of what it has to act on; they never start, stop or unpause a transfer.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::SeekFrom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use curl::easy::{Handler, InfoType, ReadError, SeekResult, WriteError};
use curl::multi::Socket;
use parking_lot::Mutex;

use super::caching::Recorder;
use super::rates::{Lines, Share};
use super::redirect;
use super::retry::{self, Backoff};
use super::spare::Spare;
use super::trace::Trace;
use crate::body::charset;
use crate::body::content_type::{Family, MediaType};
use crate::body::decoding::{Broken, Coding, Decoder, MAX_CODINGS, Room};
use crate::body::disk::{Key, Location, Op};
use crate::body::integrity::{Expected, Hasher};
use crate::body::resume::{self, Left, Start};
use crate::body::source::{BodyLength, Pull, Source};
use crate::body::threads::Disk;
use crate::budget::{Body, Budget};
use crate::error::{ErrorKind, Failure, bytes_text};
use crate::event::{BodyKind, Event, EventKind, Network, Producer, Response, TraceLevel};
use crate::headers::{Head, Headers, status_of};
use crate::net::{Connection, Heard, Owner, Reached, Sockets, Transfer};
use crate::request::{Progress, RequestParts};
use crate::slots::RequestId;
use crate::text::Text;

/// How much of a download may be on its way to the disk before its transfer pauses.
const DISK_WINDOW: usize = 1 << 20;
/// How much is handed to the disk at a time.
pub(super) const DISK_CHUNK: usize = 256 << 10;
/// The most that comes at a time: a piece of decompressed data.
pub(super) const MAX_PIECE: usize = 64 << 10;
/// How much memory a response gets at once because it says how long it is; beyond, it has to come.
const MAX_RESERVE: u64 = 16 << 20;
/// How much of a body that nobody wants is read, and for how long, so that its connection can be used again.
const MAX_UNWANTED: u64 = 256 << 10;
const UNWANTED_PATIENCE: Duration = Duration::from_millis(250);

/// What a callback has seen and the worker has to act on.
pub(super) enum Notice {
    /// A connection is ready for this attempt.
    Connected(Key),
    /// The response sets cookies.
    Cookies(Key),
    /// The response shows what the host speaks.
    Speaks { id: RequestId, http2: bool },
    /// A body comes that nobody wants, and has a time by which it has to be over.
    Unwanted(Key),
    /// Receiving paused until events are drained.
    Starved(RequestId),
    /// It paused until the disk has written or read some of its file.
    AwaitsDisk(Key),
    /// A stream of this connection was closed before its end.
    Cut { connection: i64, stream: u32 },
    /// A connection is at its end because of this stream, if that is known: its other transfers do not know of it yet.
    Broken { connection: i64, socket: Option<Socket>, stream: Option<u32> },
    /// A local answer can go on.
    Local(Key),
    /// A local answer has come to its end.
    Answered(Key),
}

/// What all callbacks share with the worker.
pub(super) struct Outlet {
    pub(super) events: Producer,
    pub(super) disk: Arc<Disk>,
    pub(super) budget: Arc<Budget>,
    /// The client's clock, as of this turn.
    pub(super) now: Cell<Duration>,
    pub(super) suspended: Cell<bool>,
    /// Locked while a body is read that the host may have lent; true once it is taken back.
    pub(super) lending: Arc<Mutex<bool>>,
    pub(super) notices: RefCell<Vec<Notice>>,
    /// Streams that have come to their end, as connection and stream, until their transfer is over.
    pub(super) whole: RefCell<HashSet<(i64, u32)>>,
    pub(super) spare: RefCell<Spare>,
    pub(super) bytes_received: Cell<u64>,
    pub(super) bytes_sent: Cell<u64>,
    pub(super) lines: RefCell<Lines>,
    pub(super) trace: Trace,
}

impl Outlet {
    /// Tells a line of the trace, if its level is wanted; it is made only then.
    #[inline]
    pub(super) fn tell(&self, level: TraceLevel, about: (RequestId, u64), line: impl FnOnce(&Trace) -> String) {
        if self.trace.wants(level) {
            self.events.trace(about.0, about.1, level, line(&self.trace));
        }
    }

    pub(super) fn to_disk(&self, operation: Op) {
        self.disk.send(operation);
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.notices.borrow_mut().push(notice);
    }
}

/// Where a response's body goes.
pub(super) enum Sink {
    /// Nothing is decided, the headers are still to come.
    Undecided,
    Memory(Vec<u8>),
    /// To the host, as it comes, within this window.
    Stream(Arc<Budget>),
    File(FileSink),
    /// A body that nobody wants, or none.
    Discard(u64),
}

pub(super) struct FileSink {
    pub(super) key: Key,
    /// What is not yet handed to the disk.
    pub(super) buffer: Vec<u8>,
    /// Bytes handed to the disk and not yet written.
    pub(super) in_flight: usize,
}

/// The state of one attempt at a request.
pub(super) struct Flow {
    pub(super) id: RequestId,
    pub(super) attempt: u32,
    /// For whom connections are counted, and how many there may be.
    pub(super) owner: Owner,
    pub(super) max_connections: u32,
    /// There were as many already: this transfer has to wait for a stream on one of them.
    pub(super) crowded: bool,
    /// Why the system gave no socket, if it did not.
    pub(super) no_socket: Option<String>,
    /// It was about to go over a connection that is dead: nothing was sent.
    pub(super) stale: bool,
    /// Where redirects have led.
    pub(super) effective_url: Option<Text>,
    /// Set once the transfer is running.
    pub(super) connection: Option<Connection>,
    /// The connection that it has got, and its stream there, if that is HTTP/2.
    pub(super) connection_id: i64,
    pub(super) stream: Option<u32>,
    /// HTTP/2 without having agreed on it.
    pub(super) prior_knowledge: bool,
    /// The server has not processed the request, which may be sent again whatever it is.
    pub(super) refused: bool,
    /// The server says that it has come to the wrong connection, and another is worth a try.
    pub(super) misdirected: bool,
    pub(super) may_be_misdirected: bool,
    /// Its stream was closed before its end.
    pub(super) cut: bool,
    /// Its head is why its connection was given up, or another's is.
    pub(super) malformed: bool,
    pub(super) bystander: bool,
    pub(super) user_data: u64,
    pub(super) url: Text,
    pub(super) progress: Progress,
    pub(super) follow_redirects: bool,
    pub(super) is_head: bool,
    /// Whether sending the request twice does no harm.
    pub(super) idempotent: bool,
    pub(super) max_body: u64,
    /// The same for a file.
    pub(super) max_file: u64,
    /// How many times as large as it came a compressed body without a cap may become.
    pub(super) max_ratio: u32,
    /// What the body of a 2xx response has to be, and its hash as it grows, unless the disk makes it.
    expected: Expected,
    hasher: Option<Box<Hasher>>,
    /// Bytes of the body after decompression.
    delivered: u64,
    /// The window of a response that is streamed.
    stream_window: Option<u32>,
    /// Whether text is handed over as it came.
    pub(super) raw_text: bool,
    /// Where a 2xx body goes, if to a file.
    pub(super) file: Option<(Key, Location)>,
    /// That file may be gone on with, and this is there of it.
    pub(super) resumable: bool,
    pub(super) left: Option<Left>,
    /// What is there does not fit: the whole has to be asked for.
    pub(super) afresh: bool,
    /// Where the response starts in it, and how long the whole is if it is the rest.
    start: Option<Start>,
    whole: Option<u64>,
    /// The response goes on with a file, and what came of it belies its head or what is expected.
    resumes: bool,
    pub(super) lied: bool,
    pub(super) source: Source,

    pub(super) status: u16,
    pub(super) headers: Headers,
    /// What comes of them until they are complete.
    pub(super) head: Head,
    head_done: bool,
    trailers: Option<Box<Head>>,
    /// The response is whole although libcurl was kept from going on.
    pub(super) answered: bool,
    http2: bool,
    /// Where to go instead, as the response says.
    pub(super) redirect: Option<String>,
    /// What follows if the response says to try again, and how long to wait once it has.
    pub(super) backoff: Option<Backoff>,
    pub(super) again: Option<Duration>,
    pub(super) sink: Sink,
    /// When what is left of a body that nobody wants is given up, with its connection.
    pub(super) unwanted_until: Option<Duration>,
    /// Bytes of the response's body on the wire in all; -1 if unknown.
    pub(super) declared: i64,
    /// Whether to undo what the response was compressed by.
    pub(super) decompress: bool,
    decoder: Option<Decoder>,
    /// Bytes that libcurl gives again, since the taker had no more room, and that the decoder has already.
    ahead: usize,
    /// The body stays as it is encoded.
    encoded: bool,
    /// Bytes of the response's body that have come, on the wire.
    pub(super) received: u64,
    /// The same, of this hop alone and whatever became of them.
    pub(super) came: u64,
    /// Bytes of the request's body that libcurl has taken, and all that went if it took some twice.
    pub(super) sent: u64,
    pub(super) went: u64,
    /// What a callback found wrong; libcurl then ends the transfer.
    pub(super) failure: Option<Failure>,
    /// What it may take of the bandwidth.
    pub(super) receive_share: Share,
    pub(super) send_share: Share,
    /// The host wants it to rest.
    pub(super) paused: bool,
    pub(super) receive_paused: bool,
    pub(super) send_paused: bool,
    /// The worker knows that it waits for events to be drained.
    pub(super) starved: bool,
    /// And that it waits for the disk.
    pub(super) awaits_disk: bool,
    pub(super) connected: bool,
    pub(super) last_activity: Duration,
    /// From when on its speed is measured, and what has moved since.
    pub(super) measured_from: Duration,
    pub(super) moved: u64,
    /// What is to be stored of it.
    pub(super) recorder: Option<Box<Recorder>>,
    /// When it was asked for, by the machine's clock.
    pub(super) requested: u64,
    /// It asks whether what is stored still holds.
    pub(super) validating: bool,
    /// What is stored may answer if the server cannot.
    pub(super) fallback: bool,
    /// What is stored answers instead.
    pub(super) instead: bool,
    /// It comes from the cache, and was found to hold.
    pub(super) from_cache: bool,
    pub(super) revalidated: bool,
    /// BEGAN has been sent, and one with the head of a response.
    pub(super) began: bool,
    pub(super) head_told: bool,
    /// The furthest that progress was told of: it never goes back, even when a body is sent again.
    pub(super) told: u64,
}

impl Flow {
    pub(super) fn new(id: RequestId, url: Text, request: &RequestParts, source: Source, now: Duration) -> Flow {
        Flow {
            id,
            attempt: 0,
            owner: 0,
            max_connections: u32::MAX,
            crowded: false,
            no_socket: None,
            stale: false,
            effective_url: None,
            connection: None,
            connection_id: -1,
            stream: None,
            prior_knowledge: false,
            refused: false,
            misdirected: false,
            may_be_misdirected: false,
            cut: false,
            malformed: false,
            bystander: false,
            user_data: request.user_data,
            url,
            progress: request.progress,
            follow_redirects: request.follow_redirects,
            is_head: false,
            idempotent: false,
            max_body: u64::MAX,
            max_file: u64::MAX,
            max_ratio: u32::MAX,
            expected: request.expected,
            hasher: None,
            delivered: 0,
            stream_window: request.stream_window,
            raw_text: request.raw_text,
            file: None,
            resumable: false,
            left: None,
            afresh: false,
            start: None,
            whole: None,
            resumes: false,
            lied: false,
            source,
            status: 0,
            headers: Headers::new(),
            head: Head::default(),
            head_done: false,
            trailers: None,
            answered: false,
            http2: false,
            redirect: None,
            backoff: None,
            again: None,
            sink: Sink::Undecided,
            unwanted_until: None,
            declared: -1,
            decompress: true,
            decoder: None,
            ahead: 0,
            encoded: false,
            received: 0,
            came: 0,
            sent: 0,
            went: 0,
            failure: None,
            receive_share: Share::new(request.rates.receive),
            send_share: Share::new(request.rates.send),
            paused: false,
            receive_paused: false,
            send_paused: false,
            starved: false,
            awaits_disk: false,
            connected: false,
            last_activity: now,
            measured_from: now,
            moved: 0,
            recorder: None,
            requested: 0,
            validating: false,
            fallback: false,
            instead: false,
            from_cache: false,
            revalidated: false,
            began: false,
            head_told: false,
            told: 0,
        }
    }

    /// Measures its speed from now on.
    pub(super) fn measure_from(&mut self, now: Duration) {
        (self.measured_from, self.moved) = (now, 0);
    }

    /// Whether it waits for us, so that it neither stalls nor is slow.
    pub(super) fn waits(&self) -> bool {
        // A server that has refused does not wait for the rest of the body.
        let sends = self.send_paused && self.status < 300;
        self.paused || self.receive_paused || sends
    }

    /// What tells this attempt from others.
    pub(super) fn key(&self) -> Key {
        Key { id: self.id, attempt: self.attempt }
    }

    /// Whether the response's head has begun and is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        self.status != 0 && !self.head_done
    }

    /// Whether libcurl may send the request once more by itself, after it has had a connection. If not, says why.
    fn may_go_again(&mut self) -> bool {
        if self.head_done {
            // libcurl asks again without an Expect that was refused, by 417, if that was its own. This one is the
            // program's, and would be sent and refused again: the refusal is the response.
            self.answered = self.status == 417;
            if !self.answered {
                // It also asks again over HTTP/1.1 for a stream that was reset because of that, if in the middle of its body.
                self.fail(ErrorKind::Receive, self.cut_off());
            }
            return false;
        }
        if !self.refused && !self.idempotent {
            let message = "the connection was closed without an answer, and the request must not be sent twice";
            self.fail(ErrorKind::Receive, message);
            return false;
        }
        true
    }

    /// What libcurl tells of HTTP/2.
    fn hear(&mut self, line: &[u8], outlet: &Outlet) {
        let Some(heard) = Heard::read(line) else { return };
        let connection = self.connection_id;
        let broken = |stream| {
            let socket = self.connection.and_then(Connection::socket);
            outlet.notice(Notice::Broken { connection, socket, stream });
        };
        match heard {
            Heard::Opened(stream) => self.stream = Some(stream),
            Heard::Refused => self.refused = true,
            Heard::Came => {}
            Heard::Whole(stream) => _ = outlet.whole.borrow_mut().insert((connection, stream)),
            Heard::Closed(stream) if outlet.whole.borrow().contains(&(connection, stream)) => {}
            Heard::Closed(stream) => outlet.notice(Notice::Cut { connection, stream }),
            Heard::Malformed(stream) => broken(Some(stream)),
            Heard::Broken => broken(None),
        }
    }

    /// Whether the head that has come has a body after it.
    pub(super) fn has_body(&self) -> bool {
        !self.is_head && !matches!(self.status, 204 | 304)
    }

    /// Bytes so far and in all, in the direction of progress.
    pub(super) fn counts(&self) -> (u64, i64) {
        let (transferred, estimated) = match self.progress {
            Progress::Upload => {
                let length = self.source.length().unwrap_or(BodyLength::Known(0));
                (self.sent.max(self.told), length.estimate())
            }
            Progress::Download | Progress::None => (self.received.max(self.told), self.declared),
        };
        // A later attempt may have less to come than an earlier one had brought.
        let least = i64::try_from(transferred).unwrap_or(i64::MAX);
        (transferred, if estimated < 0 { estimated } else { estimated.max(least) })
    }

    fn tell_progress(&mut self, outlet: &Outlet) {
        let (transferred, estimated) = self.counts();
        self.told = transferred;
        outlet.events.progress(self.id, self.user_data, &self.url, transferred, estimated);
    }

    fn fail(&mut self, kind: ErrorKind, message: impl Into<String>) {
        self.failure.get_or_insert_with(|| Failure::new(kind, message));
    }

    /// A line of the head, or of the trailers.
    pub(super) fn header_line(&mut self, line: &[u8], outlet: &Outlet) -> bool {
        self.last_activity = outlet.now.get();
        // libcurl also hands over a line that the connection's end has cut off.
        let Some(line) = line.strip_suffix(b"\n") else { return true };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.head_done {
            return line.is_empty() || self.trailer(line);
        }
        if !self.head.has_begun() {
            return self.status_line(line);
        }
        if !line.is_empty() {
            let added = self.head.add(line);
            return added
                .map_err(|why| self.fail(ErrorKind::Protocol, format!("the response is malformed: {why}")))
                .is_ok();
        }
        if (100..200).contains(&self.status) {
            self.head.restart();
            self.status = 0;
            return true;
        }
        self.on_head(outlet)
    }

    fn trailer(&mut self, line: &[u8]) -> bool {
        let added = self.trailers.get_or_insert_default().add_trailer(line);
        added.map_err(|why| self.fail(ErrorKind::Protocol, format!("the response is malformed: {why}"))).is_ok()
    }

    fn status_line(&mut self, line: &[u8]) -> bool {
        let Some(status) = status_of(line) else {
            self.fail(ErrorKind::Protocol, "the response is malformed: its first line is no status line");
            return false;
        };
        if status == 101 {
            let message =
                "the server switches to another protocol (101), which was not asked for or is not spoken here";
            self.fail(ErrorKind::Protocol, message);
            return false;
        }
        self.head.begin(line.trim_ascii_end());
        self.http2 = line.starts_with(b"HTTP/2");
        self.status = status;
        true
    }

    /// No more of the head comes.
    pub(super) fn end_head(&mut self) {
        if !self.head_done {
            self.headers = self.head.finish();
        }
    }

    /// The head is complete: decides what becomes of the body.
    fn on_head(&mut self, outlet: &Outlet) -> bool {
        self.head_done = true;
        self.headers = self.head.finish();
        if !(200..300).contains(&self.status) || self.is_head {
            self.expected = Expected::default();
        }
        self.hasher = self.expected.hasher().map(Box::new);
        if self.connected {
            outlet.notice(Notice::Speaks { id: self.id, http2: self.http2 });
        }
        if self.headers.get("Set-Cookie").is_some() {
            outlet.notice(Notice::Cookies(self.key()));
        }
        if self.status == 421 && self.may_be_misdirected && !self.source.is_spent() {
            self.misdirected = true;
            return false;
        }
        let no_body = !self.has_body();
        self.declared = if no_body {
            0
        } else {
            let Ok(length) = self.headers.content_length() else {
                self.fail(ErrorKind::Protocol, "the response is malformed: its Content-Length is not one length");
                return false;
            };
            let length = length.filter(|_| self.headers.get("Transfer-Encoding").is_none());
            length.and_then(|length| i64::try_from(length).ok()).unwrap_or(-1)
        };
        let unwell = self.fallback && matches!(self.status, 500 | 502 | 503 | 504);
        if unwell || (self.validating && self.status == 304) {
            self.instead = true;
            return self.skip_body(outlet);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.judge(self.status, &self.headers, self.declared);
        }
        let redirects = self.follow_redirects && matches!(self.status, 301 | 302 | 303 | 307 | 308);
        if redirects {
            // As in browsers, an empty one is none.
            let mut fields = self.headers.iter_bytes().filter(|(name, _)| name.eq_ignore_ascii_case("Location"));
            let location = fields.find(|(_, location)| !location.is_empty());
            self.redirect = location.map(|(_, location)| redirect::reference(&location));
        }
        if self.redirect.is_some() {
            return self.skip_body(outlet);
        }
        if let Some(backoff) = self.backoff.filter(|_| retry::is_passing(self.status) && !self.source.is_spent()) {
            self.again = backoff.wait(outlet.now.get(), retry::asked(&self.headers, SystemTime::now()));
        }
        if self.resumable && !no_body {
            match resume::answer(self.status, &self.headers, self.left.as_ref()) {
                resume::Answer::Body(start) => self.start = Some(start),
                resume::Answer::Afresh => {
                    self.afresh = true;
                    return false;
                }
                resume::Answer::Other => {}
            }
        }
        if self.again.is_some() {
            return self.skip_body(outlet);
        }
        if no_body {
            self.sink = Sink::Discard(0);
        } else if !self.prepare_body(outlet) {
            return false;
        }
        // A stream tells of its head even if the request's body has been told of.
        let tells = match self.stream_window {
            Some(_) => !self.head_told,
            None => self.progress == Progress::Download && !self.began,
        };
        if tells {
            (self.began, self.head_told) = (true, true);
            self.tell_began(outlet);
        }
        true
    }

    /// Nobody wants the body that follows. It is read, for a short time, if its connection can be used again after it;
    /// else `false` ends the transfer at once. Over HTTP/2 that ends a stream, and the connection stays.
    fn skip_body(&mut self, outlet: &Outlet) -> bool {
        self.sink = Sink::Discard(0);
        if self.declared == 0 {
            return true;
        }
        let has = |name: &str, wanted: &str| {
            let values = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
            let mut tokens = values.flat_map(|(_, value)| value.split(','));
            tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
        };
        let http10 = self.headers.status_line().is_some_and(|line| line.starts_with("HTTP/1.0"));
        let closes = has("Connection", "close") || (http10 && !has("Connection", "keep-alive"));
        let little = u64::try_from(self.declared).is_ok_and(|length| length <= MAX_UNWANTED);
        let ends = little || (!self.http2 && has("Transfer-Encoding", "chunked"));
        // The cache may have a use for a redirect whose body has come whole.
        let stored = little && self.recorder.as_ref().is_some_and(|recorder| recorder.keeps());
        // libcurl sends no more of a body whose request was answered otherwise, and closes the connection.
        if (closes && !stored) || !ends || !self.source.is_at_end() {
            return false;
        }
        self.unwanted_until = outlet.now.get().checked_add(UNWANTED_PATIENCE);
        outlet.notice(Notice::Unwanted(self.key()));
        true
    }

    /// Decides where the body goes.
    fn prepare_body(&mut self, outlet: &Outlet) -> bool {
        match Decoder::of(&self.headers, self.max_ratio) {
            Coding::None => {}
            Coding::Known(decoder) if self.decompress => self.decoder = Some(decoder),
            // As in browsers, an unknown coding leaves the body as it came: many name one that there is not.
            Coding::Known(_) | Coding::Unknown => self.encoded = true,
            Coding::TooMany(_) if !self.decompress => self.encoded = true,
            Coding::TooMany(count) => {
                let message = format!(
                    "the response has {count} content codings one around the other, the limit is {MAX_CODINGS}"
                );
                self.fail(ErrorKind::Decode, message);
                return false;
            }
        }
        if let Some(start) = self.start.as_ref().filter(|start| start.offset > 0) {
            // What is there already counts as received.
            (self.received, self.delivered) = (start.offset, start.offset);
            self.resumes = true;
            self.whole = start.length;
            self.declared = match (start.length, self.declared) {
                (Some(length), _) => i64::try_from(length).unwrap_or(-1),
                (None, -1) => -1,
                (None, rest) => rest.saturating_add(i64::try_from(start.offset).unwrap_or(i64::MAX)),
            };
        }
        let declared = u64::try_from(self.declared).unwrap_or(0);
        if self.declared >= 0
            && self.decoder.is_none()
            && let Err(failure) = self.expected.check_length(declared, true)
        {
            // What is there may be of another file than the one that is expected.
            self.afresh = self.resumes;
            if !self.resumes {
                self.failure.get_or_insert(failure);
            }
            return false;
        }
        if let Some(window) = self.stream_window {
            self.sink = Sink::Stream(Arc::new(outlet.budget.window(window.into())));
            return true;
        }
        // Of a file that may be gone on with, a part that nobody asked for is none.
        let to_file = if self.resumable { self.start.is_some() } else { (200..300).contains(&self.status) };
        let file = self.file.take_if(|_| to_file);
        let limit = if file.is_some() { self.max_file } else { self.max_body };
        if let Some(decoder) = &mut self.decoder {
            decoder.set_cap(limit);
        }
        if declared > limit && self.decoder.is_none() {
            self.too_large(declared, limit);
            return false;
        }
        match file {
            Some((key, location)) => {
                outlet.to_disk(match self.start.take() {
                    Some(start) => Op::Begin(key, Box::new(start)),
                    None => Op::Create(key, location, self.expected),
                });
                // The disk's thread makes it.
                self.hasher = None;
                self.sink = Sink::File(FileSink { key, buffer: outlet.spare.borrow_mut().disk_buffer(), in_flight: 0 });
            }
            None => {
                // One more for the NUL at its end.
                let room = usize::try_from(declared.min(MAX_RESERVE)).unwrap_or(0) + 1;
                self.sink = Sink::Memory(outlet.spare.borrow_mut().body(room));
            }
        }
        true
    }

    fn tell_began(&mut self, outlet: &Outlet) {
        let (transferred, estimated) = self.counts();
        self.told = transferred;
        let response = Response {
            status: self.status,
            headers: self.headers.clone(),
            effective_url: self.effective_url.clone(),
            from_cache: self.from_cache,
            revalidated: self.revalidated,
            ..Response::default()
        };
        outlet.events.push(self.event(EventKind::Began, transferred, estimated, Some(response)));
    }

    fn event(&self, kind: EventKind, transferred: u64, estimated: i64, response: Option<Response>) -> Event {
        Event {
            request: self.id,
            user_data: self.user_data,
            kind,
            url: self.url.clone(),
            transferred,
            estimated,
            response: response.map(Box::new),
            network: Network::default(),
        }
    }

    fn too_large(&mut self, size: u64, limit: u64) {
        let (size, limit) = (bytes_text(size), bytes_text(limit));
        self.fail(ErrorKind::BodyTooLarge, format!("the response body is {size} or more, the limit is {limit}"));
    }

    /// Bytes of the body as they came. `None`: pause, and give them again later.
    pub(super) fn receive(&mut self, data: &[u8], outlet: &Outlet) -> Option<bool> {
        if self.must_wait(outlet) {
            self.receive_paused = true;
            return None;
        }
        self.last_activity = outlet.now.get();
        let took = match self.decoder.take() {
            None => self.deliver(data, outlet),
            Some(mut decoder) => {
                let taken = self.ahead.min(data.len());
                let result = decoder.feed(data.get(taken..).unwrap_or(&[]), &mut |piece| {
                    if !self.deliver(piece, outlet) {
                        Room::Stop
                    } else if self.is_full(outlet) {
                        Room::Full
                    } else {
                        Room::More
                    }
                });
                self.decoder = Some(decoder);
                if result == Ok(false) {
                    self.ahead = self.ahead.max(data.len());
                    self.receive_paused = true;
                    return None;
                }
                self.ahead -= taken;
                match result {
                    Err(Broken::Corrupt) => {
                        self.fail(ErrorKind::Decode, "the response body is not what its Content-Encoding says");
                    }
                    Err(Broken::Bomb) => {
                        let (ratio, came) = (self.max_ratio, bytes_text(self.received + data.len() as u64));
                        let message = format!(
                            "the response body, {came} so far, becomes more than {ratio} times as large, which is the limit (max_decompression_ratio)"
                        );
                        self.fail(ErrorKind::BodyTooLarge, message);
                    }
                    Ok(_) | Err(Broken::Stopped) => {}
                }
                result.is_ok()
            }
        };
        if let Some(recorder) = self.recorder.as_mut().filter(|_| took) {
            recorder.take(data);
        }
        let count = data.len() as u64;
        if !self.from_cache {
            self.came += count;
            self.moved += count;
            outlet.lines.borrow_mut().receive.take(&mut self.receive_share, data.len(), outlet.now.get());
            outlet.bytes_received.set(outlet.bytes_received.get() + count);
        }
        if took && self.redirect.is_none() && self.again.is_none() && !self.instead {
            self.received += count;
            if self.progress == Progress::Download {
                self.tell_progress(outlet);
            }
        }
        Some(took)
    }

    fn note_disk(&mut self, outlet: &Outlet) {
        if !std::mem::replace(&mut self.awaits_disk, true) {
            outlet.notice(Notice::AwaitsDisk(self.key()));
        }
    }

    /// Whether the body's taker cannot take any now.
    fn must_wait(&mut self, outlet: &Outlet) -> bool {
        if outlet.suspended.get() || self.paused {
            return true;
        }
        let mut lines = outlet.lines.borrow_mut();
        if !self.from_cache && lines.receive.must_wait(self.id, &mut self.receive_share, outlet.now.get()) {
            return true;
        }
        drop(lines);
        if matches!(self.sink, Sink::Memory(_)) && !outlet.budget.has_room() {
            self.starve(outlet);
            return true;
        }
        self.is_full(outlet)
    }

    /// Whether whoever takes the body piece by piece has no room for another.
    fn is_full(&mut self, outlet: &Outlet) -> bool {
        match &self.sink {
            Sink::Undecided | Sink::Discard(_) | Sink::Memory(_) => false,
            Sink::File(file) if file.in_flight < DISK_WINDOW => false,
            Sink::File(_) => {
                self.note_disk(outlet);
                true
            }
            Sink::Stream(window) if window.has_room() => false,
            Sink::Stream(_) => {
                self.starve(outlet);
                true
            }
        }
    }

    fn starve(&mut self, outlet: &Outlet) {
        if !std::mem::replace(&mut self.starved, true) {
            outlet.notice(Notice::Starved(self.id));
        }
    }

    /// Whether the host has been given some of the body: what follows must be its rest.
    pub(super) fn has_streamed(&self) -> bool {
        matches!(self.sink, Sink::Stream(_)) && self.delivered > 0
    }

    /// How far the exchange has come.
    pub(super) fn reached(&self) -> Reached {
        match (self.connected, self.status) {
            (false, _) => Reached::Nothing,
            (true, 0) => Reached::Connection,
            (true, _) => Reached::Response,
        }
    }

    /// Takes bytes of the body, decoded; `false` to end the transfer.
    fn deliver(&mut self, data: &[u8], outlet: &Outlet) -> bool {
        self.delivered += data.len() as u64;
        if outlet.trace.shows_bodies() {
            outlet.tell(TraceLevel::Details, (self.id, self.user_data), |_| Trace::piece("received", data));
        }
        if let Err(failure) = self.expected.check_length(self.delivered, false) {
            self.lied = self.resumes;
            self.failure.get_or_insert(failure);
            return false;
        }
        if self.whole.is_some_and(|whole| self.delivered > whole) {
            self.lied = self.resumes;
            self.fail(ErrorKind::Receive, "the server sent more of the file than it said that there is");
            return false;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.feed(data);
        }
        match &mut self.sink {
            Sink::Undecided => {
                self.fail(ErrorKind::Protocol, "a body came before its headers");
                return false;
            }
            Sink::Discard(seen) => {
                *seen += data.len() as u64;
                return *seen <= MAX_UNWANTED;
            }
            Sink::Stream(window) => {
                let response = Response {
                    status: self.status,
                    body: Some(Body::piece(data.to_vec(), window)),
                    body_kind: BodyKind::Binary,
                    ..Response::default()
                };
                let (transferred, estimated) = self.counts();
                outlet.events.push(self.event(EventKind::Data, transferred, estimated, Some(response)));
            }
            Sink::Memory(body) => {
                let size = body.len() as u64 + data.len() as u64;
                if size > self.max_body {
                    self.too_large(size, self.max_body);
                    return false;
                }
                if body.try_reserve(data.len() + 1).is_err() {
                    self.fail(
                        ErrorKind::BodyTooLarge,
                        format!("no memory for a response body of {}", bytes_text(size)),
                    );
                    return false;
                }
                body.extend_from_slice(data);
            }
            Sink::File(_) if self.delivered > self.max_file => {
                self.too_large(self.delivered, self.max_file);
                return false;
            }
            Sink::File(file) => {
                file.buffer.extend_from_slice(data);
                if file.buffer.len() >= DISK_CHUNK {
                    let full = std::mem::replace(&mut file.buffer, outlet.spare.borrow_mut().disk_buffer());
                    file.in_flight += full.len();
                    outlet.to_disk(Op::Write(file.key, full));
                }
            }
        }
        true
    }

    fn cut_off(&self) -> String {
        format!("the server ended the response in the middle of its body, after {} bytes", self.came)
    }

    /// What is wrong with a response that has come to its end.
    pub(super) fn incomplete(&mut self) -> Option<Failure> {
        if self.cut && self.declared < 0 && self.has_body() {
            return Some(Failure::new(ErrorKind::Receive, self.cut_off()));
        }
        if !self.head_done {
            return Some(Failure::new(ErrorKind::Receive, "the connection was closed before the headers had ended"));
        }
        if self.decoder.as_ref().is_some_and(|decoder| !decoder.is_whole()) {
            return Some(Failure::new(ErrorKind::Decode, "the response body's compressed data is cut short"));
        }
        // libcurl knows a Content-Length, but not what a Content-Range promises.
        if let Some(whole) = self.whole.filter(|whole| *whole != self.delivered) {
            // A connection that is closed where there is no other end may have broken off.
            let has_end = self.http2 || self.headers.get("Transfer-Encoding").is_some();
            self.lied = self.resumes && (has_end || self.came == 0);
            let message = format!("the file has {} bytes, the server said that it has {whole}", self.delivered);
            return Some(Failure::new(ErrorKind::Receive, message));
        }
        let checked = self.expected.check_length(self.delivered, true);
        self.lied = self.resumes && checked.is_err();
        checked.and_then(|()| self.hasher.as_ref().map_or(Ok(()), |hasher| hasher.check())).err()
    }

    /// Fills libcurl's buffer with the request's body, or pauses until there is more.
    fn send(&mut self, out: &mut [u8], outlet: &Outlet) -> Result<usize, ReadError> {
        if outlet.suspended.get() || self.paused {
            self.send_paused = true;
            return Err(ReadError::Pause);
        }
        if self.again.is_some() && matches!(self.source, Source::Stream(_)) {
            // The next attempt needs it from its start.
            return Err(ReadError::Abort);
        }
        let now = outlet.now.get();
        let mut lines = outlet.lines.borrow_mut();
        if !self.from_cache && !self.source.is_at_end() && lines.send.must_wait(self.id, &mut self.send_share, now) {
            self.send_paused = true;
            return Err(ReadError::Pause);
        }
        let most = lines.send.piece(&self.send_share).min(out.len());
        let out = out.get_mut(..most).unwrap_or_default();
        let taken_back = outlet.lending.lock();
        if *taken_back {
            return Err(ReadError::Abort);
        }
        match self.source.pull(out, &mut |operation| outlet.to_disk(operation)) {
            Pull::Wait => {
                self.send_paused = true;
                if let Source::File(_) = self.source {
                    self.note_disk(outlet);
                }
                Err(ReadError::Pause)
            }
            Pull::Bytes(count) => {
                self.last_activity = now;
                lines.send.take(&mut self.send_share, count, now);
                if outlet.trace.shows_bodies() && count > 0 {
                    let sent = out.get(..count).unwrap_or_default();
                    outlet.tell(TraceLevel::Details, (self.id, self.user_data), |_| Trace::piece("sent", sent));
                }
                self.sent += count as u64;
                self.went += count as u64;
                self.moved += count as u64;
                outlet.bytes_sent.set(outlet.bytes_sent.get() + count as u64);
                if self.progress == Progress::Upload && count > 0 {
                    self.tell_progress(outlet);
                }
                if self.source.take_news() {
                    let (transferred, estimated) = self.counts();
                    outlet.events.push(self.event(EventKind::Writable, transferred, estimated, None));
                }
                Ok(count)
            }
        }
    }
}

/// What libcurl calls back: the attempt that runs on its handle, if any.
pub(super) struct Exchange {
    pub(super) flow: Option<Box<Flow>>,
    pub(super) outlet: Rc<Outlet>,
    sockets: Arc<Sockets>,
}

impl Exchange {
    pub(super) fn new(outlet: Rc<Outlet>, sockets: Arc<Sockets>) -> Exchange {
        Exchange { flow: None, outlet, sockets }
    }

    /// Runs a callback's body. A panic in it ends this transfer; passed on, it would poison the thread's every later one.
    fn guarded<T>(&mut self, on_panic: T, body: impl FnOnce(&mut Flow, &Outlet) -> T) -> T {
        let Some(flow) = &mut self.flow else { return on_panic };
        let outlet = &self.outlet;
        match catch_unwind(AssertUnwindSafe(|| body(flow, outlet))) {
            Ok(value) => value,
            Err(_) => {
                flow.fail(ErrorKind::Internal, "a panic was caught in a transfer");
                on_panic
            }
        }
    }
}

impl Handler for Exchange {
    fn header(&mut self, line: &[u8]) -> bool {
        self.guarded(false, |flow, outlet| flow.header_line(line, outlet))
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        match self.guarded(Some(false), |flow, outlet| flow.receive(data, outlet)) {
            Some(true) => Ok(data.len()),
            // Any other number ends the transfer.
            Some(false) => Ok(usize::from(data.is_empty())),
            None => Err(WriteError::Pause),
        }
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        self.guarded(Err(ReadError::Abort), |flow, outlet| flow.send(out, outlet))
    }

    fn debug(&mut self, kind: InfoType, data: &[u8]) {
        if let InfoType::Text = kind {
            self.guarded((), |flow, outlet| flow.hear(data, outlet));
        }
    }

    fn seek(&mut self, whence: SeekFrom) -> SeekResult {
        let SeekFrom::Start(offset) = whence else { return SeekResult::CantSeek };
        self.guarded(SeekResult::Fail, |flow, outlet| {
            if !flow.source.seek(offset, &mut |operation| outlet.to_disk(operation)) {
                flow.fail(ErrorKind::Send, "the connection was lost, and a streamed body cannot be sent again");
                return SeekResult::Fail;
            }
            flow.sent = offset;
            SeekResult::Ok
        })
    }

    fn open_socket(&mut self, family: i32, kind: i32, protocol: i32) -> Option<Socket> {
        let sockets = Arc::clone(&self.sockets);
        self.guarded(None, |flow, _| {
            // Its connection has died, and waiting for a place at another would send it again unnoticed.
            if flow.connected && !flow.may_go_again() {
                return None;
            }
            if sockets.open(flow.owner) >= flow.max_connections {
                flow.crowded = true;
                return None;
            }
            // socket2 makes it close-on-exec: a program that the game starts does not inherit it.
            let socket = socket2::Socket::new(family.into(), kind.into(), Some(protocol.into()));
            let socket = socket.inspect_err(|error| flow.no_socket = Some(error.to_string())).ok()?;
            #[cfg(unix)]
            let raw = std::os::fd::IntoRawFd::into_raw_fd(socket);
            #[cfg(windows)]
            let raw = std::os::windows::io::IntoRawSocket::into_raw_socket(socket) as Socket;
            sockets.opened(raw, flow.owner);
            Some(raw)
        })
    }
}

impl Transfer for Exchange {
    fn connected(&mut self) -> bool {
        let sockets = Arc::clone(&self.sockets);
        self.guarded(false, |flow, outlet| {
            flow.last_activity = outlet.now.get();
            if !flow.connected && sockets.any_given_up() {
                let socket = flow.connection.and_then(Connection::socket);
                flow.stale = socket.is_some_and(|socket| sockets.is_given_up(socket));
                if flow.stale {
                    return false;
                }
            }
            if let Some(connection) = flow.connection {
                flow.connection_id = connection.id();
                // Schannel does not tell what was agreed on.
                if flow.prior_knowledge || connection.negotiated_http2().unwrap_or(cfg!(windows)) {
                    connection.listen();
                }
            }
            if !flow.connected {
                // What is sent once only must not go to a connection that is dead.
                let once = !flow.idempotent || matches!(flow.source, Source::Stream(_));
                if once && flow.connection.is_some_and(Connection::is_stale) {
                    flow.stale = true;
                    return false;
                }
                flow.connected = true;
                flow.measure_from(outlet.now.get());
                flow.crowded = false;
                outlet.notice(Notice::Connected(flow.key()));
                if let Some(http2) = flow.connection.and_then(Connection::negotiated_http2) {
                    outlet.notice(Notice::Speaks { id: flow.id, http2 });
                }
                return true;
            }
            let again = flow.may_go_again();
            flow.refused &= !again;
            again
        })
    }
}

/// The parts of a finished response that come from its flow.
///
/// A body comes only with a budget to hold it against: not of a request that failed.
pub(super) fn response_of(flow: &mut Flow, budget: Option<&Arc<Budget>>) -> Response {
    let mut response = Response {
        status: flow.status,
        headers: std::mem::take(&mut flow.headers),
        trailers: flow.trailers.take().map(|mut trailers| Box::new(trailers.finish())),
        effective_url: flow.effective_url.take().filter(|_| flow.status != 0),
        from_cache: flow.from_cache,
        revalidated: flow.revalidated,
        ..Response::default()
    };
    if let (Sink::Memory(bytes), Some(budget)) = (std::mem::replace(&mut flow.sink, Sink::Undecided), budget) {
        response.body_kind = BodyKind::Binary;
        // A body that is still encoded is no text, whatever it will be.
        let media = MediaType::of(&response.headers).filter(|media| media.family() != Family::Bytes && !flow.encoded);
        let bytes = match media {
            None => bytes,
            Some(_) if flow.raw_text => {
                response.body_kind = BodyKind::Text;
                bytes
            }
            Some(media) => match charset::decode(bytes, &media) {
                Ok(decoded) => {
                    response.body_kind = BodyKind::Text;
                    response.charset = Some((decoded.charset, decoded.source));
                    decoded.text
                }
                Err(bytes) => bytes,
            },
        };
        response.body = Some(Body::new(bytes, budget));
    }
    response
}
