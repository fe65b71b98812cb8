//! Other programs that are asked, each for a limited time.

use core::time::Duration;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::review::unanswered::LIMIT;

/// Where programs of administrators are, which not everybody's `PATH` names.
const FOLDERS: [&str; 3] = ["", "/usr/sbin/", "/sbin/"];

/// Until it is seen again whether one that has closed its output has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// So often one that was killed is seen to.
const REAPS: usize = 40;

/// Asks programs, and keeps in mind which gave no answer.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Their command lines.
    pub(super) unanswered: Vec<String>,
}

impl Programs {
    /// What a program writes, if it is there, succeeds and ends in time.
    pub(super) fn ask(&mut self, program: &str, arguments: &[&str]) -> Option<String> {
        match run(program, arguments, LIMIT) {
            Answer::Text(text) => Some(text),
            Answer::None => None,
            Answer::Late => {
                let words = [&[program], arguments].concat();
                self.unanswered.push(words.join(" "));
                None
            }
        }
    }
}

/// What came of running a program.
#[derive(Debug, Eq, PartialEq)]
enum Answer {
    /// It wrote this, and succeeded.
    Text(String),
    /// It is not there, or failed.
    None,
    /// It had not ended in time, and was killed.
    Late,
}

fn run(program: &str, arguments: &[&str], limit: Duration) -> Answer {
    let mut started = FOLDERS.iter().filter_map(|folder| {
        let mut command = Command::new(format!("{folder}{program}"));
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).spawn().ok()
    });
    let Some(mut child) = started.next() else {
        return Answer::None;
    };
    let answer = listen(&mut child, limit);
    if answer == Answer::Late {
        // With whatever it has started.
        if let Ok(group) = i32::try_from(child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        // One that cannot die, as it waits for hardware, is not waited for either.
        for _ in 0..REAPS {
            match child.try_wait() {
                Ok(None) => thread::sleep(PAUSE),
                _ => break,
            }
        }
    }
    answer
}

fn listen(child: &mut Child, limit: Duration) -> Answer {
    let deadline = Instant::now() + limit;
    let left = || deadline.saturating_duration_since(Instant::now());
    let Some(mut output) = child.stdout.take() else {
        return Answer::None;
    };
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let millis = u16::try_from(left().as_millis()).unwrap_or(u16::MAX);
        let mut descriptors = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, PollTimeout::from(millis)) {
            Ok(1..) => match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => text.extend(buffer.iter().take(length)),
                Err(_) => return Answer::Late,
            },
            _ if left().is_zero() => return Answer::Late,
            _ => {}
        }
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => {
                return Answer::Text(String::from_utf8_lossy(&text).into_owned());
            }
            Ok(Some(_)) => return Answer::None,
            _ if left().is_zero() => return Answer::Late,
            _ => thread::sleep(PAUSE.min(left())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, limit: Duration) -> Answer {
        run("sh", &["-c", script], limit)
    }

    #[test]
    fn what_a_program_writes_is_its_answer() {
        assert_eq!(shell("echo yes", LONG), Answer::Text("yes\n".to_owned()));
        // More than a pipe holds.
        let Answer::Text(text) = shell("head -c 300000 /dev/zero", LONG) else {
            panic!("no answer");
        };
        assert_eq!(text.len(), 300_000);
    }

    #[test]
    fn what_fails_or_is_not_there_has_no_answer() {
        assert_eq!(shell("echo no; exit 1", LONG), Answer::None);
        assert_eq!(run("no-such-program-here", &[], LONG), Answer::None);
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let start = Instant::now();
        for script in ["sleep 600", "exec >&-; sleep 600", "sleep 600 & echo yes"] {
            let answer = shell(script, Duration::from_millis(50));
            assert_eq!(answer, Answer::Late, "{script}");
        }
        assert!(start.elapsed() < LONG);
    }
}
