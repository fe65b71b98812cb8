//! An attempt as a JSON object; the fields are described in the help.

use core::time::Duration;
use std::time::UNIX_EPOCH;

use lvs_healthcheck::Verdict;
use lvs_healthcheck::probe::tls::TlsInfo;
use serde_json::{Value, json};

use crate::duration::milliseconds;
use crate::explain::explain;
use crate::output::Finding;
use crate::subject::Subject;

/// The object.
pub(crate) fn object(subject: &Subject, finding: &Finding) -> Value {
    let outcome = &finding.outcome;
    let timing = &outcome.timing;
    let time = |time: Option<Duration>| time.map(milliseconds);
    let explanation = explain(subject, outcome);
    let explanation = explanation.as_ref();
    let since = finding.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "target": subject.name,
        "address": subject.address.map(|address| address.to_string()),
        "attempt": finding.attempt,
        "time": milliseconds(since) / 1000.0,
        "verdict": verdict(outcome.verdict),
        "code": outcome.code.as_str(),
        "phase": outcome.phase.to_string(),
        "detail": text(outcome.detail.as_str()),
        "expected": explanation.map(|explanation| &explanation.expected),
        "got": explanation.map(|explanation| &explanation.got),
        "advice": explanation.and_then(|explanation| explanation.advice.as_ref()),
        "connect_ms": time(timing.connect),
        "tls_ms": time(timing.tls),
        "first_byte_ms": time(timing.first_byte),
        "total_ms": time(timing.total),
        "health": finding.health.to_string(),
        "counter": finding.counter,
        "counter_max": subject.policy.highest(),
        "changed": finding.changed,
        "next_ms": time(finding.next),
        "weight": outcome.weight.map(|weight| weight.to_string()),
        "admin": outcome.admin.map(|admin| admin.to_string()),
        "tls": outcome.tls.as_deref().map(session),
        "output": text(&String::from_utf8_lossy(&outcome.output)),
    })
}

fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The stable name of a verdict.
pub(crate) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::PassNoNew => "pass_no_new",
        Verdict::Fail => "fail",
        Verdict::FailNow => "fail_now",
        _ => "neutral",
    }
}

fn session(tls: &TlsInfo) -> Value {
    json!({
        "version": tls.version.map(|version| version.to_string()),
        "cipher_suite": text(&tls.cipher_suite),
        "alpn": tls.alpn.as_ref().map(|alpn| alpn.escape_ascii().to_string()),
        "resumed": tls.resumed,
        "not_after": tls.not_after.map(|end| end.as_secs()),
        "days_left": tls.days_left,
    })
}
