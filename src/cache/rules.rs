//! What RFC 9111 says of a private cache: what may be kept, how long it is fresh, and whom it answers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use crate::headers::Headers;
use crate::http_date::{cookie_date, http_date};

/// The share of the time since its last change for which a response is fresh that does not say how long, as the RFC suggests.
const HEURISTIC_SHARE: u64 = 10;
/// The most that this makes, in seconds: a week. Files that a build has dated 1970 or 1980 change like others.
const HEURISTIC_MOST: u64 = 7 * 24 * 60 * 60;
/// Fields that are about a connection, or about one answer, and not kept. A cookie is set once.
const NOT_KEPT: [&str; 10] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Connection",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];
/// Fields that are about the stored body, which a 304 does not change.
const OF_THE_BODY: [&str; 3] = ["Content-Encoding", "Content-Length", "Content-Range"];

/// The directives of Cache-Control that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    must_revalidate: bool,
    pub(crate) immutable: bool,
    pub(crate) only_if_cached: bool,
    must_understand: bool,
    private: bool,
    public: bool,
    s_maxage: bool,
    max_age: Option<u64>,
    /// `u64::MAX` without a number.
    max_stale: Option<u64>,
    min_fresh: Option<u64>,
    stale_if_error: Option<u64>,
    stale_while_revalidate: Option<u64>,
}

impl Control {
    pub(crate) fn of<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Control {
        let mut control = Control::default();
        let (mut any, mut pragma) = (false, false);
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("Cache-Control") {
                any = true;
                each_directive(value, |name, value| control.take(name, value));
            }
            pragma |= name.eq_ignore_ascii_case("Pragma") && value.to_ascii_lowercase().contains("no-cache");
        }
        control.no_cache |= pragma && !any;
        control
    }

    /// Whether a request takes nothing of this age, in seconds. With 0 it wants to be sure, also within the first second.
    fn is_too_old(&self, age: u64) -> bool {
        self.max_age.is_some_and(|most| most == 0 || age > most)
    }

    fn take(&mut self, name: &str, value: Option<&str>) {
        // A number that is none means the careful thing; of two, the careful one counts.
        let seconds = |or: u64| value.and_then(parse_seconds).unwrap_or(or);
        let least = |old: Option<u64>, new: u64| Some(old.map_or(new, |old: u64| old.min(new)));
        match name.to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            // With names, the rest of the response may be used as it is: see `kept`.
            "no-cache" => self.no_cache |= value.is_none_or(str::is_empty),
            "must-revalidate" => self.must_revalidate = true,
            "must-understand" => self.must_understand = true,
            "immutable" => self.immutable = true,
            "only-if-cached" => self.only_if_cached = true,
            "private" => self.private = true,
            "public" => self.public = true,
            "s-maxage" => self.s_maxage = true,
            "max-age" => self.max_age = least(self.max_age, seconds(0)),
            "max-stale" => self.max_stale = least(self.max_stale, value.map_or(u64::MAX, |_| seconds(0))),
            "min-fresh" => self.min_fresh = Some(seconds(u64::MAX)),
            "stale-while-revalidate" => {
                self.stale_while_revalidate = least(self.stale_while_revalidate, seconds(0));
            }
            "stale-if-error" => self.stale_if_error = least(self.stale_if_error, seconds(0)),
            _ => {}
        }
    }
}

/// Reads a number of seconds. One that is too large to be told counts as the largest, as the RFC has it.
fn parse_seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Gives each directive of a Cache-Control with its value, quotes taken off.
fn each_directive(field: &str, mut take: impl FnMut(&str, Option<&str>)) {
    let mut quoted = false;
    let parts = field.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    for part in parts {
        let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
        take(name.trim(), value.map(|value| value.trim().trim_matches('"')));
    }
}

