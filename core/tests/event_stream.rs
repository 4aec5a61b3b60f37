//! Event streams: the format of the HTML standard.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::time::Duration;

use sortie_core::event_stream::{Parser, ServerEvent, TooLarge};

/// The events of a stream, which has to be the same however it is cut.
fn events(stream: &[u8]) -> (Vec<ServerEvent>, String, Option<Duration>) {
    let parsed = |piece: usize| {
        let (mut parser, mut events) = (Parser::new("", 10_000), Vec::new());
        for bytes in stream.chunks(piece) {
            parser.feed(bytes, &mut |event| events.push(event)).unwrap();
        }
        (events, parser.last_event_id().to_owned(), parser.retry())
    };
    let whole = parsed(stream.len().max(1));
    for piece in 1..8 {
        assert_eq!(parsed(piece), whole, "by {piece}");
    }
    whole
}

fn event(name: &str, data: &str, id: &str) -> ServerEvent {
    ServerEvent { name: name.into(), data: data.into(), id: id.into() }
}

#[test]
fn lines_end_by_any_of_the_three() {
    let expected = vec![event("message", "a\nb", ""), event("x", "c", "")];
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["data: a", "data:b", "", ": comment", "event:x", "data:c", "", ""].join(end);
        assert_eq!(events(stream.as_bytes()).0, expected, "{end:?}");
    }
}

#[test]
fn one_byte_order_mark_is_skipped() {
    assert_eq!(events(b"\xef\xbb\xbfdata:a\n\n").0, [event("message", "a", "")]);
    // A second one makes the field's name another.
    assert_eq!(events(b"\xef\xbb\xbf\xef\xbb\xbfdata:a\n\n").0, []);
    assert_eq!(events(b"\xef\xbbdata:a\n\ndata:b\n\n").0, [event("message", "b", "")]);
}

#[test]
fn one_space_after_the_colon_belongs_to_the_format() {
    let stream = b"data:  a\ndata\ndata:\ndata: \n\n";
    assert_eq!(events(stream).0, [event("message", " a\n\n\n", "")]);
}

#[test]
fn an_empty_line_of_data_is_an_event_and_none_is_not() {
    assert_eq!(events(b"data\n\nevent:x\n\ndata:a\n\n").0, [event("message", "", ""), event("message", "a", "")]);
}

#[test]
fn an_unfinished_block_is_no_event() {
    assert_eq!(events(b"data:a\n\ndata:b\n").0, [event("message", "a", "")]);
    assert_eq!(events(b"data:a\n\ndata:b").0, [event("message", "a", "")]);
}

#[test]
fn ids_stay_until_another_comes() {
    let (seen, last, _) = events(b"id:1\ndata:a\n\ndata:b\n\nid\ndata:c\n\nid:2\n\nid:3\n");
    assert_eq!(seen, [event("message", "a", "1"), event("message", "b", "1"), event("message", "c", "")]);
    assert_eq!(last, "2", "a block without data sets the id, an unfinished one does not");
    let (seen, last, _) = events(b"id:1\nid:2\x003\ndata:a\n\n");
    assert_eq!((seen, last.as_str()), (vec![event("message", "a", "1")], "1"), "an id with NUL is ignored");
}

#[test]
fn retry_is_digits_only() {
    assert_eq!(events(b"retry:1500\n").2, Some(Duration::from_millis(1500)));
    for other in ["retry:1s\n", "retry:\n", "retry:-1\n", "retry: 1 \n", "retry:1.5\n", "retry:١\n"] {
        assert_eq!(events(other.as_bytes()).2, None, "{other:?}");
    }
    assert!(events(b"retry:99999999999999999999999\n").2 > Some(Duration::from_secs(1 << 40)));
}

#[test]
fn fields_are_known_by_their_exact_names() {
    assert_eq!(events(b"Data:x\n data:y\ndata :z\ndatum\ndata:a\n\n").0, [event("message", "a", "")]);
}

#[test]
fn what_is_not_utf8_is_replaced() {
    assert_eq!(events(b"data:\xff\xe2\x82\ndata:\xe2\x82\xac\n\n").0, [event("message", "\u{fffd}\u{fffd}\n€", "")]);
}

#[test]
fn an_event_has_a_limit_and_lines_before_it_do_not_count() {
    let mut parser = Parser::new("", 100);
    let mut count = 0;
    for _ in 0..1000 {
        parser.feed(b"data:0123456789\n:a comment\n\n", &mut |_| count += 1).unwrap();
    }
    assert_eq!(count, 1000);
    let endless = |field: &[u8]| {
        let mut parser = Parser::new("", 100);
        (0..100).find_map(|_| parser.feed(field, &mut |_| {}).err())
    };
    assert_eq!(endless(b"data:0123456789\n"), Some(TooLarge(100)), "many lines");
    assert_eq!(endless(b"0123456789"), Some(TooLarge(100)), "one line");
}

#[test]
fn a_reconnection_keeps_the_id_and_drops_what_is_unfinished() {
    let (mut parser, mut events) = (Parser::new("0", 100), Vec::new());
    assert_eq!(parser.last_event_id(), "0");
    parser.feed(b"id:1\ndata:a\n\nid:2\ndata:b\nevent:x", &mut |event| events.push(event)).unwrap();
    parser.restart();
    assert_eq!(parser.last_event_id(), "1");
    parser.feed(b"\xef\xbb\xbfdata:c\n\n", &mut |event| events.push(event)).unwrap();
    assert_eq!(events, [event("message", "a", "1"), event("message", "c", "1")]);
}
