//! One run of the program.

use std::process::{Child, Command, Stdio};

use crate::example::{self, Outcome};

pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = example::command("probe");
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(words: &[&str]) -> Outcome {
    let output = command(words).output().unwrap();
    Outcome {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What it prints of a target that is up.
pub(crate) fn up(words: &[&str]) -> String {
    let outcome = run(words);
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (Some(0), ""),
        "{words:?}: {}",
        outcome.stdout
    );
    outcome.stdout
}

/// What it prints of one that is not.
pub(crate) fn down(words: &[&str]) -> String {
    let outcome = run(words);
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (Some(1), ""),
        "{words:?}: {}",
        outcome.stdout
    );
    outcome.stdout
}

/// What follows a label in its text.
pub(crate) fn field<'a>(text: &'a str, label: &str) -> &'a str {
    let start = format!("  {label:<9} ");
    let found = text.lines().find_map(|line| line.strip_prefix(&start));
    found.unwrap_or_else(|| panic!("no {label} in {text}"))
}

/// A run that goes on, ended at the latest when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self(command(words).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
