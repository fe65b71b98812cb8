//! What is common to checks, and to commands: every mapping to what is run.

mod kinds;

use lvs_healthcheck::policy::KeepalivedChecker;
use lvs_healthcheck::probe::command::Environment;
use lvs_healthcheck::{Command, lookup_user};
use nix::unistd::{User, geteuid};

use super::command::{SCRIPT_USER, command};
use super::*;
use crate::setup::Setup;

fn setup(text: &str) -> Setup {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    Setup::new(&config)
}

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
fn commands_have_words_environment_and_account() {
    let made = |globals: &str, user: &str| {
        let lines = format!("MISC_CHECK {{\nmisc_path \"/bin/check 'a b' c\"\n{user}\n}}");
        let (config, check) = check(&format!("{globals}\n{}", with_check(&lines)));
        match check.kind {
            CheckKind::Misc(misc) => command(&config, &misc.command),
            other => panic!("{other:?}"),
        }
    };
    let own = User::from_uid(geteuid()).unwrap().unwrap();
    let uid = |command: &Command| command.credentials().map(|who| who.uid);
    let is_root = geteuid().is_root();
    let globals = format!("global_defs {{\nscript_user {}\n}}", own.name);
    let plain = made(&globals, "").unwrap();
    assert_eq!(plain.arguments(), ["/bin/check", "a b", "c"]);
    assert_eq!(*plain.environment(), Environment::Inherit);
    assert_eq!(uid(&plain), is_root.then_some(0));
    // The check's own account counts before the global one, which need not exist then.
    let globals = "global_defs {\nscript_user nosuchuser\n}";
    let user = format!("user {}", own.name);
    assert_eq!(uid(&made(globals, &user).unwrap()), is_root.then_some(0));
    // Without any, an account of a certain name if there is one.
    let default = lookup_user(SCRIPT_USER).ok().filter(|_| is_root);
    assert_eq!(made("", "").unwrap().credentials().cloned(), default);
    let message = |made: Result<Command, CheckError>| made.unwrap_err().to_string();
    assert!(message(made("global_defs {\nscript_user nosuchuser\n}", "")).contains("nosuchuser"));
    assert_eq!(
        message(made("", "user root nosuchgroup")),
        "there is no group nosuchgroup"
    );
    if !is_root {
        assert_eq!(
            message(made("", "user root")),
            "running it as root needs root"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn scripts_that_others_may_change_are_refused_when_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    std::fs::write(&script, "").unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&script, everybody).unwrap();
    let lines = format!(
        "MISC_CHECK {{\nmisc_path {}\nuser root\n}}",
        script.display()
    );
    let text = with_check(&lines);
    assert_eq!(setup(&text).problems, Vec::<String>::new());
    let strict = setup(&format!(
        "global_defs {{\nenable_script_security\n}}\n{text}"
    ));
    assert_eq!(strict.problems.len(), 1, "{:?}", strict.problems);
    let expected = "t.conf:9:1: MISC_CHECK cannot be run: ";
    assert!(
        strict.problems[0].starts_with(expected),
        "{:?}",
        strict.problems
    );
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
        let expected = format!("t.conf:6:1: TCP_CHECK cannot be run: {expected}");
        assert_eq!(setup.problems.len(), 1, "{lines} {:?}", setup.problems);
        assert!(
            setup.problems[0].starts_with(&expected),
            "{:?}",
            setup.problems
        );
        assert!(setup.checks.is_empty());
    }
}
