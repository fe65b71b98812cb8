//! Command checks with real processes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/lateness.rs"]
mod lateness;
#[path = "support/reports.rs"]
mod reports;

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use lvs_healthcheck::policy::{ScheduleBase, Spread};
use lvs_healthcheck::probe::command::{Credentials, Environment, Placeholders};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    Check, CheckId, Code, Command, CommandProbe, Config, Driver, Health, Outcome, Policy, Report,
    Verdict, WeightHint, lookup_user,
};
use tempfile::TempDir;

use self::lateness::Watch;
use self::reports::reports;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(20))
        .with_schedule_base(ScheduleBase::EndToStart)
        .with_timeout(10 * SECOND)
}

fn sh(script: &str) -> CommandProbe {
    CommandProbe::new(
        Command::new("/bin/sh")
            .with_argument("-c")
            .with_argument(script),
    )
}

fn started(probe: CommandProbe, policy: Policy) -> (Driver, CheckId) {
    let mut driver = Driver::new(Config::default()).unwrap();
    let id = driver.add(Check::new(probe, policy)).unwrap();
    (driver, id)
}

fn once(probe: CommandProbe, policy: Policy) -> Report {
    reports(&mut started(probe, policy).0, 1).remove(0)
}

fn outcome(probe: CommandProbe) -> Outcome {
    once(probe, policy()).outcome
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.output).trim().to_owned()
}

/// Polls a driver nobody expects events from until something is so.
fn poll_until(driver: &mut Driver, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + 20 * SECOND;
    while !is_so() {
        assert!(Instant::now() < end, "still not so: {what}");
        driver
            .poll(Some(Duration::from_millis(10)), &mut Vec::new())
            .unwrap();
    }
}

/// Whether a process exists and is no zombie.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}

/// A file's content once it is a whole line.
fn line_in(driver: &mut Driver, file: &Path) -> String {
    let read = || fs::read_to_string(file).unwrap_or_default();
    poll_until(driver, "the script wrote its file", || {
        read().ends_with('\n')
    });
    read().trim().to_owned()
}

#[test]
fn plain_exit_codes() {
    for code in [0, 1, 2, 3, 10, 125, 126, 127, 128, 137, 254, 255] {
        let outcome = outcome(sh(&format!("exit {code}")));
        let expected = if code == 0 {
            (Code::Ok, Verdict::Pass)
        } else {
            (Code::ExitNonzero, Verdict::Fail)
        };
        assert_eq!((outcome.code, outcome.verdict), expected, "{code}");
        assert_eq!(outcome.weight, None, "{code}");
    }
}

#[test]
fn dynamic_exit_codes_as_keepalived_reads_them() {
    let pass = |weight| (Code::Ok, Some(WeightHint::Absolute(weight)));
    let rows = [
        (0, (Code::Ok, None)),
        (1, (Code::ExitNonzero, None)),
        (2, pass(0)),
        (3, pass(1)),
        (10, pass(8)),
        (127, pass(125)),
        (254, pass(252)),
        (255, pass(253)),
    ];
    for (code, expected) in rows {
        let probe = sh(&format!("exit {code}"));
        let outcome = outcome(probe.with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED));
        assert_eq!((outcome.code, outcome.weight), expected, "{code}");
    }
}

#[test]
fn shells_own_exit_codes_are_no_weights_by_default() {
    for (script, code) in [
        ("/no/such/program", Code::ExitNonzero),
        ("/etc/passwd", Code::ExitNonzero),
        ("exit 126", Code::ExitNonzero),
        ("exit 125", Code::Ok),
    ] {
        let outcome = outcome(sh(script).with_dynamic(CommandProbe::DYNAMIC_MAX));
        assert_eq!(outcome.code, code, "{script}");
    }
}

#[test]
fn death_by_signal_fails_and_takes_the_weight_away() {
    for signal in ["SEGV", "KILL", "TERM"] {
        assert_eq!(
            outcome(sh(&format!("kill -{signal} $$"))).code,
            Code::ExitSignal,
            "{signal}"
        );
    }
    // A real-time signal, too.
    let outcome = outcome(sh("kill -40 $$").with_dynamic(255));
    assert_eq!((outcome.code, outcome.weight), (Code::ExitSignal, None));
    assert_eq!(outcome.detail.as_str(), "signal 40");

    let dir = TempDir::new().unwrap();
    let flag = dir.path().join("flag");
    let script = format!(
        "test -e {0} && kill -KILL $$; : > {0}; exit 12",
        flag.display()
    );
    let (mut driver, _) = started(sh(&script).with_dynamic(255), policy().with_fall(9));
    let both = reports(&mut driver, 2);
    assert_eq!(
        (both[0].hint, both[0].hint_changed),
        (Some(WeightHint::Absolute(10)), true)
    );
    assert_eq!((both[1].hint, both[1].hint_changed), (None, true));
    assert_eq!(
        both[1].health,
        Health::Up,
        "tolerated, but its weight is gone"
    );
}

