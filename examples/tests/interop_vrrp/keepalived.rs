//! keepalived as a router.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal;

use crate::host::{Program, eventually, show};
use crate::lab::{Lab, Side};
use crate::router::{Counters, Router};
use crate::settings::Settings;

/// Two processes, the second of which speaks VRRP.
#[derive(Debug)]
pub(crate) struct Keepalived {
    program: Program,
    folder: PathBuf,
}

impl Keepalived {
    /// Starts it. What it writes goes into the lab's folder.
    pub(crate) fn start(lab: &Lab, side: Side, settings: &Settings) -> Self {
        let folder = tempfile::tempdir_in(&lab.folder).unwrap().keep();
        let [conf, log] = ["keepalived.conf", "log"].map(|name| folder.join(name));
        fs::write(&conf, settings.keepalived_conf()).unwrap();
        let log = File::create(log).unwrap();
        let mut command = Command::new("keepalived");
        command
            .args([
                "--dont-fork",
                "--vrrp",
                "--dont-respawn",
                "--log-console",
                "--no-syslog",
            ])
            .args(["--log-detail", "--use-file"])
            .arg(conf)
            .arg("--pid")
            .arg(folder.join("pid"))
            .arg("--vrrp_pid")
            .arg(folder.join("vrrp_pid"))
            // Where it dumps its counters.
            .env("TMPDIR", &folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let router = Self {
            program: lab.host(side).start(&mut command),
            folder,
        };
        // A signal that comes before it is ready would end it.
        eventually("start of keepalived", || {
            let log = fs::read_to_string(router.folder.join("log")).ok()?;
            log.contains("Entering BACKUP STATE").then_some(())
        });
        router
    }
}

impl Router for Keepalived {
    fn kill(&mut self) {
        self.program.kill_all();
    }

    fn resign(&mut self) {
        self.program.signal(Signal::SIGTERM);
        self.program.wait();
    }

    fn counters(&mut self) -> Counters {
        let path = self.folder.join("keepalived.stats");
        // It writes when it gets to it; the last line says that it is done.
        let _ = fs::remove_file(&path);
        self.program.signal(Signal::SIGUSR2);
        let text = eventually("counters of keepalived", || {
            let text = fs::read_to_string(&path).ok()?;
            text.contains("Priority Zero:").then_some(())?;
            text.ends_with('\n').then_some(text)
        });
        read(&text)
    }

    fn processes(&self) -> Vec<u32> {
        [self.program.number()].into()
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if thread::panicking() {
            show(&self.folder.join("keepalived.conf"));
            show(&self.folder.join("log"));
        }
    }
}

/// Reads the counters of one virtual router: headings that end in colons, with a number or with
/// numbers below.
fn read(text: &str) -> Counters {
    let mut counters = Counters::default();
    let mut heading = "";
    for line in text.lines().map(str::trim) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let Ok(value) = value.trim().parse::<u64>() else {
            heading = name;
            continue;
        };
        match (heading, name) {
            ("Advertisements", "Received") => counters.received = value,
            ("Advertisements", "Sent") => counters.sent = value,
            ("Packet Errors" | "Authentication Errors", _) => counters.errors += value,
            ("Priority Zero", "Received") => counters.resignations_received = Some(value),
            ("Priority Zero", "Sent") => counters.resignations_sent = Some(value),
            (_, "Became master") => counters.times_active = value,
            _ => {}
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_their_headings() {
        let text = "VRRP Instance: lab\n  Advertisements:\n    Received: 5\n    Sent: 11\n  \
            Became master: 2\n  Released master: 1\n  Packet Errors:\n    Length: 1\n    TTL: 2\n    \
            Invalid Type: 3\n  Authentication Errors:\n    Invalid Type: 4\n    Failure: 5\n  \
            Priority Zero:\n    Received: 6\n    Sent: 7\n";
        let expected = Counters {
            sent: 11,
            received: 5,
            errors: 15,
            times_active: 2,
            resignations_sent: Some(7),
            resignations_received: Some(6),
        };
        assert_eq!(read(text), expected);
    }
}
