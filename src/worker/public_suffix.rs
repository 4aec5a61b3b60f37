//! Domains under which anybody can have a name, such as `co.uk` and `github.io`: a cookie for one of them would go to
//! strangers.

use std::collections::HashSet;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;

/// The rules of `public_suffixes.txt`, a line each, with `*.` and `!` as <https://publicsuffix.org> describes. The build
/// script compresses the file, since few programs ever need it.
static LIST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public_suffixes.zlib"));

fn rules() -> &'static HashSet<&'static str> {
    static RULES: OnceLock<HashSet<&'static str>> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut text = String::new();
        // It is our own file, and a test reads it whole.
        let _ = ZlibDecoder::new(LIST).read_to_string(&mut text);
        String::leak(text).lines().collect()
    })
}

/// Whether anybody can have a name under a domain. A domain that no rule knows is public if it has a single label.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    let (domain, _) = idna::domain_to_unicode(domain);
    let Some((_, parent)) = domain.split_once('.') else { return true };
    let rules = rules();
    let known = |rule: String| rules.contains(rule.as_str());
    rules.contains(domain.as_str()) || known(format!("*.{parent}")) && !known(format!("!{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        assert!(rules().len() > 9_000, "{}", rules().len());
        assert!(rules().contains("com") && rules().contains("*.zw") || rules().contains("co.zw"));
    }

    #[test]
    fn rules_exceptions_and_wildcards_count() {
        for public in ["com", "co.uk", "github.io", "anything.ck", "localhost", "xn--p1ai", "xn--55qx5d.cn"] {
            assert!(is_public_suffix(public), "{public}");
        }
        for private in ["example.com", "example.co.uk", "somebody.github.io", "www.ck", "a.b.ck", "192.168.0.1", "x.y"]
        {
            assert!(!is_public_suffix(private), "{private}");
        }
    }
}