#[test]
fn missing_and_unexecutable_commands_fail_with_the_reason() {
    let dir = TempDir::new().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    let rows = [
        (
            "/no/such/check",
            "/no/such/check: No such file or directory",
        ),
        (
            "no-such-check-in-path",
            "no-such-check-in-path: No such file or directory",
        ),
        ("/etc", "/etc: Permission denied"),
        (plain.to_str().unwrap(), "Permission denied"),
    ];
    for (program, detail) in rows {
        let outcome = outcome(CommandProbe::new(Command::new(program)));
        assert_eq!(
            (outcome.code, outcome.verdict),
            (Code::Spawn, Verdict::Fail),
            "{program}"
        );
        assert!(
            outcome.detail.as_str().ends_with(detail),
            "{}",
            outcome.detail
        );
    }
}

/// A script in a folder of its own.
fn script(dir: &TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("check");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn command_that_vanishes_after_the_start_takes_the_check_down() {
    let dir = TempDir::new().unwrap();
    let path = script(&dir, "#!/bin/sh\nexit 0\n");
    let probe = CommandProbe::new(Command::new(path.to_str().unwrap()));
    let (mut driver, _) = started(probe, policy().with_fall(1));
    assert_eq!(reports(&mut driver, 1)[0].health, Health::Up);
    fs::remove_file(&path).unwrap();
    // An attempt may have been under way already.
    let report = reports(&mut driver, 2).remove(1);
    assert_eq!(
        (report.outcome.code, report.health),
        (Code::Spawn, Health::Down)
    );
}

#[test]
fn command_gets_a_clean_world() {
    // Again in a process that ignores some signals, which only another program can arrange.
    if std::env::var_os("HC_IGNORING").is_none() {
        let test = std::env::current_exe().unwrap();
        let status = std::process::Command::new("/bin/sh")
            .args([
                "-c",
                "trap '' HUP USR1; exec \"$0\" --exact command_gets_a_clean_world",
            ])
            .arg(test)
            .env("HC_IGNORING", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = own
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"))
        .unwrap();
    assert_eq!(
        u64::from_str_radix(ignored, 16).unwrap() & 0x201,
        0x201,
        "something to lose"
    );
    // And a descriptor that would not be closed on exec.
    let inherited = nix::unistd::dup(fs::File::open("/etc/passwd").unwrap()).unwrap();
    let names = "echo pwd=$PWD; echo umask=$(umask); echo stdin=$(readlink /proc/self/fd/0); \
                 echo group=$(cut -d' ' -f5 /proc/$$/stat) pid=$$; \
                 grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/self/status; \
                 echo fd=; ls /proc/$$/fd; env";
    let outcome = outcome(CommandProbe::new(
        Command::new("/bin/sh")
            .with_argument("-c")
            .with_argument(names)
            .with_variable("HC_EXTRA", "1"),
    ));
    drop(inherited);
    let text = text(&outcome);
    for line in [
        "pwd=/",
        "umask=0022",
        "stdin=/dev/null",
        "NoNewPrivs:\t1",
        "SigBlk:\t0000000000000000",
        "HC_EXTRA=1",
        &format!("PATH={}", Environment::PATH),
    ] {
        assert!(
            text.lines().any(|other| other.trim() == line),
            "{line:?} is not in:\n{text}"
        );
    }
    let group = text
        .lines()
        .find(|line| line.starts_with("group="))
        .unwrap();
    let numbers: Vec<_> = group.split(['=', ' ']).collect();
    assert_eq!(numbers[1], numbers[3], "it leads its own process group");
    // PWD, SHLVL, _ and OLDPWD are the shell's own.
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            name.chars()
                .all(|letter| letter.is_ascii_uppercase() || letter == '_')
        })
        .filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn inherited_environment_loses_what_is_dangerous() {
    let command = Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument("echo ${CARGO_PKG_NAME-none} ${LD_LIBRARY_PATH-none} ${LD_PRELOAD-none}");
    // Cargo sets these for its tests: a package's name, and a library path.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    assert!(std::env::var_os("LD_LIBRARY_PATH").is_some());
    let inherit = command.clone().with_environment(Environment::Inherit);
    assert_eq!(
        text(&outcome(CommandProbe::new(inherit))),
        "lvs-healthcheck none none"
    );
    assert_eq!(text(&outcome(CommandProbe::new(command))), "none none none");
}

#[test]
fn placeholders_and_state_reach_the_command() {
    let mut values = Placeholders::new();
    values.rip = Some("192.0.2.7".parse().unwrap());
    values.rport = Some(9200);
    let command: Command = r#"/bin/sh -c 'echo {rip} $1 $HC_RPORT $HC_STATE' check {state}"#
        .parse()
        .unwrap();
    let probe = CommandProbe::new(command.with_placeholders(&values).unwrap());
    let (mut driver, _) = started(probe, policy());
    let both = reports(&mut driver, 2);
    assert_eq!(text(&both[0].outcome), "192.0.2.7 unknown 9200 unknown");
    assert_eq!(text(&both[1].outcome), "192.0.2.7 up 9200 up");
}

#[test]
fn standard_output_and_error_are_kept() {
    let outcome = outcome(sh("echo one; echo two >&2; exit 1"));
    assert_eq!(text(&outcome), "one\ntwo");
    assert_eq!(outcome.detail.as_str(), "exit code 1; one two");
}

#[test]
fn ten_mebibytes_of_output_do_not_block_the_command() {
    let report = once(
        sh("head -c 10485760 /dev/zero | tr '\\0' x; echo done >&2"),
        policy(),
    );
    assert_eq!(report.outcome.code, Code::Ok);
    assert_eq!(report.outcome.output.len(), CommandProbe::MAX_OUTPUT);
    assert!(report.outcome.output.iter().all(|byte| *byte == b'x'));
}

#[test]
fn grandchild_that_holds_the_output_does_not_delay_the_result() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let report = once(
        sh(&format!(
            "sleep 1000 & echo $! > {}; exit 3",
            file.display()
        )),
        policy().with_timeout(120 * SECOND),
    );
    let took = report.at - report.started;
    assert_eq!(report.outcome.detail.as_str(), "exit code 3");
    // How long shells take is not ours; who waited for the end of the output would wait for ever.
    assert!(
        took >= Duration::from_millis(100) && took < 60 * SECOND,
        "{took:?}"
    );
    let pid = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(is_alive(&pid), "what a command leaves behind is left alone");
    let status = std::process::Command::new("kill")
        .arg(&pid)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn timeout_is_reported_at_once_and_the_group_gets_sigterm() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pids");
    // The shell and its child; both die from SIGTERM.
    let script = format!("sleep 1000 & echo $$ $! > {}; wait", file.display());
    // Long enough for the shell to write.
    let limit = 2 * SECOND;
    let watch = Watch::start();
    let (mut driver, _) = started(sh(&script).with_dynamic(255), policy().with_timeout(limit));
    let report = reports(&mut driver, 1).remove(0);
    assert_eq!(
        (report.outcome.code, report.outcome.weight),
        (Code::TimeoutProc, None)
    );
    watch.judge("timeout_proc", vec![report.at - report.started - limit]);
    let pids = fs::read_to_string(&file).unwrap();
    poll_until(&mut driver, "both are gone", || {
        pids.split_whitespace().all(|pid| !is_alive(pid))
    });
}

#[test]
fn command_that_ignores_sigterm_is_killed_and_does_not_overlap_itself() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("runs");
    let script = format!(
        "trap '' TERM; echo $$ >> {}; while :; do sleep 1; done",
        file.display()
    );
    let limit = Duration::from_millis(200);
    let (mut driver, _) = started(sh(&script), policy().with_timeout(limit));
    let first = reports(&mut driver, 1).remove(0);
    assert_eq!(first.outcome.code, Code::TimeoutProc);
    assert_eq!(driver.load().processes, 1, "it is still there");
    let second = reports(&mut driver, 1).remove(0);
    let gap = second.started - first.at;
    assert!(
        gap >= 2 * SECOND && gap < 4 * SECOND,
        "killed after 2 s, then started again: {gap:?}"
    );
    let runs = fs::read_to_string(&file).unwrap();
    assert_eq!(runs.lines().count(), 2);
    assert!(!is_alive(runs.lines().next().unwrap()));
}

