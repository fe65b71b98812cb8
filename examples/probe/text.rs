//! An attempt as text.

use core::fmt::Write as _;
use core::time::Duration;

use lvs_healthcheck::outcome::Timing;
use lvs_healthcheck::probe::tls::TlsInfo;
use lvs_healthcheck::{Code, Outcome};

use crate::duration::show;
use crate::explain::explain;
use crate::kind::Kind;
use crate::output::Finding;
use crate::subject::Subject;

/// A headline, and below it what there is to say.
pub(crate) fn block(subject: &Subject, finding: &Finding, numbered: bool) -> String {
    let outcome = &finding.outcome;
    let number = if numbered {
        format!("{}: ", finding.attempt)
    } else {
        String::new()
    };
    let mut text = format!("{number}{}: {}\n", subject.title(), finding.health);
    let mut line = |label: &str, value: &str| {
        // Nothing can go wrong when writing to a string.
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    let explanation = explain(subject, outcome);
    match &explanation {
        Some(_) => line("outcome", &format!("{} ({})", outcome.code, outcome.phase)),
        None => line("outcome", &outcome.to_string()),
    }
    if let Some(explanation) = &explanation {
        line("expected", &explanation.expected);
        line("got", &explanation.got);
    }
    if let (Some(_), Some(weight)) = (&explanation, outcome.weight) {
        line("weight", &weight.to_string());
    }
    if let (Some(_), Some(admin)) = (&explanation, outcome.admin) {
        line("asks for", &admin.to_string());
    }
    let times = timing(&outcome.timing);
    if !times.is_empty() {
        line("time", &times);
    }
    if let Some(tls) = &outcome.tls {
        line("tls", &session(tls));
    }
    for (number, said) in String::from_utf8_lossy(&outcome.output).lines().enumerate() {
        line(if number == 0 { "output" } else { "" }, &printable(said));
    }
    if numbered {
        let highest = subject.policy.highest();
        line(
            "counter",
            &format!(
                "{} of {highest}, up from {}",
                finding.counter,
                subject.policy.rise()
            ),
        );
    }
    if silent(subject, outcome) {
        line(
            "beware",
            "silence passes; with --send and one of --expect… an answer is wanted",
        );
    }
    if let Some(advice) = explanation.and_then(|explanation| explanation.advice) {
        line("try", &advice);
    }
    text
}

/// Whether it passed because nothing came.
fn silent(subject: &Subject, outcome: &Outcome) -> bool {
    subject.kind == Kind::Udp && outcome.code == Code::Ok && outcome.timing.first_byte.is_none()
}

/// How long each part took from the start of the attempt.
pub(crate) fn timing(timing: &Timing) -> String {
    let parts = [
        ("connect", timing.connect),
        ("tls", timing.tls),
        ("first byte", timing.first_byte),
        ("total", timing.total),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter_map(|(name, time)| time.map(|time: Duration| format!("{name} {}", show(time))))
        .collect();
    parts.join(", ")
}

fn session(tls: &TlsInfo) -> String {
    let mut text = tls
        .version
        .map_or_else(String::new, |version| version.to_string());
    if !tls.cipher_suite.is_empty() {
        let _ = write!(text, ", {}", tls.cipher_suite);
    }
    if let Some(alpn) = &tls.alpn {
        let _ = write!(text, ", {}", alpn.escape_ascii());
    }
    if let Some(days) = tls.days_left {
        let _ = write!(text, ", certificate ends in {days} days");
    }
    if tls.expires_soon {
        text.push_str(": renew it");
    }
    text
}

/// Text that moves no cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}
