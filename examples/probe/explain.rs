//! What was expected, what came, and what to do about it.

use core::net::SocketAddr;

use lvs_healthcheck::{Code, Outcome, Phase};

use crate::duration::show;
use crate::kind::Kind;
use crate::subject::Subject;

/// Why an attempt did not pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Explanation {
    pub(crate) expected: String,
    pub(crate) got: String,
    /// What to do, if that is known.
    pub(crate) advice: Option<String>,
}

/// Explains an outcome; `None` if it is as it should be.
pub(crate) fn explain(subject: &Subject, outcome: &Outcome) -> Option<Explanation> {
    if outcome.verdict.is_pass() {
        return None;
    }
    let detail = outcome.detail.as_str();
    // The library says both where it compares.
    let compared = detail.split_once("expected ").map(|(before, after)| {
        let (expected, got) = match after.split_once(", got ") {
            Some((expected, got)) => (expected, got.to_owned()),
            None => match after.split_once("; ") {
                Some((expected, got)) => (expected, format!("{}: {got}", meaning(outcome.code))),
                None => (after, meaning(outcome.code).to_owned()),
            },
        };
        (format!("{expected}{}", step(before)), got)
    });
    let (expected, got) = compared.unwrap_or_else(|| {
        let meaning = meaning(outcome.code);
        let got = if detail.is_empty() {
            meaning.to_owned()
        } else {
            format!("{meaning}: {detail}")
        };
        (expected(subject, outcome.phase), got)
    });
    Some(Explanation {
        expected,
        got,
        advice: advice(subject, outcome),
    })
}

/// Where in a dialogue it was, after what was expected there.
fn step(before: &str) -> String {
    let step = before.trim_end().trim_end_matches(':');
    if step.is_empty() {
        String::new()
    } else {
        format!(" ({step})")
    }
}

/// What would have been right at this point.
fn expected(subject: &Subject, phase: Phase) -> String {
    let address = subject.address.map(|address| address.to_string());
    let address = address.unwrap_or_default();
    match phase {
        Phase::Resolve => "an address".to_owned(),
        Phase::Bind => "a socket, bound as asked for".to_owned(),
        Phase::Connect if subject.kind.is_stream() => {
            let time = show(subject.connect_timeout());
            format!("a connection to {address} within {time}")
        }
        Phase::Tls => format!(
            "a TLS handshake, with a certificate for {}",
            subject.server_name
        ),
        _ => format!(
            "{} within {}",
            subject.expected,
            show(subject.policy.timeout())
        ),
    }
}

/// What a code says, in a few words.
const fn meaning(code: Code) -> &'static str {
    match code {
        Code::Ok | Code::OkNoNew => "nothing that counts for its health",
        Code::LocalSocket => "no socket on this host",
        Code::LocalBind => "source address, port or device cannot be used on this host",
        Code::LocalDenied => "this host's own packet filter refused",
        Code::LocalNoRoute => "no route on this host",
        Code::Resolve => "the name leads nowhere",
        Code::Refused => "refused",
        Code::Unreachable => "not reachable, as the network says",
        Code::Reset => "the connection was reset",
        Code::TimeoutConnect => "no connection in time",
        Code::TimeoutTls => "no end of the TLS handshake in time",
        Code::TimeoutIo => "no complete reply in time",
        Code::TlsHandshake => "no agreement on TLS",
        Code::TlsVerify => "the certificate is not good enough",
        Code::TlsUnsupported => "the server wants what our TLS library does not have",
        Code::EofEarly => "the connection ended before a complete reply",
        Code::Proto => "no proper reply",
        Code::Status => "an unwanted answer",
        Code::Content => "other contents",
        Code::Busy => "it is busy for now",
        Code::ExitNonzero => "it says that it failed",
        Code::ExitSignal => "it died",
        Code::TimeoutProc => "it did not end in time",
        Code::Spawn => "it could not be started",
        Code::Cancelled => "cancelled",
        _ => "another outcome",
    }
}

