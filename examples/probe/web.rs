//! A request over HTTP from the options.

use core::net::IpAddr;

use lvs_healthcheck::probe::Pattern;
use lvs_healthcheck::probe::http::{BodyMatch, HeaderMatch, Http, Redirects, StatusSet};

use crate::arguments::{Options, Preset};
use crate::failure::Failure;
use crate::locator::Locator;

/// The request, and what is expected of its reply, for people.
pub(crate) fn http(options: &Options, locator: &Locator) -> Result<(Http, String), Failure> {
    let words = &options.words;
    let path = match locator.path.as_str() {
        "" => "/".to_owned(),
        path if path.starts_with('?') => format!("/{path}"),
        path => path.to_owned(),
    };
    let (mut http, default) = match options.judging.preset {
        Some(Preset::Keepalived) => (Http::keepalived(&path), StatusSet::SUCCESS),
        Some(Preset::Haproxy) => (
            Http::haproxy().with_path(&path),
            StatusSet::SUCCESS_OR_REDIRECT,
        ),
        None => (Http::get(&path), StatusSet::SUCCESS),
    };
    // An address is what the library says of itself.
    let is_name = locator.host.parse::<IpAddr>().is_err();
    if let Some(host) = &words.host {
        http = http.with_host(host);
    } else if is_name || options.place.connect.is_some() {
        http = http.with_host(&locator.authority());
    }
    if let Some(method) = words.method {
        http = http.with_method(method);
    }
    if let Some(version) = words.http_version {
        http = http.with_version(version);
    }
    for field in &words.header {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| Failure::value("header", format!("{field:?}"), "must be NAME: VALUE"))?;
        http = http.with_header(name, value.trim());
    }
    if let Some(body) = &words.body {
        http = http.with_body(&body.0);
    }
    let status = status(&words.expect)?;
    if let Some(status) = status {
        http = http.with_status(status);
    }
    let mut expected = vec![format!("a status of {}", status.unwrap_or(default))];
    if let Some(status) = words.drain_on {
        http = http.with_drain(status);
    }
    for field in &words.expect_header {
        http = http.with_reply_header(match field.split_once(':') {
            Some((name, value)) => HeaderMatch::present(name).is(value.trim()),
            None => HeaderMatch::present(field),
        });
        expected.push(format!("the field {field}"));
    }
    for part in &words.expect_contains {
        http = http.with_body_contains(&part.0);
        expected.push(format!("\"{}\" in the body", part.0.escape_ascii()));
    }
    for pattern in &words.expect_regex {
        let pattern = Pattern::new(pattern)?;
        expected.push(format!("a body that matches {pattern}"));
        http = http.with_body_match(BodyMatch::matches(pattern));
    }
    if let Some(digest) = words.digest {
        http = http.with_digest(digest);
        expected.push(format!("a body of {digest}"));
    }
    if let Some(bytes) = words.max_body {
        http = http.with_max_body(bytes);
    }
    if words.follow {
        http = http.with_redirects(Redirects::FOLLOW);
    }
    Ok((http, expected.join(", ")))
}

/// All statuses of all --expect.
fn status(sets: &[String]) -> Result<Option<StatusSet>, Failure> {
    if sets.is_empty() {
        return Ok(None);
    }
    let set = sets
        .join(",")
        .parse::<StatusSet>()
        .map_err(|invalid| Failure::value("expect", invalid.value, invalid.limit))?;
    Ok(Some(set))
}
