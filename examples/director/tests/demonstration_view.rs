//! The live view of the demonstration, on a terminal that `script(1)` makes, as an unprivileged user.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod unprivileged;

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use unprivileged::{Unprivileged, as_nobody};

/// Longest wait for something to be shown.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another screen, and the former one.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A demonstration on a terminal of 30 lines.
struct Shown {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
    /// So much of it is from before the last key.
    before: usize,
    _installed: Unprivileged,
}

impl Shown {
    /// Starts it; how the terminal is set is printed before and after.
    fn start(arguments: &str) -> Self {
        let installed = Unprivileged::new();
        let program = installed.director();
        let program = program.get_program().to_str().unwrap();
        let line = format!(
            "set -m; stty rows 30 cols 100; stty -a | tr '\\n' ' '; echo; {program} {arguments}; \
             echo code $?; stty -a | tr '\\n' ' '"
        );
        let mut command = as_nobody("script");
        command.args(["--quiet", "--command", &line, "/dev/null"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = piped.stderr(Stdio::inherit()).spawn().unwrap();
        let keys = script.stdin.take().unwrap();
        let mut stdout = script.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                let _ = sender.send(bytes[..count].to_vec());
            }
        });
        Self {
            script,
            keys,
            output,
            seen: String::new(),
            before: 0,
            _installed: installed,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a screen, after the one waited for last, on which all of this is.
    fn wait_for(&mut self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut frames = self.seen[self.before..].split("\x1b[H");
            // Of a screen nothing may be missing yet.
            let is_whole = |frame: &str| frame.contains("\x1b[J") || !self.seen.contains(ENTER);
            let is_meant =
                |frame: &&str| is_whole(frame) && parts.iter().all(|part| frame.contains(part));
            if let Some(frame) = frames.find(is_meant) {
                let frame = frame.to_owned();
                self.before = self.seen.len();
                return frame;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {parts:?} in {:?}", self.seen);
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("no {parts:?} in {:?}", self.seen),
            }
        }
    }

    /// What came on the former screen at the end, which must be as it was.
    fn end(mut self) -> String {
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(self.script.wait().unwrap().success());
        let seen = &self.seen;
        assert_eq!(seen.matches(ENTER).count(), 1, "{seen:?}");
        let (before, rest) = seen.split_once(ENTER).unwrap();
        let (screens, after) = rest.split_once(LEAVE).unwrap();
        assert!(screens.ends_with("\x1b[?7h\x1b[?25h"), "{screens:?}");
        for screen in screens.split("\x1b[H") {
            assert!(screen.matches("\r\n").count() < 30, "{screen:?}");
        }
        let modes = before.lines().find(|line| line.contains("icanon"));
        let modes = modes.unwrap_or_else(|| panic!("{before:?}")).trim_end();
        assert!(modes.contains(" isig icanon ") && modes.contains("susp = ^Z"));
        assert!(after.trim_end().ends_with(modes), "{modes:?} {after:?}");
        after.to_owned()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
#[ignore = "needs script, of util-linux"]
fn keys_work_and_are_seen_on_the_screen() {
    let mut shown = Shown::start("");
    let first = shown.wait_for(&["A         \x1b[32mActive", "B         Backup"]);
    for part in [
        "curl http://127.0.0.10:",
        "SERVICE",
        "  wrr",
        "k kill",
        "LAST EVENTS",
    ] {
        assert!(first.contains(part), "{part}: {first:?}");
    }
    shown.press("2");
    shown.wait_for(&["stopped", "ipvsadm -d -t"]);
    shown.press("2");
    shown.wait_for(&["start 2", "A  server  127.0.0.12:", "out to weight 2"]);
    shown.press("k");
    shown.wait_for(&[
        "A         \x1b[31moff",
        "B         \x1b[32mActive",
        "kill active",
    ]);
    shown.press("r");
    shown.wait_for(&["A         \x1b[32mActive", "B         Backup"]);
    shown.press("\t+");
    shown.wait_for(&["weight 3 2", "-r 127.0.0.13:"]);
    shown.press("s");
    shown.wait_for(&["  lc", "scheduler lc"]);
    shown.press("q");
    let after = shown.end();
    assert!(after.contains("3 take-overs"), "{after}");
    assert!(after.contains("code 0"), "{after}");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn the_terminal_is_given_back_after_interrupt_and_time() {
    let mut shown = Shown::start("");
    shown.wait_for(&["LAST EVENTS"]);
    // Ctrl-C; what else could stop the program and leave the screen is no signal.
    shown.press("\x1a\x1c");
    shown.wait_for(&["A         \x1b[32mActive"]);
    shown.press("\x03");
    assert!(shown.end().contains("code 0"));

    let shown = Shown::start("--for 700ms");
    assert!(shown.end().contains("code 0"));

    let shown = Shown::start("--for 60s & sleep 1; kill $!; wait $!");
    // One in the background leaves screen and keys to others.
    let mut shown = shown;
    shown.wait_for(&["code 0"]);
    assert!(!shown.seen.contains(ENTER), "{:?}", shown.seen);
}

#[test]
#[ignore = "needs script, of util-linux"]
fn nobody_at_the_terminal_any_more_ends_it() {
    let mut shown = Shown::start("");
    shown.wait_for(&["A         \x1b[32mActive"]);
    let script = shown.script.id().to_string();
    let kill = Command::new("kill").args(["-KILL", &script]).status();
    assert!(kill.unwrap().success());
    let deadline = Instant::now() + PATIENCE;
    let program = shown._installed.director();
    let program = program.get_program().to_owned();
    let runs = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut names = processes.filter_map(|it| std::fs::read_link(it.path().join("exe")).ok());
        names.any(|name| name.as_os_str() == program)
    };
    while runs() {
        assert!(Instant::now() < deadline, "it runs on without a terminal");
        thread::sleep(Duration::from_millis(50));
    }
}
