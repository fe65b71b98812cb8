//! `HTTP_GET` and `SSL_GET`: pages are as expected.

use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::Pattern;
use lvs_healthcheck::probe::http::{BodyMatch, Digest, HttpSequence, StatusSet, Version};
use lvs_healthcheck::probe::tls::Tls;
use lvs_healthcheck::{Http, Invalid, TcpProbe};

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, HttpCheck, HttpProtocol, HttpUrl, Regex};

/// Over TLS if that is given.
pub(super) fn planned(
    check: &keepalived::Check,
    http: &HttpCheck,
    tls: Option<Tls>,
) -> Result<Planned, CheckError> {
    let target = target(&http.connection);
    let keyword = check.kind.keyword();
    let policy = Policy::keepalived(KeepalivedChecker::Http, &knobs(check, None));
    let mut name = format!("{keyword} {}", target.address());
    let mut probe = TcpProbe::new(target);
    if let Some(tls) = tls {
        probe = probe.with_tls(tls);
    }
    let requests: Result<Vec<Http>, _> = http.urls.iter().map(|url| request(url, http)).collect();
    let mut requests = requests.map_err(lvs_healthcheck::Error::from)?;
    if let Some(first) = http.urls.first() {
        name.push(' ');
        name.push_str(&first.path);
    }
    if requests.len() == 1
        && let Some(only) = requests.pop()
    {
        return Ok((plan(probe.with_protocol(only), policy)?, name));
    }
    name.push_str(&format!(" and {} more", requests.len().saturating_sub(1)));
    let mut pages = HttpSequence::new(requests).one_per_attempt();
    if http.fast_recovery {
        pages = pages.with_fast_recovery();
    }
    Ok((plan(probe.with_protocol(pages), policy)?, name))
}

/// Asks for a page.
fn request(url: &HttpUrl, http: &HttpCheck) -> Result<Http, Invalid> {
    let version = match http.protocol {
        HttpProtocol::V10Close => Version::Http10Close,
        HttpProtocol::V11 => Version::Http11,
        _ => Version::Http10,
    };
    let ranges = url.status.iter();
    let status = ranges.fold(StatusSet::EMPTY, |set, range| {
        set.union(StatusSet::range(*range.start(), *range.end()))
    });
    let mut request = Http::keepalived(&url.path)
        .with_version(version)
        .with_status(status);
    if let Some(host) = &url.virtualhost {
        request = request.with_host(host);
    }
    if let Some(name) = &url.sni_name {
        request = request.with_server_name(name);
    }
    if let Some(digest) = url.digest {
        request = request.with_digest(Digest::md5(digest));
    }
    if let Some(regex) = &url.regex {
        request = request.with_body_match(body(regex)?);
    }
    Ok(request)
}

/// What a page contains, or must not contain. A matcher without a stack needs no `regex_stack`.
fn body(regex: &Regex) -> Result<BodyMatch, Invalid> {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut pattern = Pattern::keepalived(&regex.pattern, &regex.options.join(" "))?
        .with_min_offset(size(regex.min_offset));
    if let Some(most) = regex.max_offset {
        pattern = pattern.with_max_offset(size(most));
    }
    let wanted = BodyMatch::matches(pattern);
    Ok(match regex.no_match {
        true => wanted.negated(),
        false => wanted,
    })
}
