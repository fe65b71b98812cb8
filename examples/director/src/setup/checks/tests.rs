//! What is common to checks, and to commands: every mapping to what is run.

mod kinds;

use lvs_healthcheck::policy::KeepalivedChecker;

use super::*;
use crate::setup::Setup;

const TCP: &str = "192.0.2.1 80";
const PLAIN: &str = "lb_algo rr\nlb_kind NAT\nprotocol TCP";

/// A configuration with one check, and that check.
fn check(text: &str) -> (Config, keepalived::Check) {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    let check = config.virtual_servers()[0].real_servers[0].checks[0].clone();
    (config, check)
}

fn with_check(lines: &str) -> String {
    format!("virtual_server {TCP} {{\n{PLAIN}\nreal_server 10.0.0.1 8080 {{\n{lines}\n}}\n}}\n")
}

#[test]
fn knobs_are_those_of_the_check() {
    let (_, written) = check(&with_check(
        "delay_loop 9\nTCP_CHECK {\ndelay_loop 5\nretry 4\ndelay_before_retry 2\nwarmup 0\n\
         connect_timeout 1.5\nalpha\nlog_all_failures\n}",
    ));
    let mut expected = Keepalived::new();
    expected.delay_loop = Some(Duration::from_secs(5));
    expected.retry = Some(4);
    expected.delay_before_retry = Some(Duration::from_secs(2));
    expected.warmup = Some(Duration::ZERO);
    expected.connect_timeout = Some(Duration::from_millis(1500));
    expected.alpha = true;
    expected.log_all_failures = true;
    assert_eq!(knobs(&written, None), expected);
    expected.misc_timeout = Some(Duration::from_secs(7));
    assert_eq!(knobs(&written, Some(Duration::from_secs(7))), expected);

    // What is not written is keepalived's default, for either kind of check.
    for (kind, lines) in [
        (KeepalivedChecker::Tcp, "TCP_CHECK {\n}"),
        (
            KeepalivedChecker::Misc,
            "MISC_CHECK {\nmisc_path /bin/true\n}",
        ),
    ] {
        let (_, plain) = check(&with_check(lines));
        let timeout = match &plain.kind {
            CheckKind::Misc(misc) => Some(misc.timeout),
            _ => None,
        };
        let policy = Policy::keepalived(kind, &knobs(&plain, timeout));
        assert_eq!(policy, Policy::keepalived(kind, &Keepalived::new()));
    }
}

#[test]
fn targets_have_everything_of_a_connection() {
    let of = |lines: &str| match check(&with_check(lines)).1.kind {
        CheckKind::Tcp(connection) => target(&connection),
        other => panic!("{other:?}"),
    };
    let plain = Target::new("10.0.0.1:8080".parse().unwrap());
    assert_eq!(of("TCP_CHECK {\n}"), plain);
    let full = of(
        "TCP_CHECK {\nconnect_ip 10.0.0.9\nconnect_port 9000\nbindto 10.0.0.254\nbind_port 4000\n\
         bind_if eth1\nfwmark 9\n}",
    );
    let expected = Target::new("10.0.0.9:9000".parse().unwrap())
        .with_source([10, 0, 0, 254].into())
        .with_source_port(4000)
        .with_device("eth1")
        .with_mark(9);
    assert_eq!(full, expected);
}

#[test]
fn checks_that_no_driver_takes_are_problems_with_a_place() {
    for (lines, expected) in [
        (
            "TCP_CHECK {\ndelay_loop 1000000001\n}",
            "interval is 1000000001s: ",
        ),
        ("TCP_CHECK {\ndelay_loop 0.0001\n}", "interval is 100µs: "),
    ] {
        let config = Config::parse("t.conf", &with_check(lines));
        let setup = Setup::new(&config);
        let expected = format!("t.conf:6:1: error: TCP_CHECK cannot be run: {expected}");
        let [found, ..] = setup.diagnostics() else {
            panic!("{lines}");
        };
        assert!(found.to_string().starts_with(&expected), "{found}");
        assert!(setup.checks.is_empty());
    }
}
