//! WebSocket connections against a peer that the tests write byte by byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::time::Duration;

use sortie_core::websocket::{
    Connection, Deflate, Ending, Happening, Incoming, MessageKind, Reader, Refusal, Settings, Violation, Writer,
};

const SECOND: Duration = Duration::from_secs(1);

fn mask() -> [u8; 4] {
    [0x37, 0xfa, 0x21, 0x3d]
}

/// A server's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(short as u8),
        long => {
            bytes.push(126);
            bytes.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// What a client's frames say, the masks taken off: first byte and payload.
fn client_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(second & 0x80 != 0, "a client's frame is masked");
        let (length, rest) = match second & 0x7f {
            126 => (u16::from_be_bytes([rest[0], rest[1]]) as usize, &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            short => (short as usize, rest),
        };
        let payload = rest[4..4 + length].iter().enumerate().map(|(at, byte)| byte ^ rest[at % 4]).collect();
        frames.push((*first, payload));
        bytes = &rest[4 + length..];
    }
    frames
}

/// All messages of some bytes, given `piece` bytes at a time.
fn read(reader: &mut Reader, bytes: &[u8], piece: usize) -> Result<Vec<(MessageKind, Vec<u8>)>, Violation> {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    for mut input in bytes.chunks(piece) {
        loop {
            match reader.next(&mut input)? {
                None => break,
                Some(Incoming::Piece { kind, first, last, data }) => {
                    assert_eq!(first, message.is_empty(), "the first piece says so");
                    message.extend_from_slice(data);
                    if last {
                        messages.push((kind, std::mem::take(&mut message)));
                    }
                }
                Some(_) => {}
            }
        }
    }
    Ok(messages)
}

fn open() -> Connection {
    Connection::new(Settings::default(), None, Duration::ZERO)
}

fn receive(connection: &mut Connection, mut bytes: &[u8], now: Duration) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    connection.receive(&mut bytes, now, &mut mask, &mut |happening| {
        if let Happening::Piece { data, .. } = happening {
            pieces.push(data.to_vec());
        }
        true
    });
    assert!(bytes.is_empty());
    pieces
}

#[test]
fn messages_are_the_same_however_the_bytes_are_cut() {
    let mut bytes = frame(0x01, "Hä".as_bytes().split_at(2).0);
    bytes.extend(frame(0x89, b"ping within a message"));
    bytes.extend(frame(0x00, &"Hä".as_bytes()[2..]));
    bytes.extend(frame(0x80, b"llo"));
    bytes.extend(frame(0x82, &[7; 300]));
    bytes.extend(frame(0x81, b""));
    for piece in 1..bytes.len() {
        let messages = read(&mut Reader::new(1000, None), &bytes, piece);
        let text = |text: &str| (MessageKind::Text, text.as_bytes().to_vec());
        // An empty message has a last piece alone.
        let expected = vec![text("Hällo"), (MessageKind::Binary, vec![7; 300]), text("")];
        assert_eq!(messages, Ok(expected), "by {piece}");
    }
}

#[test]
fn compressed_messages_come_back_whole_however_they_are_cut() {
    // What a writer makes, a reader undoes: a client's frames without their masks are a server's.
    let texts = ["", "a", "Hello Hello Hello Hello", &"all work and no play ".repeat(5000)];
    for agreed in [
        Deflate::default(),
        Deflate { server_no_context_takeover: true, client_no_context_takeover: true, client_max_window_bits: 9 },
    ] {
        let (mut writer, mut out) = (Writer::new(Some(agreed), 6, 0), Vec::new());
        for text in texts {
            let cut = text.len() / 3;
            writer.piece(MessageKind::Text, text.as_bytes(), true, [0; 4], &mut out);
            writer.piece(MessageKind::Binary, &text.as_bytes()[..cut], false, [0; 4], &mut out);
            writer.piece(MessageKind::Binary, &text.as_bytes()[cut..], false, [0; 4], &mut out);
            writer.piece(MessageKind::Binary, b"", true, [0; 4], &mut out);
        }
        assert!(out.len() < 4_000, "{} bytes of 210,000", out.len());
        let server = unmasked(&out);
        for piece in [1, 2, 3, 7, 1000, server.len()] {
            let messages = read(&mut Reader::new(200_000, Some(agreed)), &server, piece).unwrap();
            let expected: Vec<_> = texts
                .iter()
                .flat_map(|text| [MessageKind::Text, MessageKind::Binary].map(|kind| (kind, text.as_bytes().to_vec())))
                .collect();
            assert!(messages == expected, "by {piece}");
        }
    }
}