/// Milliseconds since 1970 by the machine's clock.
pub(crate) fn now() -> u64 {
    millis(SystemTime::now())
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A date in milliseconds since 1970. `None` without one, or for one of a form that HTTP does not have.
fn date(headers: &Headers, name: &str) -> Option<u64> {
    Some(http_date(headers.get(name)?)?.saturating_mul(1000))
}

/// When a response was made. Whatever can be read as a date counts, since without one it would count as made when it came,
/// and so as younger than it is.
fn made(headers: &Headers) -> Option<u64> {
    let date = headers.get("Date")?;
    Some(http_date(date).or_else(|| cookie_date(date))?.saturating_mul(1000))
}

/// A request as far as the cache looks at it.
pub(crate) struct Asked<'a> {
    pub(crate) fields: &'a [(&'a str, &'a [u8])],
    /// It says who is asking.
    pub(crate) authorized: bool,
    /// What the client sends if the fields have none.
    pub(crate) user_agent: Option<&'a str>,
}

impl Asked<'_> {
    pub(crate) fn control(&self) -> Control {
        let as_text = |value| std::str::from_utf8(value).unwrap_or("");
        Control::of(self.fields.iter().map(|(name, value)| (*name, as_text(value))))
    }

    /// What a response with this Vary depends on, as a number that tells nothing of it. `None`: on more than can be told.
    pub(crate) fn variant(&self, headers: &Headers) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        let vary = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Vary"));
        for name in vary.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" || (self.authorized && name.eq_ignore_ascii_case("Authorization")) {
                return None;
            }
            let given = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
            let mut values: Vec<&[u8]> = given.map(|(_, value)| *value).collect();
            if values.is_empty() && name.eq_ignore_ascii_case("User-Agent") {
                values.extend(self.user_agent.map(str::as_bytes));
            }
            let is_given = !values.is_empty();
            let mut members: Vec<Vec<u8>> = values.into_iter().flat_map(members).map(<[u8]>::to_vec).collect();
            if CASELESS.iter().any(|caseless| name.eq_ignore_ascii_case(caseless)) {
                members.iter_mut().for_each(|member| member.make_ascii_lowercase());
            }
            (name.to_ascii_lowercase(), is_given, members).hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

/// Fields whose values may be of either case.
const CASELESS: [&str; 4] = ["Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language"];

/// The members of a list, without the space around them: it may stand in several fields or in one, with space or without.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value
        .split(move |byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        })
        .map(<[u8]>::trim_ascii)
}

/// When a response was asked for and when it came, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) requested: u64,
    pub(crate) responded: u64,
}

/// Whether the answer to a GET may be kept, and is worth it.
pub(crate) fn is_storable(status: u16, headers: &Headers, authorized: bool) -> bool {
    let control = Control::of(headers.iter());
    let partial = matches!(status, 206 | 304) || status < 200;
    // The RFC says this of shared caches; on a device that several people play on, one of their own is no different.
    let allowed = control.public || control.must_revalidate || control.s_maxage;
    let private = authorized && (control.private || !allowed);
    // Such a no-store is for caches that do not know must-understand, and we know what these statuses mean for a cache.
    let no_store = control.no_store && !(control.must_understand && may_guess(status, &Control::default()));
    if partial || private || no_store {
        return false;
    }
    let known = may_guess(status, &control);
    let explicit = control.max_age.is_some() || headers.get("Expires").is_some();
    let validator = headers.get("ETag").is_some() || headers.get("Last-Modified").is_some();
    explicit && (validator || !control.no_cache) || known && validator
}

