//! Pictures, for examples that show some.

use std::io;

use super::timing::at_rate;
use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response, bad_request};

const HEADER_LENGTH: usize = 54;

pub(super) fn picture(request: &Request, conn: &mut Conn, number: u64) -> io::Result<Outcome> {
    let size = |name, default| match request.query_number(name, default)? {
        size @ 1..=4096 => Ok(size as usize),
        size => Err(bad_request(format!("{name} is {size}, the limit is 4096"))),
    };
    let bytes = bitmap(number, size("width", 208)?, size("height", 136)?);
    let rate = request.query_number("rate", u64::from(u32::MAX))?;
    let response = Response::new(200).header("Content-Type", "image/bmp");
    if conn.start(&response, Framing::Length(bytes.len() as u64))? {
        at_rate(conn, bytes.len() as u64, rate, |conn, sent, n| {
            conn.write_body(&bytes[sent as usize..][..n as usize])
        })?;
    }
    Ok(Outcome::Done)
}

/// A landscape as a BMP of 24 bits: a sky, a sun, three rows of hills.
fn bitmap(number: u64, width: usize, height: usize) -> Vec<u8> {
    let stride = (width * 3).next_multiple_of(4);
    let length = HEADER_LENGTH + stride * height;
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(b"BM");
    // The whole length, nothing, where the rows begin; then the length of what is to come of the header.
    for word in [length, 0, HEADER_LENGTH, 40, width, height] {
        out.extend_from_slice(&(word as u32).to_le_bytes());
    }
    // One plane, 24 bits; no compression, and the defaults.
    out.extend_from_slice(&[1, 0, 24, 0]);
    out.resize(HEADER_LENGTH, 0);
    // Rows come from the bottom up.
    for row in (0..height).rev() {
        for column in 0..width {
            let [red, green, blue] = color(number, column as f64 / width as f64, row as f64 / height as f64);
            out.extend_from_slice(&[blue, green, red]);
        }
        out.resize(out.len() + stride - width * 3, 0);
    }
    out
}

/// What is at a place of the landscape: x to the right, y down, both from 0 to 1.
fn color(number: u64, x: f64, y: f64) -> [u8; 3] {
    let seed = number as f64;
    let hue = |shift: f64| 0.5 + 0.5 * (seed * 2.4 + shift).sin();
    let tone = |light: f64| [hue(0.0), hue(2.1), hue(4.2)].map(|part| ((0.35 + 0.65 * part) * light * 255.0) as u8);
    for (nearness, top) in [(3.0, 0.78), (2.0, 0.62), (1.0, 0.46)] {
        let bend = (x * (7.0 - nearness) + seed * nearness).sin() + 0.4 * (x * 13.0 + seed + nearness).sin();
        if y > top + 0.09 * bend {
            return tone(0.75 - 0.2 * nearness);
        }
    }
    let (sun_x, sun_y) = (0.2 + 0.6 * hue(1.0), 0.24);
    if (x - sun_x).powi(2) * 2.3 + (y - sun_y).powi(2) < 0.012 {
        return [255, 244, 214];
    }
    // In bands, which compress well.
    tone(0.7 + 0.05 * (y * 12.0).floor())
}
