//! Domains under which anybody can have a name, such as `co.uk` and `github.io`: a cookie for one of them would go to
//! strangers.

use std::cmp::Ordering;
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;

/// The rules of `public_suffixes.txt`, sorted, a line each, with `*.` and `!` as <https://publicsuffix.org> describes. The
/// build script compresses them, since few programs ever need them.
static LIST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public_suffixes.zlib"));

fn rules() -> &'static str {
    static RULES: OnceLock<String> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut text = String::new();
        // It is our own file, and a test reads it whole.
        let _ = ZlibDecoder::new(LIST).read_to_string(&mut text);
        text
    })
}

/// Whether there is this rule, searched for by halves.
fn has_rule(rule: &str) -> bool {
    let mut rest = rules();
    while !rest.is_empty() {
        let middle = rest.floor_char_boundary(rest.len() / 2);
        let start = rest.get(..middle).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let (before, from) = rest.split_at(start);
        let (line, after) = from.split_once('\n').unwrap_or((from, ""));
        match line.cmp(rule) {
            Ordering::Equal => return true,
            Ordering::Less => rest = after,
            Ordering::Greater => rest = before,
        }
    }
    false
}

/// Whether anybody can have a name under a domain. A domain that no rule knows is public if it has a single label.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let (domain, _) = idna::domain_to_unicode(domain);
    let Some((_, parent)) = domain.split_once('.') else { return true };
    has_rule(&domain) || has_rule(&format!("*.{parent}")) && !has_rule(&format!("!{domain}"))
}

/// What hosts of one owner have in common: one label more than the public suffix. An address, or a public suffix, stands
/// for itself.
pub(super) fn site_of(host: &str) -> &str {
    if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
        return host;
    }
    let mut site = host;
    while !is_public_suffix(site) {
        let Some((_, parent)) = site.split_once('.') else { return site };
        if is_public_suffix(parent) {
            return site;
        }
        site = parent;
    }
    site
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_every_rule_is_found() {
        assert!(rules().lines().count() > 9_000, "{}", rules().lines().count());
        assert!(rules().lines().all(|rule| !rule.is_empty() && has_rule(rule)));
        for missing in ["", "nosuchrule", "com.", "\u{10FFFF}", "!"] {
            assert!(!has_rule(missing), "{missing}");
        }
    }

    #[test]
    fn rules_exceptions_and_wildcards_count() {
        for public in ["com", "com.", "co.uk", "github.io", "anything.ck", "localhost", "xn--p1ai", "xn--55qx5d.cn"] {
            assert!(is_public_suffix(public), "{public}");
        }
        for private in ["example.com", "example.co.uk", "somebody.github.io", "www.ck", "a.b.ck", "192.168.0.1", "x.y"]
        {
            assert!(!is_public_suffix(private), "{private}");
        }
    }

    #[test]
    fn hosts_of_one_owner_share_a_site() {
        for (host, site) in [
            ("example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("a.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("x.somebody.github.io", "somebody.github.io"),
            ("a.www.ck", "www.ck"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(site_of(host), site, "{host}");
        }
    }
}
