//! HTTP/1: what a server answers to a request is what is expected of it.
//!
//! [`Http`] is one request and what is expected of its reply; [`HttpSequence`] is several of them.
//! Both are held over a [`TcpProbe`]:
//!
//! ```
//! use lvs_healthcheck::probe::http::{Http, HttpProbe};
//! use lvs_healthcheck::{Target, TcpProbe};
//!
//! let health = Http::get("/health")
//!     .with_host("www.example")
//!     .with_status("200-299".parse()?)
//!     .with_body_contains("ok");
//! let probe: HttpProbe = TcpProbe::new(Target::new("192.0.2.7:80".parse()?)).with_protocol(health);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is asked, and what is heard
//!
//! Over TLS `http/1.1` is offered (ALPN), unless [`Tls::with_alpn`](super::tls::Tls::with_alpn) says
//! otherwise: some servers refuse who offers nothing. The ways of keepalived and HAProxy offer
//! nothing, as these do.
//!
//! The request is one of HTTP/1.1 with `Connection: close`, unless another
//! [version](Http::with_version) is chosen. If nothing is expected of the body, the attempt is over
//! with the header. A reply must keep to RFC 9112; these limits hold:
//!
//! | Part | Limit |
//! |---|---|
//! | status line | 8 KiB; one empty line before it is skipped |
//! | header | 64 KiB, 128 fields, no field over several lines |
//! | interim replies (1xx) | 8; 101 is an error |
//! | body | [`with_max_body`](Http::with_max_body), 64 KiB; patterns then judge what is there, a digest fails |
//! | line of a chunk size, trailer | 4 KiB, 64 KiB |
//!
//! | Wrong | Code |
//! |---|---|
//! | not HTTP/1, malformed, beyond a limit, several lengths that differ | [`Proto`](Code::Proto) |
//! | connection closed before the reply was complete | [`EofEarly`](Code::EofEarly) |
//! | status not expected | [`Status`](Code::Status) |
//! | header field, digest or body not as expected | [`Content`](Code::Content) |
//! | 503 while it is a status that [drains](Http::with_drain) | [`Busy`](Code::Busy) |
//!
//! # Words of keepalived and HAProxy
//!
//! | keepalived | Here |
//! |---|---|
//! | `HTTP_GET { url { path P } }` | [`Http::keepalived`]`(P)` |
//! | `SSL_GET` | the same over TLS |
//! | several `url` | [`HttpSequence::one_per_attempt`] |
//! | `fast_recovery` | [`HttpSequence::with_fast_recovery`] |
//! | `status_code LIST` | [`with_status`](Http::with_status) |
//! | `digest HEX` | [`with_digest`](Http::with_digest) |
//! | `virtualhost NAME` | [`with_host`](Http::with_host); `url` before checker before `real_server` before `virtual_server` |
//! | `sni_name NAME`, `enable_sni` | [`with_server_name`](Http::with_server_name) |
//! | `http_protocol V` | [`with_version`](Http::with_version), parsed from V |
//! | `regex P`, `regex_options O` | [`with_body_match`](Http::with_body_match) of `probe::Pattern::keepalived(P, O)` |
//! | `regex_no_match` | [`BodyMatch::negated`] |
//! | `regex_min_offset N`, `regex_max_offset N` | `Pattern::with_min_offset`, `with_max_offset` |
//! | `regex_stack` | nothing: matching needs no stack |
//!
//! Patterns are for the body. keepalived 2.2.7 also searches the header, and counts offsets from its
//! beginning, if it arrives together with the body.
//!
//! | HAProxy | Here |
//! |---|---|
//! | `option httpchk` | [`Http::haproxy`] |
//! | `http-check send meth M uri U ver V` | [`with_method`](Http::with_method), [`with_path`](Http::with_path), [`with_version`](Http::with_version) |
//! | `http-check send hdr NAME VALUE` | [`with_header`](Http::with_header); `host` by [`with_host`](Http::with_host) |
//! | `http-check send body B` | [`with_body`](Http::with_body) |
//! | `http-check expect status LIST`, `rstatus` | [`with_status`](Http::with_status) |
//! | `http-check expect string S` | [`with_body_contains`](Http::with_body_contains), and `with_status(StatusSet::ALL)`, as HAProxy looks at one or the other |
//! | `http-check expect rstring P` | [`with_body_match`](Http::with_body_match), and the same |
//! | `http-check expect hdr`, `fhdr` | [`with_reply_header`](Http::with_reply_header) with and without [`HeaderMatch::in_list`] |
//! | `http-check expect ! …` | `negated` of the match |
//! | `http-check disable-on-404` | [`with_drain`](Http::with_drain) of 404 |
//! | `http-check send-state` | [`with_state_header`](Http::with_state_header), its first word only |

