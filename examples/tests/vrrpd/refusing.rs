//! What is refused, and how: without privileges.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::example::{self, Outcome};

fn run(arguments: &str) -> Outcome {
    example::run("vrrpd", arguments, b"")
}

/// A file that only its owner may read.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ha.conf");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn check(path: &Path, more: &str) -> Outcome {
    run(&format!("--check --use-file {} {more}", path.display()))
}

const GOOD: &str = "vrrp_instance VI_1 {\n  interface absent0\n  virtual_router_id 51\n  \
                    virtual_ipaddress { 192.0.2.1/24 }\n}\n";

#[test]
fn a_good_file_is_said_to_be_good() {
    let (_folder, path) = file(GOOD);
    let outcome = check(&path, "");
    let said = format!(
        "{}: 1 virtual router, 0 errors, 0 warnings\n",
        path.display()
    );
    assert_eq!((outcome.status, &outcome.stdout), (Some(0), &said));
    assert_eq!(outcome.stderr, "");
    let same = example::output("vrrpd", &format!("-t -f {}", path.display()), b"");
    assert_eq!(same, said);
}

#[test]
fn what_is_not_run_is_named_with_its_line_and_refused_if_strict() {
    let text = format!(
        "global_defs {{\n  lvs_flush\n}}\nvirtual_server 192.0.2.1 80 {{\n  protocol TCP\n}}\n\
         bogus 1\n{GOOD}"
    );
    let (_folder, path) = file(&text);
    let outcome = check(&path, "");
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let name = path.display();
    for line in [
        format!("{name}:2:3: warning: lvs_flush is not about virtual routers; ignored"),
        format!("{name}:4:1: warning: virtual_server is not about virtual routers; ignored"),
        format!("{name}:7:1: warning: unknown keyword 'bogus', skipped"),
    ] {
        assert!(outcome.stderr.contains(&line), "{line}: {}", outcome.stderr);
    }
    let strict = check(&path, "--strict");
    assert_eq!(strict.status, Some(1));
    assert!(strict.stderr.contains("(--strict)"), "{}", strict.stderr);
}

#[test]
fn scripts_that_are_not_there_are_named() {
    let script = |path: &str| {
        let notify = format!("  notify_master {path}\n  interface");
        let (_folder, path) = file(&GOOD.replace("  interface", &notify));
        check(&path, "")
    };
    let fine = script("/bin/true");
    assert_eq!((fine.status, fine.stderr.as_str()), (Some(0), ""));
    for (path, reason) in [
        ("/nonexistent/script", "/nonexistent/script: No such file"),
        ("/etc", "/etc is no file"),
        ("/etc/passwd", "/etc/passwd is not executable"),
    ] {
        let outcome = script(path);
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let expected = format!("warning: vrrp_instance VI_1: notify_master: {reason}");
        assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);
    }
}

#[test]
fn errors_are_refused_with_their_lines() {
    let cases = [
        (GOOD.replace("192.0.2.1/24", "nonsense"), ":4:", "nonsense"),
        (
            format!(
                "vrrp_script chk {{\n  script /bin/true\n  user nobody-of-this-name\n}}\n{}",
                GOOD.replace("  interface", "  track_script { chk }\n  interface")
            ),
            ":1:",
            "nobody-of-this-name",
        ),
        (
            GOOD.replace(
                "  interface",
                "  notify \"/bin/true\" no-such-user\n  interface",
            ),
            ":1:",
            "no-such-user",
        ),
    ];
    for (text, line, reason) in cases {
        let (_folder, path) = file(&text);
        let outcome = check(&path, "");
        assert_eq!(outcome.status, Some(1), "{text}: {outcome:?}");
        let found = outcome.stderr.lines().any(|said| {
            said.contains(&format!("ha.conf{line}"))
                && said.contains("error")
                && said.contains(reason)
        });
        assert!(found, "{line} {reason}: {}", outcome.stderr);
        // Without --check it is not run either.
        let run = run(&format!("--use-file {}", path.display()));
        assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""));
    }
}

#[test]
fn a_missing_file_is_named() {
    let outcome = run("--check --use-file /nonexistent/ha.conf");
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("cannot read /nonexistent/ha.conf"));
}

#[test]
fn flags_are_checked_like_files() {
    let router = "--check --interface eth0 --vrid 51 --address 192.0.2.1/24";
    let good = run(router);
    assert_eq!(good.status, Some(0), "{good:?}");
    for (more, reason) in [
        ("--vrid 0", "not in 1..=255"),
        ("--address 192.0.2.300", "is not an IP address"),
        ("--address 192.0.2.2/33", "/33 is not in /1 to /32"),
        ("--address fe80::1", ""),
        ("--priority 0", "neither in 1..=255 nor owner"),
        ("--interval 15ms", "no multiple of 10ms"),
        ("--interval 41s", "4095"),
        ("--version 4", "neither 2 nor 3"),
        ("--version 2 --interval 100ms", ""),
        ("--password secret", ""),
        ("--lifetime 0s", "0 is no lifetime"),
        ("--tag 3", "4..=255"),
        ("--peer 192.0.2.2@9-3", "no range of times to live"),
        ("--track-interface eth1:300", "-253..=253"),
        ("--nopreempt --preempt-delay 5s", "cannot be used with"),
    ] {
        let arguments = match more.split_once(' ') {
            // Given twice it would be refused for that.
            Some(("--vrid", _)) => format!("--check -i eth0 --address 192.0.2.1 {more}"),
            _ => format!("{router} {more}"),
        };
        let outcome = run(&arguments);
        assert_eq!(outcome.status, Some(2), "{more}: {outcome:?}");
        assert!(
            outcome.stderr.contains(reason),
            "{more}: {}",
            outcome.stderr
        );
    }
}

#[test]
#[ignore = "needs root, to give up privileges"]
fn without_privileges_the_capability_is_named() {
    let program = example::command("vrrpd");
    // The folder of the program may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("vrrpd");
    fs::copy(program.get_program(), &copy).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(["-i", "lo", "--vrid", "51", "--address", "192.0.2.1"])
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("CAP_NET_"), "{said}");
    assert!(
        said.contains("setcap cap_net_raw,cap_net_admin+ep"),
        "{said}"
    );
}
