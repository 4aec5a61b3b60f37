//! Which proxy a request goes through.

use std::ffi::{CStr, CString};

use crate::config::{Proxy, check_proxy};
use crate::error::{Reason, Refusal};

/// The proxies in force, read once: libcurl itself would read the environment at each request, from the worker, while the
/// host may be changing it.
pub(super) struct ProxyChoice {
    http: Option<CString>,
    https: Option<CString>,
    except: CString,
}

impl ProxyChoice {
    pub(super) fn new(proxy: &Proxy) -> Result<ProxyChoice, Refusal> {
        match proxy {
            Proxy::Direct => Ok(ProxyChoice { http: None, https: None, except: CString::default() }),
            Proxy::Url { url, except } => {
                let url = Some(c_text(url)?);
                Ok(ProxyChoice { http: url.clone(), https: url, except: c_text(except)? })
            }
            Proxy::Environment => ProxyChoice::from_environment(|name| std::env::var(name).ok()),
        }
    }

    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyChoice, Refusal> {
        let read = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| Some((*name, variable(name)?)));
            found.filter(|(_, value)| !value.is_empty())
        };
        let proxy = |names: &[&'static str]| {
            let Some((name, mut url)) = read(names) else { return Ok(None) };
            if !url.contains("://") {
                url.insert_str(0, "http://");
            }
            let refused = |refusal: Refusal| Refusal::new(refusal.reason, format!("environment {name}: {refusal}"));
            check_proxy(&url).map_err(refused)?;
            c_text(&url).map(Some)
        };
        // HTTP_PROXY in capitals is not read: in a CGI program it is a request's header.
        let http = proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?;
        let https = proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
        let except = read(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value).unwrap_or_default();
        Ok(ProxyChoice { http, https, except: c_text(&except)? })
    }

    pub(super) fn for_scheme(&self, scheme: &str) -> Option<&CStr> {
        if scheme == "https" { self.https.as_deref() } else { self.http.as_deref() }
    }

    /// The hosts to reach without it, as libcurl reads them. Never unset, or libcurl would look in the environment.
    pub(super) fn except(&self) -> &CStr {
        &self.except
    }
}

fn c_text(text: &str) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| Refusal::new(Reason::Argument, "a proxy setting holds a NUL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<ProxyChoice, Refusal> {
        ProxyChoice::from_environment(|name| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_as_other_programs_do() {
        let choice =
            environment(&[("http_proxy", "p:1"), ("HTTPS_PROXY", "socks5h://q:2"), ("no_proxy", "a,b")]).unwrap();
        assert_eq!(choice.for_scheme("http"), Some(c"http://p:1"));
        assert_eq!(choice.for_scheme("https"), Some(c"socks5h://q:2"));
        assert_eq!(choice.except(), c"a,b");
        let choice = environment(&[("HTTP_PROXY", "p:1"), ("ALL_PROXY", "r:3"), ("https_proxy", "")]).unwrap();
        assert_eq!(choice.for_scheme("http"), Some(c"http://r:3"));
        assert_eq!(choice.for_scheme("https"), None, "an empty one means none");
    }

    #[test]
    fn a_broken_variable_is_named() {
        let refusal = environment(&[("http_proxy", "ftp://x")]).err().unwrap();
        assert!(refusal.message.contains("http_proxy"), "{refusal}");
    }
}
