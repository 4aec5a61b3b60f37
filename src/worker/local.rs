//! Answers that come from here and not from the network. Each feeds its flow through the callbacks that libcurl would call,
//! on the worker's clock, so that whatever happens to a response happens to it too.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use curl::easy::{Handler, ReadError, WriteError};

use super::exchange::{Exchange, Flow, Notice, Outlet};
use crate::cache::entry::Entry;
use crate::error::Failure;
use crate::headers::Headers;
use crate::mock::Mock;
use crate::net::{Active, Sockets, Transfer};
use crate::request::SharedBytes;

/// How much of a body is handed over at a time, as by libcurl.
const PIECE: usize = 16 << 10;
/// How many pieces may come before other requests have their turn.
const PIECES_A_TURN: usize = 64;
/// How often a body of a given rate comes on.
const BEAT: Duration = Duration::from_millis(20);

/// Who answers a running hop.
pub(super) enum Peer {
    Network(Active<Exchange>),
    Local(Box<Local>),
}

impl Peer {
    pub(super) fn flow(&self) -> Option<&Flow> {
        match self {
            Peer::Network(active) => active.handler_ref().flow.as_deref(),
            Peer::Local(local) => local.exchange.flow.as_deref(),
        }
    }

    pub(super) fn flow_mut(&mut self) -> Option<&mut Flow> {
        match self {
            Peer::Network(active) => active.handler().flow.as_deref_mut(),
            Peer::Local(local) => local.exchange.flow.as_deref_mut(),
        }
    }

    /// Pauses the directions that are `true`, lets the others go on.
    pub(super) fn pause(&self, receive: bool, send: bool) {
        match self {
            Peer::Network(active) => active.pause(receive, send),
            // It looks for itself whether it has to wait.
            Peer::Local(local) => local.go_on_soon(),
        }
    }
}

/// What a local peer answers.
pub(super) struct Answer {
    /// With its status line.
    pub(super) head: Headers,
    pub(super) body: SharedBytes,
    pub(super) delay: Duration,
    /// What comes in place of the head.
    pub(super) failure: Option<Failure>,
    pub(super) bytes_per_second: Option<u64>,
}

impl Answer {
    /// As a mock says, to a request for this origin.
    pub(super) fn of(mock: &Mock, origin: &str) -> Answer {
        let mut head = Headers::new();
        head.begin(&format!("HTTP/1.1 {}", mock.status));
        mock.headers.iter().for_each(|(name, value)| head.push(name, value));
        if !matches!(mock.status, 204 | 304) {
            head.push("Content-Length", &(*mock.body).as_ref().len().to_string());
        }
        Answer {
            head,
            body: Arc::clone(&mock.body),
            delay: mock.delay,
            failure: mock.error.map(|kind| Failure::new(kind, format!("{}: {origin}: mocked", kind.text()))),
            bytes_per_second: mock.bytes_per_second,
        }
    }
}

impl Answer {
    /// What the cache has stored, as it is given out now.
    pub(super) fn stored(entry: &Entry, now: u64) -> Answer {
        let body: SharedBytes = Arc::<Vec<u8>>::clone(&entry.body);
        Answer { head: entry.head_now(now), body, delay: Duration::ZERO, failure: None, bytes_per_second: None }
    }
}

enum Stage {
    /// The request's body is being taken.
    Sending,
    /// The head comes at this time.
    Thinking(Duration),
    /// The body has been coming since this time, so much of it so far.
    Body(Duration, usize),
    Done,
    /// That there is no more to come has been told.
    Told,
}

/// A hop that is answered from here.
pub(super) struct Local {
    exchange: Exchange,
    answer: Answer,
    stage: Stage,
    /// When it goes on by itself.
    due: Option<Duration>,
    /// When the head came.
    first_byte: Option<Duration>,
}

impl Local {
    pub(super) fn new(flow: Box<Flow>, answer: Answer, outlet: &Rc<Outlet>, sockets: &Arc<Sockets>) -> Local {
        let mut exchange = Exchange::new(Rc::clone(outlet), Arc::clone(sockets));
        exchange.flow = Some(flow);
        let local = Local { exchange, answer, stage: Stage::Sending, due: None, first_byte: None };
        local.go_on_soon();
        local
    }

