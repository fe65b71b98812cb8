//! What an [`Http`](super::Http) is made of, and what of it is refused.

use super::request::{Host, Style, check_field, check_host, check_path};
use super::{BodyMatch, Digest, HeaderMatch, Method, Redirects, StatusSet, Version};
use crate::error::Invalid;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Settings {
    pub(super) method: Method,
    pub(super) path: Box<str>,
    pub(super) version: Version,
    pub(super) host: Host,
    /// The name for TLS, if it is given apart from the host.
    pub(super) server_name: Option<Box<str>>,
    /// The protocols to offer by ALPN.
    pub(super) alpn: &'static [&'static [u8]],
    pub(super) fields: Vec<(Box<str>, Box<str>)>,
    pub(super) style: Style,
    pub(super) state_field: bool,
    pub(super) body: Box<[u8]>,
    pub(super) status: StatusSet,
    pub(super) fail_now: StatusSet,
    pub(super) drain: StatusSet,
    pub(super) reply_fields: Vec<HeaderMatch>,
    pub(super) digest: Option<Digest>,
    pub(super) body_matches: Vec<BodyMatch>,
    pub(super) max_body: usize,
    pub(super) redirects: Redirects,
    pub(super) immediate_fail: bool,
    pub(super) weight_field: bool,
    /// Whether the reply is read to the end of the connection.
    pub(super) until_eof: bool,
}

impl Settings {
    pub(super) fn new(path: &str) -> Self {
        Self {
            method: Method::Get,
            path: path.into(),
            version: Version::Http11,
            host: Host::Address,
            server_name: None,
            alpn: &[b"http/1.1"],
            fields: Vec::new(),
            style: Style::Own,
            state_field: false,
            body: Box::default(),
            status: StatusSet::SUCCESS,
            fail_now: StatusSet::EMPTY,
            drain: StatusSet::EMPTY,
            reply_fields: Vec::new(),
            digest: None,
            body_matches: Vec::new(),
            max_body: 64 << 10,
            redirects: Redirects::Judge,
            immediate_fail: false,
            weight_field: false,
            until_eof: false,
        }
    }

    /// Whether the user adds a field of this name.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(this, _)| this.eq_ignore_ascii_case(name))
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        check_path(&self.path, self.method)?;
        if let Host::Is(host) = &self.host {
            check_host(host)?;
        }
        for (name, value) in &self.fields {
            check_field(name, value)?;
        }
        if self.status.is_empty() {
            return Err(Invalid::new("status", "empty", "must name a status"));
        }
        self.reply_fields
            .iter()
            .try_for_each(HeaderMatch::validate)?;
        self.body_matches.iter().try_for_each(BodyMatch::validate)?;
        let looks_at_body = self.digest.is_some() || !self.body_matches.is_empty();
        if looks_at_body && self.method == Method::Head {
            let limit = "must not be HEAD, which has no body in reply, if one is expected";
            return Err(Invalid::new("method", "HEAD", limit));
        }
        if self.max_body == 0 {
            return Err(Invalid::new("max_body", "0", "must be at least 1"));
        }
        match self.redirects {
            Redirects::Follow { max, .. } if !(1..=20).contains(&max) => {
                let max = max.to_string();
                Err(Invalid::new("redirects", max, "must be 1 to 20 in a row"))
            }
            _ => Ok(()),
        }
    }
}