mod body;
mod chunked;
mod dialogue;
mod digest;
mod hint;
mod matcher;
mod redirect;
mod reply;
mod request;
mod sequence;
mod settings;
mod status_set;

use std::sync::Arc;

use self::dialogue::HttpDialogue;
pub use self::digest::{Digest, DigestOf};
pub use self::matcher::{BodyMatch, HeaderMatch};
pub use self::redirect::Redirects;
use self::request::{Host, Style, server_name};
pub use self::request::{Method, Version};
pub use self::sequence::HttpSequence;
use self::settings::Settings;
pub use self::status_set::StatusSet;
#[cfg(doc)]
use crate::Code;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::probe::tcp::TcpProbe;
use crate::probe::{Dialogue, Identity, Protocol};

/// A check over HTTP.
pub type HttpProbe = TcpProbe<Http>;

/// One request and what is expected of its reply. See the [module](self).
///
/// Settings are looked at when the check is added; one that cannot be sent (a line end in a path,
/// for instance) is refused then, by name. Cheap to clone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Http(Arc<Settings>);

impl Http {
    /// Asks for this path with GET and expects a status from 200 to 299.
    pub fn get(path: &str) -> Self {
        Self(Arc::new(Settings::new(path)))
    }

    /// Asks the way keepalived does: GET in HTTP/1.0, `User-Agent: KeepAliveClient`, the Host
    /// always with its port.
    ///
    /// The reply is read to the end of the connection, whatever the status; chunks are taken as
    /// they come, a body shorter than Content-Length is only noted, and the limit of a body that is
    /// looked at is 16 MiB.
    pub fn keepalived(path: &str) -> Self {
        Self::get(path).edit(|settings| {
            settings.version = Version::Http10;
            settings.style = Style::Keepalived;
            settings.alpn = &[];
            settings.host = Host::AddressAndPort;
            settings.until_eof = true;
            settings.max_body = 16 << 20;
        })
    }

    /// Asks the way HAProxy's `option httpchk` does: `OPTIONS / HTTP/1.0` without any field, and
    /// expects a status from 200 to 399. The limit of a body is 16 KiB.
    pub fn haproxy() -> Self {
        Self::get("/").edit(|settings| {
            settings.method = Method::Options;
            settings.version = Version::Http10;
            settings.style = Style::Bare;
            settings.alpn = &[];
            settings.host = Host::Absent;
            settings.status = StatusSet::SUCCESS_OR_REDIRECT;
            settings.max_body = 16 << 10;
        })
    }

    /// Whether the health of the check makes no difference to an attempt.
    fn is_independent(&self) -> bool {
        !self.0.state_field && self.0.drain.is_empty()
    }

    /// Asks with another method.
    pub fn with_method(self, method: Method) -> Self {
        self.edit(|settings| settings.method = method)
    }

    /// Asks for another path, with query if there is one.
    pub fn with_path(self, path: &str) -> Self {
        self.edit(|settings| settings.path = path.into())
    }

    /// Asks in another version of HTTP. Default 1.1.
    pub fn with_version(self, version: Version) -> Self {
        self.edit(|settings| settings.version = version)
    }

    /// Names this host, as it is. Default: the server's address, and its port unless that is 80
    /// (443 over TLS). Over TLS a host that is not an address is also the
    /// [name](crate::probe::tls::Tls::with_name) of the server, unless another one is given; with
    /// the ways of keepalived and HAProxy it is not, as they send no name by themselves.
    pub fn with_host(self, host: &str) -> Self {
        self.edit(|settings| settings.host = Host::Is(host.into()))
    }

