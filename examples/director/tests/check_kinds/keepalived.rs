//! keepalived with one check for each real server.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::table::{Verdict, configuration, server};

/// How long it may take: a guest is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ended with the test.
struct Keepalived(Child);

impl Drop for Keepalived {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.0.id().try_into().unwrap()),
            Signal::SIGTERM,
        );
        let _ = self.0.wait();
    }
}

/// The real servers in the table, and their weights.
fn present() -> BTreeMap<String, u32> {
    let output = Command::new("ipvsadm").args(["-S", "-n"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let servers = text.lines().filter_map(|line| {
        let rest = line.split_once(" -r ")?.1;
        let (server, rest) = rest.split_once(' ')?;
        let weight = rest.split_once("-w ")?.1.trim();
        Some((server.to_owned(), weight.parse().unwrap()))
    });
    servers.collect()
}

/// Runs keepalived until every check has done what it is to do.
pub(crate) fn judge(definitions: &str, checks: &[(Verdict, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("test.conf"), configuration(definitions, checks)).unwrap();
    let log = fs::File::create(path("log")).unwrap();
    let mut command = Command::new("/usr/sbin/keepalived");
    command
        .args(["-C", "-n", "-l", "-D", "-f"])
        .arg(path("test.conf"));
    command
        .arg("-p")
        .arg(path("pid"))
        .arg("-c")
        .arg(path("checkers"));
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let _keepalived = Keepalived(command.spawn().unwrap());
    let wrong = |found: &BTreeMap<String, u32>| -> Vec<String> {
        let wrong = checks.iter().enumerate().filter(|(place, (verdict, _))| {
            let weight = found.get(&server(*place)).copied();
            !match verdict {
                Verdict::Fails => weight.is_none(),
                Verdict::Passes => weight.is_some(),
                Verdict::Weighs(expected) => weight == Some(*expected),
            }
        });
        let lines = wrong.map(|(place, (verdict, check))| {
            let weight = found.get(&server(place));
            format!("{verdict:?} here, {weight:?} with keepalived: {check}\n")
        });
        lines.collect()
    };
    let begin = Instant::now();
    loop {
        let wrong = wrong(&present());
        if wrong.is_empty() {
            return;
        }
        if begin.elapsed() > PATIENCE {
            let log = fs::read_to_string(path("log")).unwrap_or_default();
            panic!("{}\n{log}", wrong.concat());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