/// What to do about it.
fn advice(subject: &Subject, outcome: &Outcome) -> Option<String> {
    let detail = outcome.detail.as_str();
    let port = subject.address.map_or(0, |address| address.port());
    let ip = subject.address.map(|address| address.ip().to_string());
    let ip = ip.unwrap_or_default();
    Some(match outcome.code {
        Code::Refused if subject.kind.is_datagram() => format!(
            "nothing is bound to the port there; on the server: ss -lun 'sport = :{port}'"
        ),
        Code::Refused => format!(
            "nothing listens there, or a firewall rejects; on the server: ss -ltn 'sport = :{port}'"
        ),
        Code::TimeoutConnect if subject.kind == Kind::Icmp => {
            "the host is down, or something drops ICMP".to_owned()
        }
        Code::TimeoutConnect => format!(
            "packets are dropped (firewall, wrong address, full accept queue): ping {ip}; on the \
             server: ss -ltn 'sport = :{port}' (Recv-Q)"
        ),
        Code::Unreachable => format!("the host is down, or a router refuses: ip neighbour show {ip}"),
        Code::LocalNoRoute => format!("ip route get {ip}; is the device up?"),
        Code::LocalDenied => "look at the output chains of this host: nft list ruleset".to_owned(),
        Code::LocalBind => local_bind(subject.address),
        Code::LocalSocket if subject.kind == Kind::Icmp => {
            "run it as root, or allow this group: sysctl net.ipv4.ping_group_range".to_owned()
        }
        Code::LocalSocket if detail.contains("CAP_") => "run it as root".to_owned(),
        Code::LocalSocket => "too many open files? ulimit -n".to_owned(),
        Code::Resolve => "getent ahosts NAME; or use the address".to_owned(),
        Code::TimeoutTls => "does the port speak TLS from the beginning?".to_owned(),
        Code::TlsHandshake if outcome.phase == Phase::Tls && !detail.contains("alert") => {
            "does the port speak TLS? Try the scheme without s".to_owned()
        }
        Code::TlsHandshake if detail.contains("client certificate") => {
            "--cert FILE --key FILE".to_owned()
        }
        Code::TlsVerify => {
            "--ca FILE to trust its authority, --sni NAME for the name it is for, --pin to accept \
             this one; --verify none to see whether that is all that is wrong"
                .to_owned()
        }
        Code::Proto | Code::EofEarly if subject.kind.is_stream() => {
            let other = if subject.tls { "" } else { "TLS (--tls or a scheme with s), or " };
            format!("does the server expect {other}a PROXY header (--proxy-header v2)?")
        }
        Code::Reset => "did its program crash, or does it expect something else on this port?".to_owned(),
        Code::TimeoutIo if subject.kind == Kind::Radius => {
            "is that the secret which the server has for this host, and does it answer Status-Server \
             (FreeRADIUS: status_server = yes)? It is silent to strangers"
                .to_owned()
        }
        Code::TimeoutIo if subject.kind == Kind::Snmp => {
            "is that the community, and may this host ask? Agents are silent to strangers".to_owned()
        }
        Code::TimeoutIo if subject.kind == Kind::Quic => {
            format!("does a firewall drop UDP? On the server: ss -lun 'sport = :{port}'")
        }
        Code::TimeoutIo => "is the server busy, or its program stuck? --timeout gives it more".to_owned(),
        Code::Status if subject.kind == Kind::Http => return status(detail),
        Code::Status if subject.kind == Kind::Dns => {
            "--rcode NAME if that is fine; REFUSED: not its zone, or we are not its client".to_owned()
        }
        Code::Status if subject.kind == Kind::Sip => {
            "--expect 200-499 if any answer shows that it is alive".to_owned()
        }
        Code::Status if subject.kind == Kind::Ntp => "on the server: chronyc tracking".to_owned(),
        Code::ExitNonzero | Code::ExitSignal => {
            "run it by hand; it has an environment of PATH only (--inherit-environment), and / as its \
             directory"
                .to_owned()
        }
        Code::Spawn => "is the path right, absolute, and executable?".to_owned(),
        Code::TimeoutProc => "--timeout gives it more".to_owned(),
        Code::Ok if subject.kind == Kind::Agent => {
            "it gave hints only; up or down in its line would count".to_owned()
        }
        _ => return None,
    })
}

fn local_bind(address: Option<SocketAddr>) -> String {
    let family = if address.is_some_and(|address| address.is_ipv6()) {
        "-6"
    } else {
        "-4"
    };
    format!("is the source one of this host's addresses, and the device there? ip {family} address")
}

/// About a status that was not expected.
fn status(detail: &str) -> Option<String> {
    let got = detail.split_once(", got ").map_or("", |(_, got)| got);
    let advice = match got.as_bytes().first() {
        Some(b'3') => "--follow goes where it leads, --expect 200-399 takes it as it is",
        Some(b'4') => "is the path right, and --host? --expect takes other statuses",
        Some(b'5') => "look into the server's log",
        _ => return None,
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use lvs_healthcheck::{Policy, Verdict};

    use super::*;

    fn subject(kind: Kind) -> Subject {
        Subject {
            name: "x".to_owned(),
            kind,
            tls: false,
            server_name: "h".to_owned(),
            address: Some("192.0.2.7:80".parse().unwrap()),
            expected: "a status of 200".to_owned(),
            policy: Policy::default(),
        }
    }

    fn explained(code: Code, phase: Phase, detail: &str) -> (String, String) {
        let outcome = Outcome::new(code, phase).with_detail(detail);
        let explanation = explain(&subject(Kind::Http), &outcome).unwrap();
        (explanation.expected, explanation.got)
    }

    #[test]
    fn both_sides_are_told() {
        for (code, phase, detail, expected, got) in [
            (
                Code::Status,
                Phase::Match,
                "expected status 200, got 503 No",
                "status 200",
                "503 No",
            ),
            (
                Code::Content,
                Phase::Match,
                "step 2: AUTH: expected \"+OK\", got \"-ERR\"",
                "\"+OK\" (step 2: AUTH)",
                "\"-ERR\"",
            ),
            (
                Code::EofEarly,
                Phase::Recv,
                "step 1: expected \"+OK\"; closed by the server",
                "\"+OK\" (step 1)",
                "the connection ended before a complete reply: closed by the server",
            ),
            (
                Code::Refused,
                Phase::Connect,
                "Connection refused",
                "a connection to 192.0.2.7:80 within 3 s",
                "refused: Connection refused",
            ),
            (
                Code::TimeoutIo,
                Phase::Recv,
                "",
                "a status of 200 within 3 s",
                "no complete reply in time",
            ),
        ] {
            let told = explained(code, phase, detail);
            assert_eq!((told.0.as_str(), told.1.as_str()), (expected, got));
        }
    }

    #[test]
    fn what_passed_needs_no_explanation_and_every_code_has_one() {
        let outcome = Outcome::new(Code::OkNoNew, Phase::Match);
        assert_eq!(explain(&subject(Kind::Http), &outcome), None);
        for code in Code::ALL {
            assert_ne!(meaning(*code), "another outcome", "{code}");
        }
        let hints = Outcome::new(Code::Ok, Phase::Match).with_verdict(Verdict::Neutral);
        let advice = explain(&subject(Kind::Agent), &hints).unwrap().advice;
        assert!(advice.unwrap().starts_with("it gave hints only"));
    }
}
