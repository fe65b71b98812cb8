//! What a handshake led to.

use core::time::Duration;

use super::TlsVersion;
use crate::outcome::Code;

/// What a finished handshake agreed on, and how long the server's certificate lasts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version agreed on.
    pub version: Option<TlsVersion>,
    /// The cipher suite agreed on, by its IANA name, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: Box<str>,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<Box<[u8]>>,
    /// Whether an earlier session was taken up; the certificate is then the one shown for that.
    pub resumed: bool,
    /// When the server's certificate ends, since 1970-01-01 UTC. `None` if it cannot be read.
    pub not_after: Option<Duration>,
    /// Whole days until then on this host's clock, negative if it is over (which only
    /// [`Verify::None`](super::Verify::None) and [`Verify::Pin`](super::Verify::Pin) let pass).
    pub days_left: Option<i64>,
    /// Whether so few are left that somebody should care; see
    /// [`Tls::with_expiry_warning_days`](super::Tls::with_expiry_warning_days).
    pub expires_soon: bool,
}

/// Why there is no TLS, or no more.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsKind {
    /// The server refused, or has nothing in common with the settings, or does not speak TLS.
    Handshake,
    /// Its certificate is not good enough.
    Verify,
    /// It wants what this library does not have.
    Unsupported,
    /// It closed the connection in the middle of the handshake.
    Eof,
    /// After the handshake, it sent what is not proper TLS.
    Proto,
    /// It went on in plain text after it had agreed to start TLS. Such bytes may be somebody
    /// else's, CVE-2011-0411.
    Injected,
    /// The settings cannot be used; [`Tls::validate`](super::Tls::validate) was not called.
    Settings,
}

impl TlsKind {
    /// The outcome code for it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Handshake => Code::TlsHandshake,
            Self::Verify => Code::TlsVerify,
            Self::Unsupported => Code::TlsUnsupported,
            Self::Eof => Code::EofEarly,
            Self::Proto | Self::Injected => Code::Proto,
            Self::Settings => Code::LocalSocket,
        }
    }
}
