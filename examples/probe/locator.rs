//! What is named on the command line: a URL, or a kind of check and a host.

use core::net::Ipv6Addr;

use crate::failure::Failure;
use crate::kind::{Kind, Scheme};

/// The target as it was written, in parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Locator {
    pub(crate) scheme: Scheme,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// A name or an address, without brackets; empty for a command.
    pub(crate) host: String,
    /// The port, written or by default.
    pub(crate) port: u16,
    /// From the slash on, query included; empty if there is none.
    pub(crate) path: String,
    /// Program and arguments of a command, and the further words of a question to a name server.
    pub(crate) words: Vec<String>,
}

impl Locator {
    /// Reads what follows the options.
    pub(crate) fn new(first: &str, rest: &[String]) -> Result<Self, Failure> {
        if let Some((scheme, place)) = first.split_once("://") {
            if let Some(word) = rest.first() {
                let limit =
                    "nothing may follow a URL (is it two targets, or a value without its option?)";
                return Err(Failure::value("ARGUMENT", format!("{word:?}"), limit));
            }
            return Self::url(scheme, place);
        }
        let limit = || {
            format!(
                "must be a URL such as http://127.0.0.1:8080/health, or one of {} and a host",
                Scheme::names()
            )
        };
        let scheme = Scheme::find(first)
            .ok_or_else(|| Failure::value("TARGET", format!("{first:?}"), limit()))?;
        match (scheme.kind, rest) {
            (Kind::Command, words) => Self::command(scheme, words),
            (Kind::Dns, words) => Self::question(scheme, words),
            (kind, [place]) => match place.split_once("://") {
                None => Self::url(scheme.name, place),
                Some((other, place)) => {
                    let mut locator = Self::url(other, place)?;
                    let same = locator.scheme.kind == kind;
                    if !(same || (kind == Kind::Expect && locator.scheme.kind == Kind::Tcp)) {
                        let limit = format!("must be a host, as {first} was given before it");
                        return Err(Failure::value("ARGUMENT", format!("{other}://"), limit));
                    }
                    locator.scheme.kind = kind;
                    Ok(locator)
                }
            },
            (_, words) => {
                let limit = format!("must be one host after {}", scheme.name);
                Err(Failure::value(
                    "ARGUMENT",
                    format!("{} words", words.len()),
                    limit,
                ))
            }
        }
    }

