//! One run of the program.

use std::process::Command;

use serde_json::Value;

use crate::example::{self, Outcome};

const NAME: &str = "vrrpdump";

pub(crate) fn run(arguments: &str, stdin: &[u8]) -> Outcome {
    example::run(NAME, arguments, stdin)
}

/// The lines of a run in which nothing goes wrong.
pub(crate) fn lines(arguments: &str, stdin: &[u8]) -> Vec<String> {
    let output = example::output(NAME, arguments, stdin);
    output.lines().map(str::to_owned).collect()
}

/// The objects of such a run with `--json`.
pub(crate) fn objects(arguments: &str, stdin: &[u8]) -> Vec<Value> {
    let lines = lines(&format!("--json {arguments}"), stdin);
    let objects = lines.iter().map(|line| serde_json::from_str(line));
    objects.collect::<Result<_, _>>().unwrap()
}

pub(crate) fn command() -> Command {
    example::command(NAME)
}
