//! Runs every case of a WebSocket fuzzing server against the codec, over plain blocking sockets:
//!
//! ```sh
//! kosoku -m fuzzingserver 127.0.0.1:9001 -o report &
//! cargo run --release --package sortie-core --example autobahn_client -- 127.0.0.1:9001
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sortie_core::websocket::handshake::{self, Offer};
use sortie_core::websocket::{Connection, Ending, Happening, MessageKind, Settings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).ok_or("the server's address is missing")?;
    let mut count = String::new();
    run(&address, "/getCaseCount", |_, data| {
        count.push_str(&String::from_utf8_lossy(data));
        false
    })?;
    let count: u32 = count.trim().parse()?;
    for case in 1..=count {
        if let Err(error) = run(&address, &format!("/runCase?case={case}&agent=sortie"), |_, _| true) {
            eprintln!("case {case}: {error}");
        }
    }
    run(&address, "/updateReports?agent=sortie", |_, _| false)?;
    println!("{count} cases");
    Ok(())
}

/// Opens a connection and lives on it until it ends. What `answers` says yes to is sent back.
fn run(address: &str, path: &str, mut answers: impl FnMut(MessageKind, &[u8]) -> bool) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let key = handshake::key(*b"a constant nonce");
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Extensions: {}\r\n\r\n",
        handshake::extensions(true)
    )?;
    let mut bytes = Vec::new();
    let end = loop {
        let mut some = [0; 4096];
        match socket.read(&mut some)? {
            0 => return Err("no response".into()),
            count => bytes.extend_from_slice(some.get(..count).unwrap_or_default()),
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let rest = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes)?;
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let agreed = handshake::check(&Offer { key: &key, protocols: &[], deflate: true }, fields)?;

    let settings = Settings {
        max_message_bytes: 32 << 20,
        max_buffered_bytes: 64 << 20,
        compress_from_bytes: 0,
        ..Settings::default()
    };
    let start = Instant::now();
    let mut connection = Connection::new(settings, agreed.deflate, start.elapsed());
    let mut masks = || [0x12, 0x34, 0x56, 0x78];
    let mut message = Vec::new();
    let mut input = rest;
    let mut buffer = vec![0; 64 << 10];
    while connection.ending().is_none() {
        let mut replies: Vec<(MessageKind, Vec<u8>)> = Vec::new();
        connection.receive(&mut &input[..], start.elapsed(), &mut masks, &mut |happening| {
            if let Happening::Piece { kind, last, data, .. } = happening {
                message.extend_from_slice(data);
                if last {
                    let message = std::mem::take(&mut message);
                    if answers(kind, &message) {
                        replies.push((kind, message));
                    }
                }
            }
            true
        });
        for (kind, reply) in replies {
            // The case may have closed meanwhile.
            let _ = connection.send(kind, &reply, true, &mut masks);
        }
        while !connection.output().is_empty() {
            match socket.write(connection.output()) {
                Ok(count) => connection.sent(count),
                Err(_) => connection.stream_ended(),
            }
            if connection.ending().is_some() {
                break;
            }
        }
        let wait = connection.deadline().map(|deadline| deadline.saturating_sub(start.elapsed()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        input.clear();
        match socket.read(&mut buffer) {
            Ok(0) => connection.stream_ended(),
            Ok(count) => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                connection.keep_time(start.elapsed(), &mut masks);
            }
            Err(_) => connection.stream_ended(),
        }
    }
    match connection.ending() {
        Some(Ending::Stalled(_) | Ending::Unanswered) => Err(format!("{:?}", connection.ending()).into()),
        _ => Ok(()),
    }
}