    /// What follows the scheme and its slashes.
    fn url(scheme: &str, place: &str) -> Result<Self, Failure> {
        let limit = || format!("must be one of {}", Scheme::names());
        let scheme = Scheme::find(scheme)
            .ok_or_else(|| Failure::value("scheme", format!("{scheme:?}"), limit()))?;
        if scheme.kind == Kind::Command {
            let limit = "a command is written as words: probe command -- /path arguments…";
            return Err(Failure::value(
                "TARGET",
                format!("command://{place}"),
                limit,
            ));
        }
        let place = place.split_once('#').map_or(place, |(place, _)| place);
        let path_at = place.find(['/', '?']).unwrap_or(place.len());
        let (authority, path) = place.split_at(path_at);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, authority),
        };
        let (host, port) = if scheme.kind == Kind::Icmp && authority.parse::<Ipv6Addr>().is_ok() {
            // Without a port there are no doubts.
            (authority.to_owned(), None)
        } else {
            host_and_port(authority)?
        };
        let port = port.unwrap_or(scheme.port);
        if port == 0 {
            let limit = format!("must be given, such as {}://{authority}:4711", scheme.name);
            return Err(Failure::value("port", "not given", limit));
        }
        let (user, password) = match credentials {
            None => (None, None),
            Some(both) => match both.split_once(':') {
                Some((user, password)) => (decode("user", user)?, decode("password", password)?),
                None => (decode("user", both)?, None),
            },
        };
        let locator = Self {
            scheme,
            user,
            password,
            host,
            port,
            path: path.to_owned(),
            words: Vec::new(),
        };
        locator.check_credentials()?;
        locator.check_path()?;
        Ok(locator)
    }

    fn command(scheme: Scheme, words: &[String]) -> Result<Self, Failure> {
        if words.is_empty() {
            let limit = "must name a program: probe command -- /path arguments…";
            return Err(Failure::value("ARGUMENT", "not given", limit));
        }
        Ok(Self {
            scheme,
            user: None,
            password: None,
            host: String::new(),
            port: scheme.port,
            path: String::new(),
            words: words.to_vec(),
        })
    }

    /// As dig has it: `@server name type`.
    fn question(scheme: Scheme, words: &[String]) -> Result<Self, Failure> {
        let servers: Vec<_> = words
            .iter()
            .filter_map(|word| word.strip_prefix('@'))
            .collect();
        let [server] = servers.as_slice() else {
            let limit = "must be one, as @ADDRESS[:PORT]";
            return Err(Failure::value("server", servers.join(", "), limit));
        };
        let mut locator = Self::url(scheme.name, server)?;
        let words = words.iter().filter(|word| !word.starts_with('@'));
        locator.words = words.cloned().collect();
        if locator.words.len() > 2 || !locator.path.is_empty() {
            let limit = "must be a name and a type: probe dns @127.0.0.1 example.org SOA";
            return Err(Failure::value("question", locator.words.join(" "), limit));
        }
        Ok(locator)
    }

    /// Who logs in is said only where a check can log in.
    fn check_credentials(&self) -> Result<(), Failure> {
        let user = matches!(self.scheme.kind, Kind::Mysql | Kind::Postgres | Kind::Snmp);
        let password = matches!(self.scheme.kind, Kind::Redis | Kind::Radius);
        if self.user.as_deref().is_some_and(|name| !name.is_empty()) && !user {
            let limit = match self.scheme.kind {
                Kind::Http => "credentials are sent as a field: --header 'Authorization: Basic …'",
                Kind::Radius => "a secret comes after a colon: radius://:SECRET@HOST",
                _ => "only mysql://, postgres:// and snmp:// take one",
            };
            return Err(Failure::value("user", "given", limit));
        }
        if self.password.is_some() && !password {
            let limit = "only redis:// and radius:// take one; other checks log in without";
            return Err(Failure::value("password", "given", limit));
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), Failure> {
        let takes = matches!(
            self.scheme.kind,
            Kind::Http | Kind::Dns | Kind::Redis | Kind::Snmp
        );
        if takes || self.path.is_empty() || self.path == "/" {
            return Ok(());
        }
        let limit = format!("{}:// has none", self.scheme.name);
        Err(Failure::value("path", format!("{:?}", self.path), limit))
    }

    /// The path without query, decoded and without its first slash.
    pub(crate) fn name(&self) -> Result<String, Failure> {
        let path = self
            .path
            .split_once('?')
            .map_or(&*self.path, |(path, _)| path);
        let name = path.strip_prefix('/').unwrap_or(path);
        Ok(decode("path", name)?.unwrap_or_default())
    }

    /// The values of the query, `key=value` with `&` or, as in RFC 4501, `;` between.
    pub(crate) fn query(&self) -> Result<Vec<(String, String)>, Failure> {
        let Some((_, query)) = self.path.split_once('?') else {
            return Ok(Vec::new());
        };
        let parts = query.split(['&', ';']).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                let value = decode("query", value)?.unwrap_or_default();
                Ok((key.to_ascii_lowercase(), value))
            })
            .collect()
    }

    /// The host with its port, as URLs have it.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.scheme.kind == Kind::Icmp || self.port == self.scheme.port {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// The whole, for people: no password.
    pub(crate) fn shown(&self) -> String {
        if self.scheme.kind == Kind::Command {
            return self.words.join(" ");
        }
        let user = match (&self.user, &self.password) {
            (user, Some(_)) => format!("{}:***@", user.as_deref().unwrap_or_default()),
            // A community is a password of sorts.
            (Some(_), None) if self.scheme.kind == Kind::Snmp => "***@".to_owned(),
            (Some(user), None) => format!("{user}@"),
            (None, None) => String::new(),
        };
        let mut words = String::new();
        for word in &self.words {
            words.push(' ');
            words.push_str(word);
        }
        let scheme = match self.scheme.kind {
            Kind::Expect => "expect",
            _ => self.scheme.name,
        };
        format!("{scheme}://{user}{}{}{words}", self.authority(), self.path)
    }
}

/// `host`, `host:port`, `[v6]` and `[v6]:port`.
pub(crate) fn host_and_port(text: &str) -> Result<(String, Option<u16>), Failure> {
    let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
        let limit = "must be in brackets, as an IPv6 address: [::1], [::1]:80";
        return Err(Failure::value("host", format!("{text:?}"), limit));
    } else if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| {
            Failure::value("host", format!("{text:?}"), "must have its bracket closed")
        })?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => {
                let limit = "must be a colon and a port after the bracket, or nothing";
                return Err(Failure::value("port", format!("{after:?}"), limit));
            }
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '\\';
    if host.is_empty() || host.len() > 255 || host.contains(odd) {
        let limit = "must be a name or an address of 1 to 255 bytes";
        return Err(Failure::value("host", format!("{host:?}"), limit));
    }
    let port = port
        .map(|port| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let number = port
                .parse()
                .ok()
                .filter(|number: &u16| digits && *number > 0);
            number.ok_or_else(|| {
                let limit = "must be 1 to 65535 (an IPv6 address is written in brackets)";
                Failure::value("port", format!("{port:?}"), limit)
            })
        })
        .transpose()?;
    Ok((host.to_owned(), port))
}

