//! Numbers from scripts: seconds, bytes, counts, choices. One rule for limits: 0 is none, and in a request -1 is the
//! client's.

use std::time::Duration;

use sortie::{Limit, MinSpeed, Rates};

use crate::refused::Refused;

/// Longer than any game runs; a time that is longer has no limit.
const FOR_EVER: f64 = 1e9;

/// A limit in a client.
pub(crate) fn limit(name: &str, seconds: f64) -> Result<Limit, Refused> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(Refused::argument(format!("{name} is {seconds}, it must be seconds, or 0 for no limit")));
    }
    if seconds == 0.0 || seconds > FOR_EVER {
        return Ok(Limit::Never);
    }
    Ok(Limit::After(Duration::from_secs_f64(seconds)))
}

/// A limit in a request.
pub(crate) fn limit_or_default(name: &str, seconds: f64) -> Result<Limit, Refused> {
    if seconds == -1.0 { Ok(Limit::Default) } else { limit(name, seconds) }
}

/// A time to wait.
pub(crate) fn duration(name: &str, seconds: f64) -> Result<Duration, Refused> {
    if !(0.0..=FOR_EVER).contains(&seconds) {
        return Err(Refused::argument(format!("{name} is {seconds}, it must be seconds, from 0 to {FOR_EVER}")));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A number that must not be negative.
pub(crate) fn count(name: &str, number: i64) -> Result<u32, Refused> {
    u32::try_from(number).map_err(|_| Refused::argument(format!("{name} is {number}, it must be 0 to {}", u32::MAX)))
}

/// A number of bytes that must not be negative.
pub(crate) fn bytes(name: &str, number: i64) -> Result<u64, Refused> {
    u64::try_from(number).map_err(|_| Refused::argument(format!("{name} is {number}, it must not be negative")))
}

/// The largest body, where 0 is no limit.
pub(crate) fn largest(name: &str, number: i64) -> Result<u64, Refused> {
    // As much as memory could ever hold.
    Ok(match bytes(name, number)? {
        0 => isize::MAX.unsigned_abs() as u64,
        bytes => bytes,
    })
}

/// The largest body in a request, where -1 is the client's.
pub(crate) fn largest_or_default(name: &str, number: i64) -> Result<Option<u64>, Refused> {
    if number == -1 { Ok(None) } else { largest(name, number).map(Some) }
}

/// How fast bodies may go.
pub(crate) fn rates(receive: i64, send: i64) -> Result<Rates, Refused> {
    Ok(Rates {
        receive: bytes("max_receive_bytes_per_second", receive)?,
        send: bytes("max_send_bytes_per_second", send)?,
    })
}

/// The lowest speed of bodies in a client.
pub(crate) fn min_speed(bytes_per_second: i64, period: f64) -> Result<MinSpeed, Refused> {
    Ok(MinSpeed {
        bytes_per_second: bytes("min_bytes_per_second", bytes_per_second)?,
        period: limit("min_speed_period", period)?,
    })
}

/// The lowest speed of bodies in a request: none, the client's, or its own.
pub(crate) fn min_speed_or_default(bytes_per_second: i64, period: f64) -> Result<MinSpeed, Refused> {
    Ok(MinSpeed {
        bytes_per_second: match bytes_per_second {
            -1 => 0,
            own => bytes("min_bytes_per_second", own)?,
        },
        period: match bytes_per_second {
            0 => Limit::Never,
            _ => limit_or_default("min_speed_period", period)?,
        },
    })
}

/// One of some choices, which are numbered from 0.
pub(crate) fn choice<T: Copy>(name: &str, number: i64, choices: &[T]) -> Result<T, Refused> {
    usize::try_from(number)
        .ok()
        .and_then(|index| choices.get(index).copied())
        .ok_or_else(|| Refused::argument(format!("{name} is {number}, it must be 0 to {}", choices.len() - 1)))
}

/// A field of "Name: value".
pub(crate) fn header(line: &str) -> Result<(&str, &str), Refused> {
    let (name, value) = line.split_once(':').ok_or_else(|| {
        Refused::argument(format!("header '{}' has no ':' between name and value", line.escape_default()))
    })?;
    Ok((name.trim_end(), value.trim()))
}

/// A count as a script has it: beyond what it can hold, the largest number.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
