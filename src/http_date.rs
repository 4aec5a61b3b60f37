//! Dates as servers write them: by the rules for cookies, which take nearly everything, and by those of HTTP.

/// How a date of HTTP goes on after its weekday and a comma: `d` is a digit, `a` a letter, the rest stands for itself.
const AFTER_WEEKDAY: [&[u8]; 2] = [b"dd aaa dddd dd:dd:dd gmt", b"dd-aaa-dd dd:dd:dd gmt"];
/// The form of C's asctime(): `_` is a digit or a space.
const ASCTIME: &[u8] = b"aaa aaa _d dd:dd:dd dddd";

/// Reads a date of one of HTTP's three forms (RFC 9110, section 5.6.7), in seconds since 1970. Letters may be of either
/// case, and the weekday may be wrong, as browsers and caches have it; any other form is none.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let text = text.trim_matches([' ', '\t']);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let known = match text.split_once(", ") {
        Some((weekday, rest)) => is_word(weekday) && AFTER_WEEKDAY.iter().any(|form| has_form(rest, form)),
        None => has_form(text, ASCTIME),
    };
    // A leap second is a second of HTTP.
    known.then(|| read(text, 61)).flatten()
}

fn has_form(text: &str, form: &[u8]) -> bool {
    let fits = |(byte, form): (u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        b'_' => byte.is_ascii_digit() || byte == b' ',
        form => byte.eq_ignore_ascii_case(form),
    };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

/// Reads the date of a cookie as browsers do (RFC 6265bis, section 5.1.1), in seconds since 1970.
pub(crate) fn cookie_date(text: &str) -> Option<u64> {
    read(text, 60)
}

/// The same, with fewer seconds in a minute than these.
fn read(text: &str, seconds_in_minute: u64) -> Option<u64> {
    let is_delimiter = |byte: &u8| matches!(byte, 0x09 | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E);
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.as_bytes().split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = clock_time(token, seconds_in_minute)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some((found, _)) = leading_number(token, 1..=2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_number(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some((found, digits)) = leading_number(token, 2..=4)
        {
            year = Some(match (found, digits) {
                (70..=99, 2) => found + 1900,
                (0..=69, 2) => found + 2000,
                _ => found,
            });
        }
    }
    let (seconds, day, month, year) = (time?, day?, month?, year?);
    if !(1601..=9999).contains(&year) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let days: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let days = days + (1..month).map(|month| days_in_month(year, month)).sum::<u64>() + day - 1;
    Some(if year < 1970 { 0 } else { days * 86_400 + seconds })
}

/// "HH:MM:SS", each of one or two digits, as seconds.
fn clock_time(token: &[u8], seconds_in_minute: u64) -> Option<u64> {
    let mut fields = token.splitn(3, |byte| *byte == b':');
    let mut field = |limit: u64| leading_number(fields.next()?, 1..=2).filter(|(number, _)| *number < limit);
    let ((hour, _), (minute, _), (second, _)) = (field(24)?, field(60)?, field(seconds_in_minute)?);
    Some(hour * 3600 + minute * 60 + second)
}

/// The digits that a token begins with, if there are as many as wanted.
fn leading_number(token: &[u8], wanted: std::ops::RangeInclusive<usize>) -> Option<(u64, usize)> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !wanted.contains(&digits) {
        return None;
    }
    let number = token.iter().take(digits).fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number, digits))
}

fn month_number(token: &[u8]) -> Option<u64> {
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let start = token.get(..3)?;
    (1..).zip(MONTHS).find(|(_, name)| start.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_browsers_read_them() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("6 november 94 8:49:37 +0000", 784_111_777),
            ("sun, 6-nOv-1994 08:49:37 utc", 784_111_777),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Mon, 01 Jan 1601 00:00:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(cookie_date(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "tomorrow",
            "Sun, 06 Nov 1994",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 00:60:00",
            "31 Nov 1994 00:00:00",
            "29 Feb 2023 00:00:00",
            "00 Nov 1994 00:00:00",
            "06 Nov 1600 00:00:00",
            "06 Nov 19940 00:00:00",
        ] {
            assert_eq!(cookie_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_of_http_may_be_in_capitals_and_of_a_wrong_weekday() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("SUN, 06 NOV 1994 08:49:37 gmt", 784_111_777),
            ("Mon, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("xyz, 06 nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("FRIDAY, 06-NOV-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("tue NOV 06 08:49:37 1994", 784_111_777),
            ("\tSun, 06 Nov 1994 08:49:37 GMT ", 784_111_777),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
        ] {
            assert_eq!(http_date(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "0",
            "-1",
            "now",
            "784111777",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nox 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            ", 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
