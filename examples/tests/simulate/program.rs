//! One run of the program.

use std::process::Command;

use crate::example::{self, Outcome};

const NAME: &str = "simulate";

pub(crate) fn run(arguments: &str, stdin: &str) -> Outcome {
    example::run(NAME, arguments, stdin.as_bytes())
}

/// What it prints when nothing goes wrong.
pub(crate) fn output(arguments: &str, stdin: &str) -> String {
    example::output(NAME, arguments, stdin.as_bytes())
}

pub(crate) fn command() -> Command {
    example::command(NAME)
}