/// Whether a status may be kept without being told for how long.
fn may_guess(status: u16, control: &Control) -> bool {
    control.public || matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// How old a stored response is, in seconds. One from the future is as old as can be.
pub(crate) fn age(headers: &Headers, times: Times, now: u64) -> u64 {
    let Some(resident) = now.checked_sub(times.responded) else { return u64::MAX };
    let apparent = times.responded.saturating_sub(made(headers).unwrap_or(times.responded));
    // Of several, the first counts.
    let told = headers.get("Age").and_then(|age| parse_seconds(age.split(',').next()?.trim())).unwrap_or(0);
    let delay = times.responded.saturating_sub(times.requested);
    apparent.max(told.saturating_mul(1000).saturating_add(delay)).saturating_add(resident) / 1000
}

/// For how many seconds a response is fresh.
pub(crate) fn lifetime(status: u16, headers: &Headers, times: Times) -> u64 {
    let control = Control::of(headers.iter());
    if let Some(seconds) = control.max_age {
        return seconds;
    }
    let made = made(headers).unwrap_or(times.responded);
    if headers.get("Expires").is_some() {
        return date(headers, "Expires").unwrap_or(0).saturating_sub(made) / 1000;
    }
    match date(headers, "Last-Modified") {
        Some(changed) if may_guess(status, &control) => {
            (made.saturating_sub(changed) / 1000 / HEURISTIC_SHARE).min(HEURISTIC_MOST)
        }
        _ => 0,
    }
}

/// Whether a stored response answers a request without being asked about.
pub(crate) fn is_fresh_for(asked: &Control, status: u16, headers: &Headers, times: Times, now: u64) -> bool {
    let control = Control::of(headers.iter());
    if control.no_cache || asked.no_cache {
        return false;
    }
    let (age, lifetime) = (age(headers, times, now), lifetime(status, headers, times));
    if asked.is_too_old(age) {
        return false;
    }
    if let Some(left) = lifetime.checked_sub(age).filter(|left| *left > 0) {
        return asked.min_fresh.is_none_or(|least| left >= least);
    }
    let may_be_stale = asked.max_stale.filter(|_| !control.must_revalidate && asked.min_fresh.is_none());
    may_be_stale.is_some_and(|most| age.saturating_sub(lifetime) <= most)
}

/// Whether a stale response may answer while its server is asked about it (RFC 5861).
pub(crate) fn is_good_meanwhile(asked: &Control, status: u16, headers: &Headers, times: Times, now: u64) -> bool {
    let control = Control::of(headers.iter());
    let age = age(headers, times, now);
    let stale = age.saturating_sub(lifetime(status, headers, times));
    let refused = control.no_cache || control.must_revalidate || asked.no_cache || asked.min_fresh.is_some();
    !refused && !asked.is_too_old(age) && control.stale_while_revalidate.is_some_and(|most| stale <= most)
}

/// Whether a stale response may answer when its server cannot.
pub(crate) fn is_good_for_errors(asked: &Control, status: u16, headers: &Headers, times: Times, now: u64) -> bool {
    let control = Control::of(headers.iter());
    let most = asked.stale_if_error.or(control.stale_if_error);
    let stale = age(headers, times, now).saturating_sub(lifetime(status, headers, times));
    !control.no_cache && !control.must_revalidate && !asked.no_cache && most.is_some_and(|most| stale <= most)
}

/// Fields that ask whether a stored response still holds. What could not stand in a header is not sent back in one.
pub(crate) fn validation(headers: &Headers) -> Vec<(&'static str, Vec<u8>)> {
    let given = [("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")];
    let is_sendable = |value: &[u8]| !value.is_empty() && !value.iter().any(u8::is_ascii_control);
    let sendable = |from| headers.bytes(from).filter(|value| is_sendable(value));
    given.into_iter().filter_map(|(ask, from)| Some((ask, sendable(from)?.into_owned()))).collect()
}

/// What is kept of a response's head.
pub(crate) fn kept(headers: &Headers) -> Headers {
    let named = |name: &str| {
        let connection = headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case("Connection"));
        connection.flat_map(|(_, value)| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(name))
    };
    let mut unfit = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Cache-Control")) {
        each_directive(value, |name, value| {
            let names = value.filter(|_| name.eq_ignore_ascii_case("no-cache"));
            unfit.extend(names.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase()));
        });
    }
    let named = |name: &str| named(name) || unfit.contains(&name.to_ascii_lowercase());
    let mut kept = Headers::new();
    kept.begin(headers.status_line().unwrap_or_default());
    kept.push_from(headers, |name| !is_among(&NOT_KEPT, name) && !named(name));
    kept
}

