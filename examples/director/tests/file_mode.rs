//! The program with a file: what it says about the file, what it makes of it with a table in memory,
//! how it ends.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod program;
mod unprivileged;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use program::{End, Program};
use serde_json::Value;
use tempfile::TempDir;
use unprivileged::Unprivileged;

/// A configuration in a folder of its own.
#[derive(Debug)]
struct File {
    folder: TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.conf"), text).unwrap();
        Self { folder }
    }

    /// Starts the program in the file's folder.
    fn start(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        command
            .current_dir(&self.folder)
            .arg("test.conf")
            .args(arguments);
        Program::start(&mut command)
    }

    /// Runs the program to its end.
    fn run(&self, arguments: &[&str]) -> End {
        self.start(arguments).end()
    }
}

/// What `--check` says about a configuration: exit code, errors, pools.
fn check(text: &str) -> (i32, Vec<String>, Vec<String>) {
    let end = File::new(text).run(&["--check", "--memory"]);
    // Pools follow the time.
    let pools = end
        .out
        .lines()
        .filter(|line| line.ends_with(" real servers"))
        .map(|line| line.trim_start().split_once("  ").unwrap().1);
    (
        end.code.unwrap(),
        errors(&end),
        pools.map(str::to_owned).collect(),
    )
}

/// Lines on standard error, without the program's name.
fn errors(end: &End) -> Vec<String> {
    let lines = end.err.lines();
    lines
        .map(|line| line.strip_prefix("director: ").unwrap().to_owned())
        .collect()
}

/// The changes of the table, in `ipvsadm`'s words.
fn changes(end: &End) -> Vec<&str> {
    let lines = end.out.lines();
    lines
        .filter_map(|line| Some(line.split_once("  table   ipvsadm ")?.1))
        .collect()
}

/// A service with one real server, into which that is put.
fn with_server(address: &str, inside: &str) -> String {
    format!(
        "virtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n lb_algo rr\n lb_kind NAT\n \
         protocol TCP\n real_server {address} {{\n weight 4\n {inside}\n }}\n}}\n"
    )
}

const FIRST: &str = "-A -t 192.0.2.1:80 -s rr";
const LAST: &str = "-D -t 192.0.2.1:80";

#[test]
fn what_is_not_run_yet_is_named_with_file_and_line() {
    let (code, errors, pools) = check(
        "global_defs {\n  router_id LVS_1\n  lvs_sync_daemon eth0 VI_1\n}\n\
         vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  \
         virtual_ipaddress { 192.0.2.1 }\n}\n\
         virtual_server 192.0.2.1 80 {\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n  quorum 2\n  \
         sorry_server 192.0.2.9 80\n  real_server 10.0.0.1 80 {\n    notify_down /bin/true\n    \
         BFD_CHECK {\n      name b\n    }\n    TCP_CHECK {\n    }\n  }\n  \
         real_server 10.0.0.2 80 {\n    BFD_CHECK {\n      name b\n    }\n  }\n}\n\
         bfd_instance b {\n  neighbor_ip 10.0.0.1\n}\n",
    );
    let expected = [
        "test.conf:18:5: warning: BFD_CHECK 10.0.0.1:80: not run yet",
        "test.conf:24:3: warning: real_server 10.0.0.2: none of its checks is run, so it counts as up",
        "test.conf:25:5: warning: BFD_CHECK 10.0.0.2:80: not run yet",
        "test.conf:30:1: warning: bfd_instance b: not run yet",
    ];
    assert_eq!((code, errors), (0, expected.map(str::to_owned).into()));
    assert_eq!(pools, ["TCP 192.0.2.1:80: 2 real servers"]);
}

