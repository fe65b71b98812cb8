//! The start-up review as the program shows it: `--check`, and at the start.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their helpers")]

#[expect(dead_code, reason = "made for other tests as well")]
mod program;
mod unprivileged;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use program::{End, Program};
use serde_json::Value;
use unprivileged::Unprivileged;

const FINE: &str = "virtual_server 192.0.2.1 80 {\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n  \
                    real_server 10.0.0.2 80 {\n  }\n}\n";

fn run(text: &str, arguments: &[&str]) -> End {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lb.conf"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    command.current_dir(&folder).arg("lb.conf").args(arguments);
    Program::start(&mut command).end()
}

fn other_port() -> String {
    FINE.replace("10.0.0.2 80", "10.0.0.2 8080")
}

/// The lines after those with the pools.
const FOUND: &str = "\
lb.conf:5:3: fails: real_server 10.0.0.2 port 8080: direct routing delivers what comes for TCP \
192.0.2.1:80 to port 80, where the server does not listen [port-differs]
    why: only NAT translates ports; the server has to listen on port 80 itself, or be given lvs_method \
NAT (specification 3.1)
    fix: lb.conf:5: real_server 10.0.0.2 80    (in place of: real_server 10.0.0.2 8080)
";

#[test]
fn what_will_not_work_is_shown_with_its_fix_and_a_failure() {
    let end = run(&other_port(), &["--check", "--memory"]);
    assert_eq!(end.code, Some(1), "{end:?}");
    let (pools, found) = end.out.split_once('\n').unwrap();
    assert!(pools.ends_with(": 1 real servers"), "{end:?}");
    assert_eq!(found, FOUND.trim_end());
    let last = end.err.lines().last();
    assert_eq!(last, Some("director: 1 thing of this will not work"));
    let end = run(FINE, &["--check", "--memory"]);
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    assert_eq!(end.out.lines().count(), 1, "{end:?}");
}

#[test]
fn as_json_each_is_an_object_on_a_line() {
    let end = run(&other_port(), &["--check", "--json", "--memory"]);
    assert_eq!(end.code, Some(1), "{end:?}");
    let found: Value = serde_json::from_str(&end.out).unwrap();
    for (key, expected) in [
        ("severity", Value::from("fails")),
        ("code", "port-differs".into()),
        ("file", "lb.conf".into()),
        ("line", 5.into()),
        ("column", 3.into()),
        ("rule", "3.1".into()),
        ("refused", false.into()),
    ] {
        assert_eq!(found[key], expected, "{key}");
    }
    let fix = serde_json::json!([{
        "file": "lb.conf", "line": 5,
        "replace": "real_server 10.0.0.2 8080", "with": "real_server 10.0.0.2 80",
    }]);
    assert_eq!(found["fixes"], fix);
    let end = run(FINE, &["--check", "--json", "--memory"]);
    assert_eq!((end.code, end.out.as_str()), (Some(0), ""), "{end:?}");
    // Without --check everything that happens is.
    let end = run(FINE, &["--json", "--memory", "--for", "100ms"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    for (line, number) in end.out.lines().zip(1..) {
        let told: Value = serde_json::from_str(line).unwrap();
        assert_eq!(told["sequence"], number, "{line}");
    }
    assert!(end.out.contains(r#""event":"table""#), "{end:?}");
}

#[test]
fn at_the_start_it_is_said_and_does_not_keep_it_from_running() {
    let end = run(&other_port(), &["--memory", "--for", "100ms"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.out.contains("[port-differs]"), "{end:?}");
    let said = end.out.find("[port-differs]").unwrap();
    assert!(said < end.out.find("ipvsadm -A").unwrap(), "{end:?}");
    let end = run(FINE, &["--memory", "--for", "100ms"]);
    assert!(!end.out.contains(" fails: "), "{end:?}");
}

#[test]
fn what_would_do_harm_is_not_started() {
    let text = format!(
        "vrrp_instance VI_1 {{\n  interface eth0\n  virtual_router_id 51\n  virtual_ipaddress {{\n    \
         fe80::1\n    2001:db8::1/128 dev lo\n  }}\n}}\n{FINE}"
    );
    let end = run(&text, &["--memory", "-P", "-C", "--for", "100ms"]);
    assert_eq!(end.code, Some(1), "{end:?}");
    let last = "director: 2001:db8::1 on lo: neighbours on eth0 cannot reach it; --ignore-errors runs it \
                all the same";
    assert_eq!(end.err.lines().last(), Some(last));
    assert!(!end.out.contains("ipvsadm -A"), "{end:?}");
    let fine = text.replace(" dev lo", "");
    let end = run(&fine, &["--check", "--memory"]);
    assert_eq!(end.code, Some(0), "{end:?}");
}

/// Whatever the machine has, somebody without privileges is told what is missing.
#[test]
fn privileges_that_are_missing_are_named() {
    let installed = Unprivileged::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.conf");
    fs::write(&path, FINE).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let end = Program::start(installed.director().arg(path).arg("--check")).end();
    assert_eq!(end.code, Some(1), "{end:?}");
    assert!(
        end.out.contains("it lacks CAP_NET_ADMIN [no-privilege]"),
        "{end:?}"
    );
    assert!(
        end.out
            .contains("fix: setcap cap_net_raw,cap_net_admin+ep '/"),
        "{end:?}"
    );
}
