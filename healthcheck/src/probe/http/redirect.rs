//! Where a redirect leads, RFC 9110 §10.2.2 and RFC 3986 §5.

/// What happens at a redirect (a status from 300 to 399 with a Location).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Redirects {
    /// Its status is judged like any other. The default; keepalived and HAProxy do the same.
    #[default]
    Judge,
    /// It is followed, always to the same address and port: a redirect says nothing about the
    /// health of another server. One that leads to another scheme or port, or further than
    /// allowed, is judged by its status.
    Follow {
        /// How many in a row, 1 to 20.
        max: u8,
        /// Whether only those to the same host name are followed. Otherwise the next request is
        /// for the other host name, but still to the same address.
        same_host: bool,
    },
}

impl Redirects {
    /// Up to three redirects, to the same host name only.
    pub const FOLLOW: Self = Self::Follow {
        max: 3,
        same_host: true,
    };
}

/// What the next request is for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Another value for the Host field, if the location names a host.
    pub(super) host: Option<String>,
    pub(super) path: String,
}

/// Resolves a Location against the path it was the answer for. `None` if it is not usable or leads
/// to another scheme.
pub(super) fn resolve(location: &[u8], path: &str, tls: bool) -> Option<Place> {
    let location = core::str::from_utf8(location).ok()?;
    // What goes into the next request must not be able to end its first line.
    if location.is_empty() || !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (location, _fragment) = location.split_once('#').unwrap_or((location, ""));
    let own_scheme = if tls { "https" } else { "http" };
    let rest = match location.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => {
            if !scheme.eq_ignore_ascii_case(own_scheme) {
                return None;
            }
            // Without an authority this would be a path, which no server means.
            Some(rest.strip_prefix("//")?)
        }
        _ => location.strip_prefix("//"),
    };
    if let Some(rest) = rest {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        if host.is_empty() || host.contains('@') {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        return Some(Place {
            host: Some(host.to_owned()),
            path: without_dots(&format!("{slash}{path}")),
        });
    }
    let (base, _query) = path.split_once('?').unwrap_or((path, ""));
    let path = if location.starts_with('/') {
        location.to_owned()
    } else if location.starts_with('?') || location.is_empty() {
        format!("{base}{location}")
    } else {
        let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{location}")
    };
    Some(Place {
        host: None,
        path: without_dots(&path),
    })
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Takes `.` and `..` out of a path, RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let (path, query) = path
        .find('?')
        .and_then(|at| path.split_at_checked(at))
        .unwrap_or((path, ""));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Whether two values of the Host field mean the same host and port.
pub(super) fn same_host(one: &str, other: &str, tls: bool) -> bool {
    let default = if tls { ":443" } else { ":80" };
    let bare = |host: &'_ str| -> String {
        host.strip_suffix(default)
            .unwrap_or(host)
            .to_ascii_lowercase()
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(location: &str) -> Option<String> {
        let place = resolve(location.as_bytes(), "/a/b/c?q=1", false)?;
        assert_eq!(place.host, None, "{location}");
        Some(place.path)
    }

    #[test]
    fn relative_locations_are_resolved() {
        // Those of RFC 3986 §5.4 that name no host, for another base.
        for (location, expected) in [
            ("g", "/a/b/g"),
            ("./g", "/a/b/g"),
            ("g/", "/a/b/g/"),
            ("/g", "/g"),
            ("?y", "/a/b/c?y"),
            ("g?y", "/a/b/g?y"),
            ("g#s", "/a/b/g"),
            ("#s", "/a/b/c"),
            (".", "/a/b/"),
            ("..", "/a/"),
            ("../g", "/a/g"),
            ("../..", "/"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/a/b/g."),
            ("..g", "/a/b/..g"),
            ("g?y/../x", "/a/b/g?y/../x"),
            ("./a:b", "/a/b/a:b"),
        ] {
            assert_eq!(path(location).as_deref(), Some(expected), "{location}");
        }
    }

    #[test]
    fn absolute_locations_name_their_host() {
        let place = |location: &str, tls| {
            let place = resolve(location.as_bytes(), "/", tls)?;
            Some((place.host?, place.path))
        };
        let at = |host: &str, path: &str| Some((host.to_owned(), path.to_owned()));
        assert_eq!(place("http://www:81/x?y", false), at("www:81", "/x?y"));
        assert_eq!(place("HTTP://www", false), at("www", "/"));
        assert_eq!(place("http://www?y", false), at("www", "/?y"));
        assert_eq!(place("//www/x", true), at("www", "/x"));
        assert_eq!(place("https://www/x", true), at("www", "/x"));
    }

    #[test]
    fn what_must_not_be_followed_leads_nowhere() {
        for location in [
            "",
            "https://www/",
            "ftp://www/",
            "http:g",
            "http:///x",
            "http://user@www/",
            "/a b",
            "/a\r\nX: y",
            "/\u{e4}",
        ] {
            assert_eq!(resolve(location.as_bytes(), "/", false), None, "{location}");
        }
        assert_eq!(resolve(b"/\xff", "/", false), None);
    }

    #[test]
    fn hosts_are_compared_without_case_and_default_port() {
        assert!(same_host("www", "WWW:80", false) && same_host("www:443", "www", true));
        assert!(!same_host("www", "www:443", false) && !same_host("www", "ww", false));
    }
}