#[test]
fn child_that_ignores_sigterm_goes_when_its_leader_has_gone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let script = format!(
        "(trap '' TERM; while :; do sleep 1; done) & echo $! > {}; wait",
        file.display()
    );
    let (mut driver, _) = started(
        sh(&script),
        policy().with_timeout(Duration::from_millis(200)),
    );
    let pid = line_in(&mut driver, &file);
    poll_until(&mut driver, "the child is killed with its group", || {
        !is_alive(&pid)
    });
}

#[test]
fn two_hundred_commands_run_at_once() {
    let limits = Limits::default()
        .with_max_processes(200)
        .with_fork_rate(100_000);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    // Each waits until all of them run, which the open end of a FIFO tells.
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("read line < {}; exit 9", fifo.display());
    for _ in 0..200 {
        let slow = policy()
            .with_interval(600 * SECOND)
            .with_timeout(50 * SECOND);
        driver
            .add(Check::new(sh(&script).with_dynamic(255), slow).exclusive())
            .unwrap();
    }
    let mut events = Vec::new();
    let end = Instant::now() + 40 * SECOND;
    while driver.load().processes < 200 {
        assert!(Instant::now() < end, "{:?}", driver.load());
        driver
            .poll(Some(Duration::from_millis(10)), &mut events)
            .unwrap();
    }
    assert!(events.is_empty());
    // Opened for both directions: never blocks, and gives everybody a line.
    let mut gate = fs::File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    std::io::Write::write_all(&mut gate, "go\n".repeat(200).as_bytes()).unwrap();
    let reports = reports(&mut driver, 200);
    assert!(
        reports
            .iter()
            .all(|report| report.hint == Some(WeightHint::Absolute(7)))
    );
    assert_eq!(driver.load().processes, 0);
}