    /// Names the server so in TLS (SNI), whatever host is named: keepalived's `sni_name`. Counts
    /// only where [`Tls`](crate::probe::tls::Tls::with_name) has no name. Default: see
    /// [`with_host`](Self::with_host).
    pub fn with_server_name(self, name: &str) -> Self {
        self.edit(|settings| settings.server_name = Some(name.into()))
    }

    /// Names no host at all. Servers refuse that in version 1.1, RFC 9112 §3.2.
    pub fn without_host(self) -> Self {
        self.edit(|settings| settings.host = Host::Absent)
    }

    /// Adds a field to the request. `User-Agent` and `Accept` replace what would be sent otherwise:
    /// the name and version of this package, and `*/*`.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        self.edit(|settings| settings.fields.push((name.into(), value.into())))
    }

    /// Sends this as the body of the request.
    pub fn with_body(self, body: impl AsRef<[u8]>) -> Self {
        self.edit(|settings| settings.body = body.as_ref().into())
    }

    /// Adds `X-Haproxy-Server-State: UP` or `DOWN`: what this check thinks of the server so far.
    pub fn with_state_header(self) -> Self {
        self.edit(|settings| settings.state_field = true)
    }

    /// Expects one of these statuses. Default [`StatusSet::SUCCESS`].
    pub fn with_status(self, status: StatusSet) -> Self {
        self.edit(|settings| settings.status = status)
    }

    /// One of these statuses, if it is not expected, is a failure that does not wait for others.
    /// Default: none. With everything but Envoy's `retriable_statuses` here, failures count as
    /// Envoy's do.
    pub fn with_fail_now(self, status: StatusSet) -> Self {
        self.edit(|settings| settings.fail_now = status)
    }

    /// One of these statuses, expected or not, asks for no new connections while the check is up,
    /// and is judged like any other while it is not. Default: none.
    pub fn with_drain(self, status: StatusSet) -> Self {
        self.edit(|settings| settings.drain = status)
    }

    /// Expects, or does not expect, a field in the header.
    pub fn with_reply_header(self, wanted: HeaderMatch) -> Self {
        self.edit(|settings| settings.reply_fields.push(wanted))
    }

    /// Expects this in the body.
    pub fn with_body_contains(self, text: impl AsRef<[u8]>) -> Self {
        self.with_body_match(BodyMatch::contains(text))
    }

    /// Expects, or does not expect, something of the body. All that are given must fit.
    pub fn with_body_match(self, wanted: BodyMatch) -> Self {
        self.edit(|settings| settings.body_matches.push(wanted))
    }

    /// Expects a body with this digest.
    pub fn with_digest(self, digest: Digest) -> Self {
        self.edit(|settings| settings.digest = Some(digest))
    }

    /// Reads at most so many bytes of a body, at least 1. Default 64 KiB. Of what is beyond,
    /// matches know nothing; a digest fails.
    pub fn with_max_body(self, bytes: usize) -> Self {
        self.edit(|settings| settings.max_body = bytes)
    }

    /// What to do at a redirect. Default [`Redirects::Judge`].
    pub fn with_redirects(self, redirects: Redirects) -> Self {
        self.edit(|settings| settings.redirects = redirects)
    }

    /// Fails at once, whatever the status, if the reply has the field
    /// `X-Envoy-Immediate-Health-Check-Fail`.
    pub fn with_immediate_fail(self) -> Self {
        self.edit(|settings| settings.immediate_fail = true)
    }

    /// Takes the weight from the field `X-Server-Weight` of the reply, if there is one: `N`, `N%`,
    /// `+N` or `-N`, the latter two relative to the configured one.
    pub fn with_weight_header(self) -> Self {
        self.edit(|settings| settings.weight_field = true)
    }

    /// The host it names, if it was given one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.0.host {
            Host::Is(host) => Some(host),
            _ => None,
        }
    }

    fn edit(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Protocol for Http {
    fn identity(&self) -> Option<Identity<'_>> {
        self.is_independent().then(|| Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn dialogue(&self, attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(HttpDialogue::new(self.clone(), Vec::new(), attempt))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.0.validate()
    }

    fn server_name(&self) -> Option<&str> {
        server_name(&self.0)
    }

    fn alpn(&self) -> &'static [&'static [u8]] {
        self.0.alpn
    }
}