/// A client's frames as a server would send them.
fn unmasked(bytes: &[u8]) -> Vec<u8> {
    client_frames(bytes).iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

#[test]
fn a_window_that_zlib_cannot_compress_with_is_kept_by_not_compressing() {
    let agreed = Deflate { client_max_window_bits: 8, ..Deflate::default() };
    let (mut writer, mut out) = (Writer::new(Some(agreed), 6, 0), Vec::new());
    writer.piece(MessageKind::Text, b"aaaaaaaaaaaaaaaaaaaaaaaa", true, mask(), &mut out);
    assert_eq!(client_frames(&out), [(0x81, b"aaaaaaaaaaaaaaaaaaaaaaaa".to_vec())]);
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let (mut writer, mut out) = (Writer::new(Some(Deflate::default()), 9, 0), Vec::new());
    writer.piece(MessageKind::Binary, &vec![0; 10 << 20], true, [0; 4], &mut out);
    let bytes = unmasked(&out);
    assert!(bytes.len() < 20_000);
    let violation = read(&mut Reader::new(1 << 20, Some(Deflate::default())), &bytes, bytes.len()).unwrap_err();
    assert_eq!(violation.code, 1009);
    assert!(violation.message.contains("1048576"), "{}", violation.message);
}

#[test]
fn a_message_too_large_is_known_by_its_first_header() {
    let mut reader = Reader::new(299, None);
    let mut head: &[u8] = &frame(0x82, &[7; 300])[..4];
    assert_eq!(reader.next(&mut head).unwrap_err().code, 1009);
}

#[test]
fn violations_are_told_to_the_peer_and_end_the_connection() {
    let cases: [(&[u8], u16); 11] = [
        (&[0x81, 1, 0xff], 1007),                   // no UTF-8
        (&[0x81, 2, 0xe2, 0x82], 1007),             // half a character
        (&[0x01, 4, 0xf4, 0x90, 0x80, 0x80], 1007), // told before the message is whole
        (&[0x80, 0], 1002),                         // continues nothing
        (&[0x01, 0, 0x01, 0], 1002),                // begins within another
        (&[0xc1, 0], 1002),                         // compressed without agreement
        (&[0x88, 1, 3], 1002),                      // half a code
        (&[0x88, 2, 0x03, 0xed], 1002),             // 1005
        (&[0x88, 2, 0x04, 0x4c], 1002),             // 1100
        (&[0x88, 3, 0x03, 0xe8, 0xff], 1007),       // a reason that is no UTF-8
        (&[0x83, 0], 1002),                         // opcode 3
    ];
    for (bytes, code) in cases {
        let mut connection = open();
        receive(&mut connection, bytes, SECOND);
        let frames = client_frames(connection.output());
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].0, &frames[0].1[..2]), (0x88, &code.to_be_bytes()[..]), "{bytes:x?}");
        assert!(connection.ending().is_none(), "the close is still to be sent");
        connection.stream_ended();
        let ending = connection.ending().unwrap();
        assert_eq!((ending.code(), ending.is_clean()), (code, false));
        assert!(!ending.reason().is_empty());
    }
}

#[test]
fn pings_are_answered_in_order_and_by_their_bytes() {
    let mut connection = open();
    let mut bytes = frame(0x89, b"one");
    bytes.extend(frame(0x89, b""));
    receive(&mut connection, &bytes, SECOND);
    assert_eq!(client_frames(connection.output()), [(0x8a, b"one".to_vec()), (0x8a, Vec::new())]);
}

#[test]
fn a_close_is_answered_and_clean() {
    let mut connection = open();
    let mut bytes = frame(0x88, b"\x0f\xa0bye");
    bytes.extend(frame(0x81, b"too late"));
    assert_eq!(receive(&mut connection, &bytes, SECOND), Vec::<Vec<u8>>::new());
    assert_eq!(client_frames(connection.output()), [(0x88, b"\x0f\xa0".to_vec())]);
    assert_eq!(connection.send(MessageKind::Text, b"x", true, &mut mask), Err(Refusal::Closing));
    // The server leaves the stream open: after a while it is closed all the same, and clean.
    connection.keep_time(5 * SECOND, &mut mask);
    assert_eq!(connection.ending(), None);
    connection.keep_time(6 * SECOND, &mut mask);
    assert_eq!(connection.ending(), Some(&Ending::Closed { code: 4000, reason: "bye".into() }));
}