    /// Makes as if a connection had been made, as a mocked server's.
    pub(super) fn connect(mut self) -> Local {
        self.exchange.connected();
        self
    }

    /// When it wants to go on.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether its time to go on has come; asked again, it has not.
    pub(super) fn take_due(&mut self, now: Duration) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// The flow, and when its response began.
    pub(super) fn into_flow(self) -> (Option<Box<Flow>>, Option<Duration>) {
        (self.exchange.flow, self.first_byte)
    }

    /// Goes on in this turn or the next.
    pub(super) fn go_on_soon(&self) {
        if let Some(flow) = &self.exchange.flow {
            self.exchange.outlet.notice(Notice::Local(flow.key()));
        }
    }

    /// Goes on as far as it can; `true`, once, when there is no more to come.
    pub(super) fn go_on(&mut self, now: Duration) -> bool {
        self.due = None;
        for _ in 0..PIECES_A_TURN {
            match self.stage {
                Stage::Sending => match self.exchange.read(&mut [0; PIECE]) {
                    Ok(0) => self.stage = Stage::Thinking(now.saturating_add(self.answer.delay)),
                    Ok(_) => {}
                    Err(ReadError::Pause) => return false,
                    // The body is gone, and so is who wanted the answer.
                    Err(_) => self.stage = Stage::Done,
                },
                Stage::Thinking(until) if now < until => {
                    self.due = Some(until);
                    return false;
                }
                Stage::Thinking(_) => {
                    let failed = self.answer.failure.take();
                    let going = failed.is_none() && self.send_head(now);
                    if let (Some(failure), Some(flow)) = (failed, &mut self.exchange.flow) {
                        flow.failure.get_or_insert(failure);
                    }
                    self.stage = if going { Stage::Body(now, 0) } else { Stage::Done };
                }
                Stage::Body(since, at) => match self.send_body(since, at, now) {
                    Some(stage) => self.stage = stage,
                    None => return false,
                },
                Stage::Done => {
                    self.stage = Stage::Told;
                    return true;
                }
                Stage::Told => return false,
            }
        }
        self.go_on_soon();
        false
    }

    fn send_head(&mut self, now: Duration) -> bool {
        self.first_byte = Some(now);
        // As from libcurl, whose "HTTP/2 200 " has no reason but the space before it.
        let line = format!("{} \r\n", self.answer.head.status_line().unwrap_or_default()).into_bytes();
        let field =
            |(name, value): (&str, std::borrow::Cow<'_, [u8]>)| [name.as_bytes(), b": ", &value, b"\r\n"].concat();
        let fields = self.answer.head.iter_bytes().map(field);
        let lines: Vec<Vec<u8>> = std::iter::once(line).chain(fields).chain([b"\r\n".to_vec()]).collect();
        let whole = lines.iter().all(|line| self.exchange.header(line));
        whole && self.exchange.flow.as_ref().is_some_and(|flow| flow.has_body())
    }

    /// Hands over a piece of the body; `None` if the next has to wait.
    fn send_body(&mut self, since: Duration, at: usize, now: Duration) -> Option<Stage> {
        let body = Arc::clone(&self.answer.body);
        let body = (*body).as_ref();
        let mut end = body.len().min(at.saturating_add(PIECE));
        if let Some(rate) = self.answer.bytes_per_second.filter(|_| at < body.len()) {
            let come = u128::from(rate) * now.saturating_sub(since).as_nanos() / 1_000_000_000;
            end = end.min(usize::try_from(come).unwrap_or(usize::MAX));
            if end <= at {
                // The next byte's time, or the next beat's.
                let next = Duration::from_nanos((at as u64 + 1).saturating_mul(1_000_000_000).div_ceil(rate));
                self.due = Some(since.saturating_add(next).max(now.saturating_add(BEAT)));
                return None;
            }
        }
        let Some(piece) = body.get(at..end).filter(|piece| !piece.is_empty()) else { return Some(Stage::Done) };
        match self.exchange.write(piece) {
            Ok(taken) if taken == piece.len() => Some(Stage::Body(since, end)),
            Err(WriteError::Pause) => None,
            // It is not wanted any more: a failure, or a redirect whose body is long.
            _ => Some(Stage::Done),
        }
    }
}
