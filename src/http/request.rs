//! A request: its URL, headers and body.

use std::fmt;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};

use crate::error::{printable, quoted};

/// An `http` or `https` URL with a host.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(Uri);

impl Url {
    /// Reads a URL. The error is a sentence without the setting's name and without what may be secret in the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let url: Uri = text.parse().map_err(|_| "is not a valid URL".to_owned())?;
        let shown = || quoted(text.split(['?', '#']).next().unwrap_or_default());
        let Some(authority) = url.authority() else {
            return Err("is not a complete URL; expected https://HOST/PATH".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("has a user name in it, which is not supported".to_owned());
        }
        match url.scheme_str() {
            Some("http" | "https") if !authority.host().is_empty() && authority.port_u16() != Some(0) => {
                Ok(Self(url))
            }
            Some("http" | "https") => Err(format!("{} has no valid host or port", shown())),
            _ => Err(format!("{} has a scheme other than https and http", shown())),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The host alone, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Host and port, as the header `Host` has them.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    #[cfg(feature = "aws-msk-iam")]
    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", |target| target.as_str())
    }
}

impl fmt::Display for Url {
    /// Without the query, in which there may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        f.write_str(&printable(&format!("{scheme}://{}{}", self.authority(), self.0.path())))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request. `Display` is its method and URL.
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: String::new() }
    }

    /// Sets a header; values count as secret. A value with characters that no header may have is an error that does not
    /// show it.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self, String> {
        let refused = || format!("the value of the HTTP header {name} has characters that none may have");
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: String) -> Self {
        self.body = body;
        self
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}
