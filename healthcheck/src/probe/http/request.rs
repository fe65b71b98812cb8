//! The bytes of a request, and what may be part of them.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use super::Settings;
use super::redirect::Place;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::policy::Health;

/// A request method, RFC 9110 §9.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// The resource itself.
    Get,
    /// Only the head of the reply to GET.
    Head,
    /// What the server can do; HAProxy's default.
    Options,
    /// Something for the server to work on, with a body.
    Post,
}

impl Method {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

/// The version of HTTP a request is in. [`FromStr`] reads what keepalived's `http_protocol` has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Version {
    /// `1.0`.
    Http10,
    /// `1.0C`: 1.0 with `Connection: close`.
    Http10Close,
    /// `1.1`.
    Http11,
}

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "1.0" => Ok(Self::Http10),
            "1.0C" | "1.0c" => Ok(Self::Http10Close),
            "1.1" => Ok(Self::Http11),
            _ => Err(Invalid::new(
                "version",
                format!("{text:?}"),
                "must be 1.0, 1.0C or 1.1",
            )),
        }
    }
}

/// Whose fields a request has, beside those the user adds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Style {
    /// Host, User-Agent, Accept.
    Own,
    /// User-Agent and Host, in keepalived's order.
    Keepalived,
    /// Only Host, as HAProxy.
    Bare,
}

/// What the Host field says.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Host {
    /// The address of the server, and its port unless that is the scheme's.
    Address,
    /// The address of the server and its port, as keepalived has it.
    AddressAndPort,
    /// This, as it is.
    Is(Box<str>),
    /// Nothing: no such field.
    Absent,
}

impl Host {
    /// The value of the field.
    pub(super) fn value(&self, server: Option<SocketAddr>, tls: bool) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Is(host) => Some(host.to_string()),
            // Only a dialogue without a connection has no server.
            Self::Address | Self::AddressAndPort => {
                Some(server.map_or_else(String::new, |server| {
                    let default = if tls { 443 } else { 80 };
                    if *self == Self::AddressAndPort || server.port() != default {
                        // A scope identifier is of this host and means nothing to the other.
                        return match server {
                            SocketAddr::V4(server) => server.to_string(),
                            SocketAddr::V6(server) => {
                                format!("[{}]:{}", server.ip(), server.port())
                            }
                        };
                    }
                    match server {
                        SocketAddr::V4(server) => server.ip().to_string(),
                        SocketAddr::V6(server) => format!("[{}]", server.ip()),
                    }
                }))
            }
        }
    }
}

/// The name a server goes by in TLS: the one given, or what its clients put into the Host field,
/// unless that is an address, without the port.
pub(super) fn server_name(settings: &Settings) -> Option<&str> {
    if let Some(name) = &settings.server_name {
        return Some(name);
    }
    let Host::Is(host) = &settings.host else {
        return None;
    };
    let name = host.rsplit_once(':').map_or(&**host, |(name, _)| name);
    let is_name = settings.style == Style::Own
        && !name.is_empty()
        && !name.contains([':', '[', ']'])
        && name.parse::<IpAddr>().is_err();
    is_name.then_some(name)
}

/// Writes a request. `place` is where a redirect has led, `close` whether it is the last one of
/// its connection.
pub(super) fn encode(
    settings: &Settings,
    method: Method,
    place: &Place,
    close: bool,
    attempt: &Attempt,
) -> Vec<u8> {
    let version = match settings.version {
        Version::Http10 | Version::Http10Close => "1.0",
        Version::Http11 => "1.1",
    };
    let mut text = String::with_capacity(192);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{} {} HTTP/{version}\r\n",
        method.as_str(),
        place.path
    );
    let mut field = |name: &str, value: &str| {
        let _ = write!(text, "{name}: {value}\r\n");
    };
    let host = place.host.as_deref();
    let connection = match settings.version {
        Version::Http10 => None,
        Version::Http10Close => Some("close"),
        Version::Http11 => close.then_some("close"),
    };
    let unless_given = |name| !settings.has_field(name);
    let agent = match settings.style {
        Style::Own => Some(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        )),
        Style::Keepalived => Some("KeepAliveClient"),
        Style::Bare => None,
    };
    let agent = agent.filter(|_| unless_given("User-Agent"));
    let accept = Some("*/*").filter(|_| settings.style == Style::Own && unless_given("Accept"));
    let fields = match settings.style {
        Style::Keepalived => [
            ("User-Agent", agent),
            ("Connection", connection),
            ("Host", host),
            ("Accept", accept),
        ],
        Style::Own | Style::Bare => [
            ("Host", host),
            ("User-Agent", agent),
            ("Accept", accept),
            ("Connection", connection),
        ],
    };
    for (name, value) in fields {
        if let Some(value) = value {
            field(name, value);
        }
    }
    for (name, value) in &settings.fields {
        field(name, value);
    }
    if settings.state_field {
        let state = if attempt.health == Health::Up {
            "UP"
        } else {
            "DOWN"
        };
        field("X-Haproxy-Server-State", state);
    }
    let body: &[u8] = if method == settings.method {
        &settings.body
    } else {
        &[]
    };
    if !body.is_empty() || method == Method::Post {
        field("Content-Length", &body.len().to_string());
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A field name is a token, RFC 9110 §5.1.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), Invalid> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let limit = "must be letters, digits and !#$%&'*+-.^_`|~, at least one";
        return Err(Invalid::new(field, format!("{name:?}"), limit));
    }
    Ok(())
}

/// A value must not be able to end its line.
pub(super) fn check_value(field: &'static str, value: &str) -> Result<(), Invalid> {
    if value.contains(['\r', '\n', '\0']) {
        let limit = "must not contain CR, LF or NUL";
        return Err(Invalid::new(field, format!("{value:?}"), limit));
    }
    Ok(())
}

pub(super) fn check_path(path: &str, method: Method) -> Result<(), Invalid> {
    check_value("path", path)?;
    let whole_server = path == "*" && method == Method::Options;
    let odd = |letter: char| letter.is_ascii_control() || letter.is_whitespace();
    if !(whole_server || path.starts_with('/')) || path.contains(odd) {
        let limit = "must begin with / and contain no white space (or be * with OPTIONS)";
        return Err(Invalid::new("path", format!("{path:?}"), limit));
    }
    Ok(())
}

pub(super) fn check_host(host: &str) -> Result<(), Invalid> {
    check_value("host", host)?;
    if host.contains(|letter: char| letter.is_ascii_control() || letter.is_whitespace()) {
        let limit = "must contain no white space";
        return Err(Invalid::new("host", format!("{host:?}"), limit));
    }
    Ok(())
}

/// Fields that the probe writes itself.
pub(super) fn check_field(name: &str, value: &str) -> Result<(), Invalid> {
    check_name("header", name)?;
    check_value("header", value)?;
    let own = [
        ("Host", "must be set by with_host"),
        ("Connection", "must be left to the probe"),
        ("Content-Length", "must be left to the probe"),
        ("Transfer-Encoding", "must be left to the probe"),
    ];
    for (reserved, limit) in own {
        if name.eq_ignore_ascii_case(reserved) {
            return Err(Invalid::new("header", format!("{name:?}"), limit));
        }
    }
    Ok(())
}