/// A stored head made up to date by a 304; `None` if that is about another response.
pub(crate) fn updated(stored: &Headers, not_modified: &Headers) -> Option<Headers> {
    if let (Some(new), Some(old)) = (not_modified.get("ETag"), stored.get("ETag"))
        && new.trim_start_matches("W/") != old.trim_start_matches("W/")
    {
        return None;
    }
    let news = kept(not_modified);
    let mut updated = Headers::new();
    updated.begin(stored.status_line().unwrap_or_default());
    let replaced = |name: &str| !is_among(&OF_THE_BODY, name) && news.get(name).is_some();
    // An Age is of the answer that brought it.
    updated.push_from(stored, |name| !replaced(name) && !name.eq_ignore_ascii_case("Age"));
    updated.push_from(&news, |name| !is_among(&OF_THE_BODY, name));
    Some(updated)
}

fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        headers.begin("HTTP/1.1 200 OK");
        fields.iter().for_each(|(name, value)| headers.push(name, value));
        headers
    }

    fn http_date(seconds_ago: i64) -> String {
        let seconds = (NOW / 1000).checked_add_signed(-seconds_ago).unwrap();
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    const AT: Times = Times { requested: NOW, responded: NOW };

    fn control(value: &str) -> Control {
        Control::of([("cache-control", value)].into_iter())
    }

    #[test]
    fn directives_are_read_whatever_their_form() {
        let read = control("No-Cache=\"a, b\", max-age=\"5\" ,, MUST-REVALIDATE,x=y");
        let expected = Control { max_age: Some(5), must_revalidate: true, ..Control::default() };
        assert_eq!(read, expected);
        assert!(
            control("no-cache").no_cache && control("no-cache=").no_cache && control("no-cache, no-cache=x").no_cache
        );
        assert_eq!(control("max-age=x").max_age, Some(0));
        assert_eq!(control("max-age=9, max-age=3").max_age, Some(3));
        assert_eq!(control("max-age=99999999999999999999").max_age, Some(u64::MAX));
        assert_eq!((control("max-age=-1").max_age, control("max-age=+5").max_age), (Some(0), Some(0)));
        assert_eq!((control("max-stale").max_stale, control("max-stale=3").max_stale), (Some(u64::MAX), Some(3)));
        assert!(Control::of([("Pragma", "no-cache")].into_iter()).no_cache);
        assert!(!Control::of([("Pragma", "no-cache"), ("Cache-Control", "max-age=1")].into_iter()).no_cache);
    }

    #[test]
    fn what_may_be_kept() {
        let storable = |status, fields: &[(&str, &str)], authorized| is_storable(status, &headers(fields), authorized);
        assert!(storable(200, &[("Cache-Control", "max-age=5")], false));
        assert!(storable(200, &[("Cache-Control", "private, max-age=5")], false), "the cache is private");
        assert!(storable(302, &[("Cache-Control", "max-age=5")], false) && storable(404, &[("ETag", "\"a\"")], false));
        assert!(storable(200, &[("Cache-Control", "no-cache"), ("ETag", "\"a\"")], false));
        for (status, fields) in [
            (200, &[("Cache-Control", "max-age=5, no-store")][..]),
            (206, &[("Cache-Control", "max-age=5")]),
            (304, &[("Cache-Control", "max-age=5")]),
            (302, &[("ETag", "\"a\"")]),
            (200, &[]),
            (200, &[("Cache-Control", "no-cache, max-age=5")]),
        ] {
            assert!(!storable(status, fields, false), "{status} {fields:?}");
        }
        assert!(!storable(200, &[("Cache-Control", "max-age=5")], true));
        for allowing in ["public", "must-revalidate", "s-maxage=1"] {
            assert!(storable(200, &[("Cache-Control", &format!("max-age=5, {allowing}"))], true), "{allowing}");
            let private = format!("max-age=5, private, {allowing}");
            assert!(!storable(200, &[("Cache-Control", &private)], true), "{private}");
        }
    }

    #[test]
    fn lifetimes_come_from_max_age_expires_or_a_guess() {
        let of = |status, fields: &[(&str, &str)]| lifetime(status, &headers(fields), AT);
        let (now, later, before) = (http_date(0), http_date(-60), http_date(1000));
        assert_eq!(of(200, &[("Cache-Control", "max-age=5, s-maxage=9"), ("Expires", &later)]), 5);
        assert_eq!(of(200, &[("Date", &now), ("Expires", &later)]), 60);
        assert_eq!(of(200, &[("Date", &later), ("Expires", &now)]), 0);
        assert_eq!(of(200, &[("Expires", "0"), ("Last-Modified", &before)]), 0);
        assert_eq!(of(200, &[("Date", &now), ("Last-Modified", &before)]), 100);
        assert_eq!((of(302, &[("Last-Modified", &before)]), of(200, &[])), (0, 0));
        let epoch = "Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(of(200, &[("Date", &now), ("Last-Modified", epoch)]), 7 * 24 * 60 * 60);
        assert_eq!(of(200, &[("Cache-Control", "max-age=99999999999999999999")]), u64::MAX);
    }

    #[test]
    fn no_form_of_a_date_makes_a_stale_response_fresh() {
        let (year_2000, year_2050) = ("Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2050 00:00:00 GMT");
        let fresh = |fields: &[(&str, &str)]| is_fresh_for(&Control::default(), 200, &headers(fields), AT, NOW);
        for date in [
            year_2000,
            "SAT, 01 JAN 2000 00:00:00 GMT",
            "Mon, 01 Jan 2000 00:00:00 gmt",
            "Saturday, 01-Jan-00 00:00:00 GMT",
            "Sat Jan  1 00:00:00 2000",
            "Sat, 1 Jan 2000 00:00:00 UTC",
            "1 January 2000 0:0:0",
        ] {
            assert!(!fresh(&[("Cache-Control", "max-age=60"), ("Date", date)]), "{date}");
            assert!(!fresh(&[("Expires", date)]), "{date}");
        }
        assert!(fresh(&[("Cache-Control", "max-age=60"), ("Date", "some time")]), "it has just come");
        for good in
            [year_2050, "SAT, 01 JAN 2050 00:00:00 GMT", "Mon, 01 Jan 2050 00:00:00 GMT", "Sat Jan  1 00:00:00 2050"]
        {
            assert!(fresh(&[("Expires", good)]) && fresh(&[("Expires", good), ("Date", "foo")]), "{good}");
        }
        for bad in ["0", "-1", "", "never", "Sat, 01 Jan 2050 00:00:00 UTC", "Sat, 1 Jan 2050 00:00:00 GMT"] {
            assert!(!fresh(&[("Expires", bad)]), "{bad}");
        }
        let guessed = |changed: &str| lifetime(200, &headers(&[("Last-Modified", changed)]), AT);
        assert_eq!((guessed("SAT, 01 JAN 2000 00:00:00 GMT"), guessed("2000-01-01")), (HEURISTIC_MOST, 0));
    }

    #[test]
    fn ages_count_what_happened_on_the_way() {
        let of = |fields: &[(&str, &str)], times| age(&headers(fields), times, NOW + 7000);
        assert_eq!(of(&[], AT), 7);
        assert_eq!(of(&[("Date", &http_date(20))], AT), 27);
        assert_eq!(of(&[("Age", "50"), ("Date", &http_date(20))], AT), 57);
        assert_eq!((of(&[("Age", "50, 60")], AT), of(&[("Age", "old")], AT)), (57, 7));
        assert_eq!(of(&[("Age", "99999999999999999999")], AT), u64::MAX / 1000);
        assert_eq!(of(&[("Age", "50")], Times { requested: NOW - 3000, responded: NOW }), 60);
        assert_eq!(age(&headers(&[]), AT, NOW - 1), u64::MAX, "the clock was put back");
    }

    #[test]
    fn requests_say_what_they_take() {
        let fresh = |asked: &str, kept: &str, seconds: u64| {
            is_fresh_for(&control(asked), 200, &headers(&[("Cache-Control", kept)]), AT, NOW + seconds * 1000)
        };
        assert!(fresh("", "max-age=10", 9) && !fresh("", "max-age=10", 10));
        assert!(!fresh("no-cache", "max-age=10", 0) && !fresh("", "max-age=10, no-cache", 0));
        assert!(!fresh("max-age=0", "max-age=10", 0));
        assert!(fresh("max-age=5", "max-age=10", 5) && !fresh("max-age=5", "max-age=10", 6));
        assert!(fresh("min-fresh=5", "max-age=10", 5) && !fresh("min-fresh=5", "max-age=10", 6));
        assert!(fresh("max-stale", "max-age=10", 999) && fresh("max-stale=5", "max-age=10", 15));
        assert!(!fresh("max-stale=5", "max-age=10", 16) && !fresh("max-stale", "max-age=10, must-revalidate", 11));
        let good = |asked: &str, kept: &str, seconds: u64| {
            is_good_for_errors(&control(asked), 200, &headers(&[("Cache-Control", kept)]), AT, NOW + seconds * 1000)
        };
        assert!(good("", "max-age=10, stale-if-error=5", 15) && !good("", "max-age=10, stale-if-error=5", 16));
        assert!(good("stale-if-error=5", "max-age=10", 15) && !good("", "max-age=10", 11));
        assert!(!good("", "max-age=10, stale-if-error=5, must-revalidate", 11));
        let meanwhile = |asked: &str, kept: &str, seconds: u64| {
            is_good_meanwhile(&control(asked), 200, &headers(&[("Cache-Control", kept)]), AT, NOW + seconds * 1000)
        };
        let kept = "max-age=10, stale-while-revalidate=5";
        assert!(meanwhile("", kept, 15) && !meanwhile("", kept, 16) && !meanwhile("", "max-age=10", 10));
        assert!(meanwhile("max-age=12", kept, 12) && !meanwhile("max-age=12", kept, 13));
        assert!(!meanwhile("no-cache", kept, 11) && !meanwhile("min-fresh=1", kept, 11));
        assert!(!meanwhile("", "max-age=10, stale-while-revalidate=5, must-revalidate", 11));
    }

    #[test]
    fn variants_are_told_apart_by_what_vary_names() {
        let variant = |fields: &[(&str, &str)], vary: &str| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            Asked { fields: &fields, authorized: true, user_agent: Some("game/1") }.variant(&headers(&[("Vary", vary)]))
        };
        let (german, french) = ([("accept-language", "de")], [("Accept-Language", "fr"), ("X", "1")]);
        assert_eq!(variant(&german, "Accept-Language"), variant(&german, "accept-language, "));
        assert_ne!(variant(&german, "Accept-Language"), variant(&french, "Accept-Language"));
        assert_ne!(variant(&german, "Accept-Language"), variant(&[], "Accept-Language"));
        assert_eq!(variant(&german, "Accept"), variant(&french, "Accept"));
        assert_eq!(variant(&[], "User-Agent"), variant(&[("User-Agent", "game/1")], "User-Agent"));
        assert_eq!((variant(&german, "Accept, *"), variant(&german, "Authorization")), (None, None));
    }

    #[test]
    fn a_304_brings_the_head_up_to_date() {
        let stored = kept(&headers(&[
            ("ETag", "\"a\""),
            ("Set-Cookie", "a=1"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Content-Length", "5"),
            ("X", "old"),
            ("X", "older"),
            ("Age", "3"),
        ]));
        assert_eq!(stored.len(), 5, "{stored:?}");
        let news = headers(&[("ETag", "W/\"a\""), ("Content-Length", "0"), ("X", "new"), ("Date", "d")]);
        let updated = updated(&stored, &news).unwrap();
        let fields: Vec<_> = updated.iter().collect();
        assert_eq!(fields, [("Content-Length", "5"), ("ETag", "W/\"a\""), ("X", "new"), ("Date", "d")]);
        assert_eq!(updated.status_line(), Some("HTTP/1.1 200 OK"));
        assert!(super::updated(&stored, &headers(&[("ETag", "\"b\"")])).is_none());
    }
}
