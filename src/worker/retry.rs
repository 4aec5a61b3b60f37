//! When a failed attempt is followed by another.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::ErrorKind;
use crate::headers::Headers;
use crate::http_date::http_date;
use crate::request::Retry;

/// The longest wait until a date: a wrong clock, the server's or the machine's, must not make it years.
const LONGEST_BY_DATE: Duration = Duration::from_secs(3600);

/// The wait after an attempt that may be followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    /// A random time, chosen beforehand.
    delay: Duration,
    /// When the request's total time runs out, on the client's clock.
    deadline: Option<Duration>,
}

impl Backoff {
    /// After `attempts`, of which the last has just started; `None` if it was the last for good.
    pub(super) fn after(attempts: u32, retry: &Retry, deadline: Option<Duration>) -> Option<Backoff> {
        if attempts >= retry.max_attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let longest = retry.delay.saturating_mul(doubled).min(retry.max_delay);
        Some(Backoff { delay: longest.mul_f64(random()), deadline })
    }

    /// How long to wait, if that is worth it.
    pub(super) fn wait(&self, now: Duration, asked: Option<Duration>) -> Option<Duration> {
        let delay = self.delay.max(asked.unwrap_or_default());
        let until = now.checked_add(delay)?;
        self.deadline.is_none_or(|deadline| until < deadline).then_some(delay)
    }
}

/// Whether a status says that another attempt may fare better.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a failure may not happen again, for a request that may be sent twice or that has not been sent.
pub(super) fn is_worth_another(kind: ErrorKind, may_be_sent_twice: bool) -> bool {
    match kind {
        ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::ConnectTimeout => true,
        ErrorKind::Send | ErrorKind::Receive | ErrorKind::Protocol | ErrorKind::Stalled | ErrorKind::Timeout => {
            may_be_sent_twice
        }
        _ => false,
    }
}

/// How long a response's Retry-After asks to wait. A date is measured by the response's own Date, if it has one: the
/// machine's clock may be years off, and is not the one that the date was made by.
pub(super) fn asked(headers: &Headers, now: SystemTime) -> Option<Duration> {
    let value = headers.get("Retry-After")?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |value| UNIX_EPOCH.checked_add(Duration::from_secs(http_date(value)?));
    let (until, now) = (date(value)?, headers.get("Date").and_then(date).unwrap_or(now));
    Some(until.duration_since(now).unwrap_or_default().min(LONGEST_BY_DATE))
}

/// From 0 to 1. The standard library's hashers start from the system's randomness.
fn random() -> f64 {
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    let bits = (RandomState::new().hash_one(()) >> 11) as f64;
    bits / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_a_limit_and_are_random() {
        let retry = Retry { max_attempts: 9, delay: SECOND, max_delay: SECOND * 5, ..Retry::default() };
        for (attempts, longest) in [(1, 1), (2, 2), (3, 4), (4, 5), (8, 5)] {
            let waits: Vec<_> = (0..200).map(|_| Backoff::after(attempts, &retry, None).unwrap().delay).collect();
            assert!(waits.iter().all(|wait| *wait <= SECOND * longest), "after {attempts}");
            assert!(waits.iter().any(|wait| *wait > SECOND * longest * 9 / 10), "after {attempts}");
            assert!(waits.iter().any(|wait| *wait < SECOND * longest / 10), "full jitter, after {attempts}");
        }
        assert!(Backoff::after(9, &retry, None).is_none());
        assert!(Backoff::after(1, &Retry::default(), None).is_none());
    }

    #[test]
    fn nothing_waits_beyond_the_total_time() {
        let backoff = Backoff { delay: SECOND, deadline: Some(SECOND * 10) };
        assert_eq!(backoff.wait(SECOND * 8, None), Some(SECOND));
        assert_eq!(backoff.wait(SECOND * 9, None), None);
        assert_eq!(backoff.wait(SECOND * 2, Some(SECOND * 7)), Some(SECOND * 7));
        assert_eq!(backoff.wait(SECOND * 2, Some(SECOND * 8)), None);
        let endless = Backoff { delay: SECOND, deadline: None };
        assert_eq!(endless.wait(SECOND, Some(SECOND * 3600)), Some(SECOND * 3600));
        assert_eq!(endless.wait(SECOND, Some(Duration::from_secs(u64::MAX))), None);
    }

    #[test]
    fn a_server_may_say_when_by_seconds_or_by_date() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        let after = |value: &str, date: Option<&str>| {
            let mut headers = Headers::new();
            headers.push("Retry-After", value);
            date.iter().for_each(|date| headers.push("Date", date));
            asked(&headers, now)
        };
        assert_eq!(after("120", None), Some(SECOND * 120));
        assert_eq!(after("Fri, 31 Dec 1999 23:59:59 GMT", None), Some(SECOND * 59));
        assert_eq!(after("Friday, 31-Dec-99 23:59:01 GMT", None), Some(SECOND));
        assert_eq!(after("MON, 31 DEC 1999 23:59:02 GMT", None), Some(SECOND * 2), "not a Monday");
        assert_eq!(after("Fri, 31 Dec 1999 23:58:00 GMT", None), Some(Duration::ZERO), "it is over");
        assert_eq!(after("Thu, 31 Dec 2009 23:59:59 GMT", None), Some(LONGEST_BY_DATE));
        // The server's clock counts, whatever the machine's says.
        let date = Some("Mon, 02 Jan 2017 00:00:00 GMT");
        assert_eq!(after("Mon, 02 Jan 2017 00:00:07 GMT", date), Some(SECOND * 7));
        assert_eq!(after("Mon, 02 Jan 2017 00:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(after("Mon, 02 Jan 2012 00:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(after("Mon, 02 Jan 2034 00:00:00 GMT", date), Some(LONGEST_BY_DATE));
        assert_eq!(after("Fri, 31 Dec 1999 23:59:09 GMT", Some("yesterday")), Some(SECOND * 9), "no date");
        assert_eq!(after("120", date), Some(SECOND * 120));
        for bad in ["", "-1", "1.5", "soon", "99999999999999999999"] {
            assert_eq!(after(bad, date), None, "{bad}");
        }
    }
}