/// Text with `%NN`, RFC 3986 §2.1.
fn decode(field: &str, text: &str) -> Result<Option<String>, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let odd = || {
        let limit = "must have two hexadecimal digits after each %, and be UTF-8";
        Failure::value(field, format!("{text:?}"), limit)
    };
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(odd)?, digit().ok_or_else(odd)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| odd())?);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| odd())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Locator, String> {
        let words: Vec<_> = text.split(' ').map(ToOwned::to_owned).collect();
        Locator::new(&words[0], &words[1..]).map_err(|failure| failure.to_string())
    }

    #[test]
    fn urls_are_taken_apart() {
        let locator = read("https://www.example:8443/a?b=c&D=%20#e").unwrap();
        assert_eq!((locator.host.as_str(), locator.port), ("www.example", 8443));
        assert_eq!(locator.path, "/a?b=c&D=%20");
        let pairs = [("b", "c"), ("d", " ")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(locator.query().unwrap(), pairs);
        assert_eq!(locator.authority(), "www.example:8443");
        assert_eq!(read("http://[::1]:80/").unwrap().authority(), "[::1]");
        assert_eq!(read("redis://h").unwrap().port, 6379);
    }

    #[test]
    fn words_are_as_good_as_urls() {
        assert_eq!(read("icmp ::1").unwrap(), read("icmp://[::1]").unwrap());
        assert_eq!(read("tcp a:1").unwrap(), read("tcp://a:1").unwrap());
        let expect = read("expect tls://a:1").unwrap();
        assert!(expect.scheme.kind == Kind::Expect && expect.scheme.tls);
        let dns = read("dns @a:5353 example.org SOA").unwrap();
        assert_eq!((dns.port, dns.words.len()), (5353, 2));
        assert_eq!(
            read("command /bin/true -x").unwrap().shown(),
            "/bin/true -x"
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let locator = read("redis://:s%3ecret@h").unwrap();
        assert_eq!(locator.password.as_deref(), Some("s>cret"));
        assert_eq!(locator.shown(), "redis://:***@h");
        assert_eq!(read("mysql://me@h").unwrap().shown(), "mysql://me@h");
        assert_eq!(read("radius://:s@h").unwrap().shown(), "radius://:***@h");
        assert_eq!(read("snmp://public@h").unwrap().shown(), "snmp://***@h");
    }

    #[test]
    fn odd_targets_are_refused_and_named() {
        for (text, start) in [
            ("", "TARGET is \"\""),
            ("gopher://h", "scheme is \"gopher\""),
            ("h:80", "TARGET is \"h:80\""),
            ("http://", "host is \"\""),
            ("http://h:0", "port is \"0\""),
            ("http://h:65536/", "port is \"65536\""),
            ("http://h:+1", "port is \"+1\""),
            ("http://::1", "host is \"::1\""),
            ("http://[::1", "host is \"[::1\""),
            ("http://[::1]x", "port is \"x\""),
            ("tcp://h", "port is not given"),
            ("http://me@h", "user is given"),
            ("http://h a", "ARGUMENT is \"a\""),
            ("tcp", "ARGUMENT is 0 words"),
            ("udp tcp://h:1", "ARGUMENT is tcp://"),
            ("command", "ARGUMENT is not given"),
            ("command:///bin/true", "TARGET is command:///bin/true"),
            ("dns a", "server is "),
            ("dns @a b c d", "question is b c d"),
            ("radius://s@h", "user is given: a secret comes after"),
            ("sip://me@h", "user is given"),
            ("sip://:s@h", "password is given: only redis"),
            ("ntp://h/x", "path is \"/x\""),
            ("mysql://h/base", "path is \"/base\""),
            ("redis://:%4@h", "password is \"%4\""),
            ("redis://:%ff@h", "password is \"%ff\""),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.starts_with(start), "{text}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_is_read_or_refused(
            scheme in "(http|redis|dns|icmp|tcp|[a-z]{0,4})(://)?",
            place in "(\\PC|[\\[\\]:@/?%.0-9]){0,20}",
            word in "\\PC{0,10}",
        ) {
            for (first, rest) in [
                (format!("{scheme}{place}"), vec![]),
                (scheme.clone(), vec![place.clone()]),
                ("dns".to_owned(), vec![format!("@{place}"), word.clone()]),
            ] {
                if let Ok(locator) = Locator::new(&first, &rest) {
                    proptest::prop_assert!(!locator.host.is_empty());
                    let _ = (locator.shown(), locator.name().is_ok(), locator.query().is_ok());
                }
            }
            let _ = (crate::escape::parse(&place).is_ok(), crate::duration::parse(&place).is_ok());
        }
    }
}