#[test]
fn words_that_do_not_exist_are_warned_about_and_no_reason_not_to_run() {
    let text = with_server("10.0.0.1 80", "wieght 9");
    let (code, errors, _) = check(&text);
    assert_eq!(code, 0);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|line| line.starts_with("test.conf:9:2: warning: ")),
        "{errors:?}"
    );
    assert!(
        errors.iter().all(|line| line.contains("wieght")),
        "{errors:?}"
    );
    let end = File::new(&text).run(&["--memory", "--for", "100ms"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(
        changes(&end),
        [FIRST, "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 4", LAST]
    );
}

#[test]
fn errors_are_a_reason_not_to_run_unless_they_are_to_be_ignored() {
    let text = with_server("10.0.0.1 80", "weight many");
    let file = File::new(&text);
    for option in ["--memory", "--check"] {
        let end = file.run(&[option]);
        let errors = errors(&end);
        assert_eq!(end.code, Some(2), "{end:?}");
        assert!(
            errors
                .iter()
                .any(|line| line.starts_with("test.conf:9:9: error: ")),
            "{errors:?}"
        );
        let last = "there are errors; --ignore-errors runs what is left";
        assert_eq!(errors.last().map(String::as_str), Some(last));
        assert_eq!(end.out, "");
    }
    let end = file.run(&["--check", "--memory", "--ignore-errors"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    let end = file.run(&["--memory", "--ignore-errors", "--for", "100ms"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(
        changes(&end),
        [FIRST, "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 4", LAST]
    );
}

#[test]
fn what_cannot_be_started_has_exit_code_2() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    let end = Program::start(command.args(["/nowhere/keepalived.conf", "--memory"])).end();
    assert_eq!(end.code, Some(2));
    let message = "/nowhere/keepalived.conf: No such file or directory (os error 2)";
    assert_eq!(errors(&end), [message]);

    let file = File::new("");
    for (options, expected) in [
        (&["--script", "at 1s stop 1"][..], "--script"),
        (&["--listen", "127.0.0.1:0"], "--listen"),
        (&["--for", "soon"], "such as 20s"),
    ] {
        let end = file.run(options);
        assert_eq!(end.code, Some(2), "{options:?}");
        assert!(end.err.contains(expected), "{end:?}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    let end = Program::start(command.arg("--check")).end();
    assert_eq!(end.code, Some(2), "{end:?}");
}

#[test]
fn accounts_and_ports_that_do_not_exist_are_named_with_the_check() {
    let script = "MISC_CHECK {\n  misc_path /bin/true\n }";
    let nobody = "global_defs {\n script_user nosuchuser\n}\n";
    for (text, expected) in [
        (
            format!("{nobody}{}", with_server("10.0.0.1 80", script)),
            "test.conf:12:2: error: MISC_CHECK cannot be run: ",
        ),
        (
            with_server("10.0.0.1 80", "MISC_CHECK {\n misc_path /bin/true\n user root nosuchgroup\n}"),
            "test.conf:9:2: error: MISC_CHECK cannot be run: group nosuchgroup: ",
        ),
        (
            "virtual_server fwmark 3 {\n lb_algo rr\n lb_kind NAT\n real_server 10.0.0.1 {\n TCP_CHECK \
             {\n }\n }\n}"
                .to_owned(),
            "test.conf:5:2: error: TCP_CHECK cannot be run: port is 0: ",
        ),
        (
            with_server("10.0.0.1 80", "TCP_CHECK {\n delay_loop 0.0001\n }"),
            "test.conf:9:2: error: TCP_CHECK cannot be run: interval is 100µs: ",
        ),
    ] {
        let (code, errors, pools) = check(&text);
        assert!(errors.iter().any(|line| line.starts_with(expected)), "{expected} {errors:?}");
        assert_eq!((code, pools), (2, vec![]), "{errors:?}");
    }
    let (_, errors, _) = check(&format!("{nobody}{}", with_server("10.0.0.1 80", script)));
    assert!(
        errors.iter().any(|line| line.contains("nosuchuser")),
        "{errors:?}"
    );
}

#[test]
fn groups_stand_for_all_their_addresses_and_marks() {
    let file = File::new(
        "virtual_server_group WEB {\n  192.0.2.1-2 80\n  192.0.2.3 8080\n  2001:db8::1 80\n  \
         fwmark 7\n}\n\
         virtual_server group WEB {\n  lb_algo wrr\n  lb_kind TUN\n  protocol TCP\n  \
         real_server 10.0.0.1 {\n    weight 2\n  }\n  real_server 10.0.0.2 81 {\n    lvs_method NAT\n  \
         }\n}\n\
         virtual_server 192.0.2.2 80 {\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n  \
         real_server 10.0.0.3 80 {\n  }\n}\n",
    );
    let end = file.run(&["--memory", "--for", "100ms"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    let unreachable = "real_server 10.0.0.2 for TCP [2001:db8::1]:80: another family needs lvs_method \
                       TUN; left out there";
    assert_eq!(
        errors(&end),
        [
            format!("test.conf:14:3: warning: {unreachable}"),
            "test.conf:18:1: warning: TCP 192.0.2.2:80: already served by the virtual_server at test.conf:7:1; left out here"
                .to_owned(),
        ]
    );
    let mut changes = changes(&end);
    let removals = changes.split_off(changes.len() - 5);
    assert!(
        removals.iter().all(|change| change.starts_with("-D ")),
        "{removals:?}"
    );
    changes.sort_unstable();
    assert_eq!(
        changes,
        [
            "-A -f 7 -s wrr",
            "-A -t 192.0.2.1:80 -s wrr",
            "-A -t 192.0.2.2:80 -s wrr",
            "-A -t 192.0.2.3:8080 -s wrr",
            "-A -t [2001:db8::1]:80 -s wrr",
            "-a -f 7 -r 10.0.0.1:0 -i -w 2",
            "-a -f 7 -r 10.0.0.2:81 -m -w 1",
            "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 2",
            "-a -t 192.0.2.1:80 -r 10.0.0.2:81 -m -w 1",
            "-a -t 192.0.2.2:80 -r 10.0.0.1:80 -i -w 2",
            "-a -t 192.0.2.2:80 -r 10.0.0.2:81 -m -w 1",
            "-a -t 192.0.2.3:8080 -r 10.0.0.1:8080 -i -w 2",
            "-a -t 192.0.2.3:8080 -r 10.0.0.2:81 -m -w 1",
            "-a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i -w 2",
        ]
    );
}

#[test]
fn a_failed_server_leaves_or_stays_with_weight_0() {
    let check = "TCP_CHECK {\n connect_port 1\n }";
    for (inhibit, change) in [
        ("", "-d -t 192.0.2.1:80 -r 127.0.0.1:80"),
        (
            "inhibit_on_failure\n",
            "-e -t 192.0.2.1:80 -r 127.0.0.1:80 -m -w 0",
        ),
    ] {
        let file = File::new(&with_server("127.0.0.1 80", &format!("{inhibit} {check}")));
        let program = file.start(&["--memory"]);
        program.wait_for(|line| line.contains(change).then_some(()));
        program.signal(Signal::SIGTERM);
        let end = program.end();
        assert_eq!(end.code, Some(0), "{end:?}");
        // There from the start, before any check.
        let added = "-a -t 192.0.2.1:80 -r 127.0.0.1:80 -m -w 4";
        assert_eq!(changes(&end), [FIRST, added, change, LAST]);
    }
}

#[test]
fn with_alpha_a_server_waits_for_its_checks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let inside = format!("alpha\n TCP_CHECK {{\n connect_port {port}\n }}");
    let program = File::new(&with_server("127.0.0.1 80", &inside));
    let program = program.start(&["--memory"]);
    let added = "-a -t 192.0.2.1:80 -r 127.0.0.1:80 -m -w 4";
    program.wait_for(|line| line.contains(added).then_some(()));
    program.signal(Signal::SIGINT);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    let found = end.out.find("unknown to up").unwrap();
    assert!(found < end.out.find(added).unwrap(), "{}", end.out);
    assert_eq!(changes(&end), [FIRST, added, LAST]);
}

/// Whatever the machine has: without IPVS, or without the privilege to use it.
#[test]
fn without_ipvs_or_privilege_it_says_what_would_help() {
    let installed = Unprivileged::new();
    let file = File::new(&with_server("10.0.0.1 80", ""));
    let path = readable(&file, "test.conf");
    let end = Program::start(installed.director().arg(path)).end();
    assert_eq!(end.code, Some(1), "{end:?}");
    // Asked afterwards: trying may have loaded the module.
    let expected: &[&str] = if Path::new("/proc/net/ip_vs").exists() {
        &["not permitted", "CAP_NET_ADMIN"]
    } else {
        &["this kernel has no IPVS", "modprobe ip_vs", "--memory"]
    };
    let errors = errors(&end);
    for words in expected {
        assert!(
            errors.iter().any(|line| line.contains(words)),
            "{words}: {errors:?}"
        );
    }
}

/// Who reads the file sees the old text or the new one, never half of it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// Opens the folder for everybody.
fn readable(file: &File, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&file.folder, fs::Permissions::from_mode(0o755)).unwrap();
    file.folder.path().join(name)
}

#[test]
fn a_reload_changes_what_is_another_and_refuses_what_is_wrong() {
    let file = File::new(&with_server("10.0.0.1 80", ""));
    let path = file.folder.path().join("test.conf");
    let program = file.start(&["--memory"]);
    let server =
        |last: u8, weight: u8| format!("-a -t 192.0.2.1:80 -r 10.0.0.{last}:80 -m -w {weight}");
    program.wait_for(|line| line.contains(&server(1, 4)).then_some(()));

    replace(&path, &with_server("10.0.0.1 80", "weight many"));
    program.signal(Signal::SIGHUP);
    program.wait_for(|line| line.contains("reload  refused").then_some(()));

    let two = "}\n real_server 10.0.0.2 80 {\n weight 5";
    replace(&path, &with_server("10.0.0.1 80", two));
    program.signal(Signal::SIGHUP);
    program.wait_for(|line| line.contains(&server(2, 5)).then_some(()));

    // The same again, then only the second server.
    program.signal(Signal::SIGHUP);
    let mut reloads = 0;
    program.wait_for(|line| {
        reloads += usize::from(line.contains("reload  done"));
        (reloads == 2).then_some(())
    });
    replace(&path, &with_server("10.0.0.2 80", "weight 5"));
    program.signal(Signal::SIGHUP);
    let gone = "-d -t 192.0.2.1:80 -r 10.0.0.1:80";
    program.wait_for(|line| line.contains(gone).then_some(()));
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(
        changes(&end),
        [FIRST, &server(1, 4), &server(2, 5), gone, LAST]
    );
}

/// As keepalived's `--config-test=LOG`.
#[test]
fn what_a_check_says_may_go_to_a_file() {
    let file = File::new(&with_server("10.0.0.1 80", "wieght 9"));
    let said = file.run(&["--check", "--memory"]);
    let end = file.run(&["--config-test=log", "--memory"]);
    assert_eq!(
        (end.code, end.out.as_str(), end.err.as_str()),
        (said.code, "", "")
    );
    let log = fs::read_to_string(file.folder.path().join("log")).unwrap();
    assert!(log.starts_with(&said.err), "{log}");
    assert!(log.contains("192.0.2.1:80: 1 real servers"), "{log}");

    let end = file.run(&["--config-test=nowhere/log", "--memory"]);
    let expected = "director: --check=nowhere/log: No such file or directory";
    assert!(
        end.code == Some(2) && end.err.starts_with(expected),
        "{end:?}"
    );
}

/// `-i`: lines for one configuration id count with that alone, and with `@^` without it.
#[test]
fn lines_for_another_configuration_id_do_not_count() {
    let text = "virtual_server 192.0.2.1 80 {\n lb_algo rr\n @one lb_kind NAT\n @two lb_kind DR\n \
                @^one persistence_timeout 77\n protocol TCP\n real_server 10.0.0.1 80 {\n }\n \
                @two real_server 10.0.0.2 80 {\n @two weight 2\n @two }\n}\n";
    for (id, expected) in [
        (
            "one",
            &[
                "-A -t 192.0.2.1:80 -s rr",
                "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1",
                "-D -t 192.0.2.1:80",
            ][..],
        ),
        (
            "two",
            &[
                "-A -t 192.0.2.1:80 -s rr -p 77",
                "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1",
                "-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 2",
                "-D -t 192.0.2.1:80",
            ],
        ),
    ] {
        let file = File::new(text);
        let program = file.start(&["--memory", "-i", id]);
        let last = expected[expected.len() - 2];
        program.wait_for(|line| line.contains(last).then_some(()));
        program.signal(Signal::SIGTERM);
        let end = program.end();
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
        let made = changes(&end);
        assert_eq!(made, expected, "{id}");
    }
}

/// SIGUSR1: with quorum and checks, for programs and for people.
#[test]
fn how_things_are_is_shown_on_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = |address: &str| {
        format!(
            " real_server {address} {port} {{\n weight 4\n TCP_CHECK {{\n retry 0\n \
             connect_ip 127.0.0.1\n connect_port {}\n }}\n }}\n",
            if address == "10.0.0.1" { port } else { 1 }
        )
    };
    let file = File::new(&format!(
        "virtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n lb_algo rr\n lb_kind NAT\n \
         protocol TCP\n alpha\n quorum 5\n sorry_server 10.0.0.9 80\n{}{}}}\n",
        server("10.0.0.1"),
        server("10.0.0.2"),
    ));
    let json = file.start(&["--memory", "--json"]);
    let told = |event: &'static str, text: &'static str| {
        move |line: &str| {
            let told: Value = serde_json::from_str(line).unwrap();
            let is_it = told["event"] == event && told.to_string().contains(text);
            is_it.then_some(told)
        }
    };
    json.wait_for(told("check", "unknown to up"));
    json.wait_for(told("check", "unknown to down"));
    json.wait_for(told("table", "10.0.0.9"));
    json.signal(Signal::SIGUSR1);
    let status = json.wait_for(told("services", ""));
    json.signal(Signal::SIGTERM);
    assert_eq!(json.end().code, Some(0));
    let service = &status["services"][0];
    assert_eq!(service["name"], "TCP 192.0.2.1:80");
    for (key, expected) in [
        ("configured", Value::from(true)),
        ("quorum", false.into()),
        ("weight", 4.into()),
        ("servers_up", 1.into()),
        ("servers_in_all", 2.into()),
        ("sorry", true.into()),
        ("ready", true.into()),
        ("suspended", false.into()),
    ] {
        assert_eq!(service[key], expected, "{key}: {service}");
    }
    for (number, health) in [(0, "up"), (1, "down")] {
        let server = &service["servers"][number];
        assert_eq!(server["health"], health, "{service}");
        let check = &server["checks"][0];
        let name = check["name"].as_str().unwrap();
        assert!(name.starts_with("TCP_CHECK 127.0.0.1:"), "{service}");
        assert_eq!(check["health"], health, "{service}");
    }

    let lines = file.start(&["--memory"]);
    let has = |text: &'static str| move |line: &str| line.contains(text).then_some(());
    lines.wait_for(has("unknown to up"));
    lines.wait_for(has("unknown to down"));
    lines.wait_for(has("-r 10.0.0.9"));
    lines.signal(Signal::SIGUSR1);
    let sums = "rr: no quorum, weight 4, 1 of 2 servers up, sorry server needed";
    lines.wait_for(has(sums));
    lines.wait_for(has(
        "check   TCP_CHECK 127.0.0.1:1 of TCP 192.0.2.1:80: down",
    ));
    lines.signal(Signal::SIGTERM);
    assert_eq!(lines.end().code, Some(0));
}
