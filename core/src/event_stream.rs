//! Server-sent events: the event stream format of the HTML standard, without I/O.

use std::time::Duration;

/// An event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its type; `message` if the server named none.
    pub name: String,
    /// Its data, lines joined by a line feed.
    pub data: String,
    /// The last event id as of this event: what to go on from after a reconnection.
    pub id: String,
}

/// An event is larger than the limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(pub usize);

/// Makes events of a stream's bytes, however these are cut.
#[derive(Debug)]
pub struct Parser {
    max_event_bytes: usize,
    /// How much of a byte order mark has been seen; `None` once the stream's start is behind.
    mark: Option<usize>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    carriage_return: bool,
    /// A line that has not come whole.
    line: Vec<u8>,
    name: String,
    data: String,
    /// The data has a line, if an empty one.
    has_data: bool,
    /// What `id` fields have set, which counts once an event ends.
    id: String,
    last_event_id: String,
    retry: Option<Duration>,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Parser {
    /// A parser that starts from a last event id, empty for none. One event, its lines and names with it, may take this many
    /// bytes.
    pub fn new(last_event_id: &str, max_event_bytes: usize) -> Parser {
        Parser {
            max_event_bytes,
            mark: Some(0),
            carriage_return: false,
            line: Vec::new(),
            name: String::new(),
            data: String::new(),
            has_data: false,
            id: last_event_id.to_owned(),
            last_event_id: last_event_id.to_owned(),
            retry: None,
        }
    }

    /// The last event id: what a reconnection sends as Last-Event-ID, if it is not empty.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long to wait before a reconnection, if the server has said so.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The stream begins anew after a reconnection: what is unfinished is dropped, the last event id stays.
    pub fn restart(&mut self) {
        (self.mark, self.carriage_return) = (Some(0), false);
        self.line.clear();
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        self.id.clone_from(&self.last_event_id);
    }

    /// Takes the next bytes, and gives the events that they complete to `sink`.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(ServerEvent)) -> Result<(), TooLarge> {
        while let Some(seen) = self.mark {
            // A byte order mark at the very start is skipped; what only begins like one is content.
            let Some((byte, rest)) = bytes.split_first() else { return Ok(()) };
            if BYTE_ORDER_MARK.get(seen) == Some(byte) {
                bytes = rest;
                self.mark = (seen + 1 < BYTE_ORDER_MARK.len()).then_some(seen + 1);
            } else {
                self.line.extend(BYTE_ORDER_MARK.iter().take(seen));
                self.mark = None;
            }
        }
        loop {
            if self.carriage_return && !bytes.is_empty() {
                self.carriage_return = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + line.len() + self.data.len() + self.name.len() > self.max_event_bytes {
                return Err(TooLarge(self.max_event_bytes));
            }
            let Some((terminator, rest)) = rest.split_first() else {
                self.line.extend_from_slice(line);
                return Ok(());
            };
            self.carriage_return = *terminator == b'\r';
            bytes = rest;
            if self.line.is_empty() {
                self.take_line(line, sink);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole, sink);
                whole.clear();
                self.line = whole;
            }
        }
    }

    fn take_line(&mut self, line: &[u8], sink: &mut impl FnMut(ServerEvent)) {
        if line.is_empty() {
            return self.dispatch(sink);
        }
        // A colon cannot be part of a longer character, so the line may be decoded in two.
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&String::from_utf8_lossy(value));
            }
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                // More than fits is as good as for ever.
                let milliseconds = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.retry = Some(Duration::from_millis(milliseconds.unwrap_or(u64::MAX)));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(ServerEvent)) {
        self.last_event_id.clone_from(&self.id);
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        // The standard asks whether the data is empty before it takes off the last line feed: one empty line is an event.
        if std::mem::take(&mut self.has_data) {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            sink(ServerEvent { name, data, id: self.last_event_id.clone() });
        }
    }
}