#[test]
fn after_a_close_of_ours_messages_still_come() {
    let mut connection = open();
    connection.close(Some(1000), "done", SECOND, &mut mask).unwrap();
    assert_eq!(connection.close(Some(1000), "", SECOND, &mut mask), Err(Refusal::Closing));
    assert_eq!(client_frames(connection.output()), [(0x88, b"\x03\xe8done".to_vec())]);
    assert_eq!(receive(&mut connection, &frame(0x81, b"last"), SECOND), [b"last"]);
    receive(&mut connection, &frame(0x88, b""), SECOND);
    connection.stream_ended();
    assert_eq!(connection.ending(), Some(&Ending::Closed { code: 1005, reason: String::new() }));
    let mut unanswered = open();
    unanswered.close(None, "", SECOND, &mut mask).unwrap();
    unanswered.keep_time(6 * SECOND, &mut mask);
    assert_eq!(unanswered.ending(), Some(&Ending::Unanswered));
    assert_eq!(unanswered.ending().map(Ending::code), Some(1006));
}

#[test]
fn closes_that_must_not_be_sent_are_refused() {
    let mut connection = open();
    let long = "x".repeat(124);
    for (code, reason) in
        [(Some(999), ""), (Some(1005), ""), (Some(1006), ""), (Some(5000), ""), (None, "x"), (Some(1000), &long)]
    {
        assert_eq!(connection.close(code, reason, SECOND, &mut mask), Err(Refusal::BadClose), "{code:?}");
    }
    assert_eq!(connection.close(Some(1000), &long[..123], SECOND, &mut mask), Ok(()));
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut connection = open();
    assert_eq!(connection.deadline(), Some(30 * SECOND));
    connection.keep_time(29 * SECOND, &mut mask);
    assert!(connection.output().is_empty());
    connection.keep_time(30 * SECOND, &mut mask);
    assert_eq!(client_frames(connection.output()), [(0x89, Vec::new())]);
    assert_eq!(connection.deadline(), Some(45 * SECOND));
    // Any byte shows life, not a pong alone.
    receive(&mut connection, &[0x81], 44 * SECOND);
    assert_eq!(connection.deadline(), Some(74 * SECOND));
    connection.keep_time(74 * SECOND, &mut mask);
    connection.keep_time(89 * SECOND, &mut mask);
    assert_eq!(connection.ending(), Some(&Ending::Stalled(45 * SECOND)));
    assert_eq!(connection.deadline(), None);
}

#[test]
fn a_clock_that_stood_still_is_not_held_against_the_peer() {
    let mut connection = open();
    connection.forgive_silence(1000 * SECOND);
    connection.keep_time(1001 * SECOND, &mut mask);
    assert!(connection.output().is_empty() && connection.ending().is_none());
}

#[test]
fn a_stream_that_just_ends_is_not_clean() {
    let mut connection = open();
    receive(&mut connection, &frame(0x01, b"half a mess"), SECOND);
    connection.stream_ended();
    assert_eq!(connection.ending(), Some(&Ending::Dropped));
    assert_eq!(connection.ending().map(Ending::code), Some(1006));
}

#[test]
fn what_waits_is_bounded_and_taken_whole_or_not_at_all() {
    let settings = Settings { max_buffered_bytes: 1000, ..Settings::default() };
    let mut connection = Connection::new(settings, None, Duration::ZERO);
    assert_eq!(connection.send(MessageKind::Binary, &[1; 1001], true, &mut mask), Err(Refusal::TooLarge));
    assert_eq!(connection.send(MessageKind::Binary, &[1; 600], true, &mut mask), Ok(()));
    let before = connection.buffered();
    assert_eq!(connection.send(MessageKind::Binary, &[2; 600], true, &mut mask), Err(Refusal::NoRoom));
    assert_eq!(connection.buffered(), before);
    connection.sent(500);
    assert_eq!(connection.send(MessageKind::Binary, &[2; 600], true, &mut mask), Ok(()));
    // Pings of a peer that reads nothing are not answered without end.
    let pings = frame(0x89, &[0; 125]).repeat(1000);
    receive(&mut connection, &pings, SECOND);
    assert!(connection.buffered() < 2000, "{}", connection.buffered());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(open().send(MessageKind::Text, b"\xff", true, &mut mask), Err(Refusal::NotUtf8));
}

#[test]
fn a_message_in_pieces_goes_as_fragments() {
    let mut connection = open();
    connection.send(MessageKind::Text, b"one", false, &mut mask).unwrap();
    connection.send(MessageKind::Text, b"two", false, &mut mask).unwrap();
    connection.send(MessageKind::Text, b"three", true, &mut mask).unwrap();
    let expected = [(0x01, b"one".to_vec()), (0x00, b"two".to_vec()), (0x80, b"three".to_vec())];
    assert_eq!(client_frames(connection.output()), expected);
}

#[test]
fn a_listener_that_stops_gets_the_rest_later() {
    let mut connection = open();
    let bytes = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
    let mut input = &bytes[..];
    let mut seen = 0;
    connection.receive(&mut input, SECOND, &mut mask, &mut |_| {
        seen += 1;
        false
    });
    assert_eq!((seen, input), (1, &frame(0x81, b"two")[..]));
}