#[test]
fn only_so_many_commands_run_at_once() {
    let limits = Limits::default().with_max_processes(3);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    for _ in 0..10 {
        driver
            .add(Check::new(sh("sleep 0.05"), policy().with_interval(600 * SECOND)).exclusive())
            .unwrap();
    }
    let mut events = Vec::new();
    while events.len() < 10 {
        driver.poll(Some(SECOND), &mut events).unwrap();
        assert!(driver.load().processes <= 3);
    }
}

#[test]
fn removed_check_ends_its_command_and_reports_nothing() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let (mut driver, id) = started(
        sh(&format!("echo $$ > {}; exec sleep 1000", file.display())),
        policy(),
    );
    let pid = line_in(&mut driver, &file);
    driver.remove(id).unwrap();
    assert_eq!(driver.health(id), None);
    assert!(
        driver.remove(id).is_err(),
        "also while its command is on its way out"
    );
    poll_until(&mut driver, "it is gone", || !is_alive(&pid));
    let mut events = Vec::new();
    driver
        .poll(Some(Duration::from_millis(50)), &mut events)
        .unwrap();
    assert!(events.is_empty());
    assert_eq!((driver.load().processes, driver.load().checks), (0, 0));
}

#[test]
fn dropping_the_driver_kills_and_reaps_without_waiting_long() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pids");
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $$ $! > {}; while :; do sleep 1; done",
        file.display()
    );
    let (mut driver, _) = started(sh(&script), policy());
    let pids = line_in(&mut driver, &file);
    let limit = Duration::from_millis(50);
    let watch = Watch::start();
    let before = Instant::now();
    drop(driver);
    let took = before.elapsed();
    watch.judge("drop", vec![took.saturating_sub(limit)]);
    let (leader, child) = pids.split_once(' ').unwrap();
    let gone = !Path::new("/proc").join(leader).exists();
    assert!(gone || took >= limit, "a zombie after {took:?}");
    let end = Instant::now() + 20 * SECOND;
    while is_alive(child) {
        assert!(Instant::now() < end, "the leader's child is still alive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs root: runs a command as another user"]
fn command_runs_as_the_user_asked_for() {
    let nobody = lookup_user("nobody").unwrap();
    let script = "id -u; id -g; id -G; grep CapEff /proc/self/status";
    let command = Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument(script);
    let outcome = outcome(CommandProbe::new(command.with_credentials(nobody.clone())));
    let groups: Vec<_> = nobody.groups.iter().map(u32::to_string).collect();
    let expected = format!(
        "{}\n{}\n{}\nCapEff:\t0000000000000000",
        nobody.uid,
        nobody.gid,
        groups.join(" ")
    );
    assert_eq!(text(&outcome), expected);

    let command = Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument("id -G");
    let mut other = Credentials::new(12345, 12346);
    other.groups = vec![12347, 12348];
    let outcome = self::outcome(CommandProbe::new(command.with_credentials(other)));
    assert_eq!(text(&outcome), "12346 12347 12348");
}
