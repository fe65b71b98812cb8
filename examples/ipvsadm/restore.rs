//! Runs the command lines of standard input (`-R`).
//!
//! ipvsadm sends each line and waits for the answer. This collects changes and sends many at a
//! time, which gives the same answers in the same order: the kernel handles what comes over one
//! socket one after another. Before anything else than a change, before the wait for more input,
//! and before the run ends, what was collected is sent: who writes a line and waits finds it done.

use std::io::{BufRead, BufReader, Read, Write};

use lvs_ipvs::text::parse::{RuleError, words};
use lvs_ipvs::{Change, Client, Outcome, RequestKind};

use crate::arguments::Command;
use crate::execute::execute;
use crate::failure::Failure;
use crate::names::Forward;

/// Changes sent together at most.
const BATCH: usize = 512;

/// Bytes of input read together: more than a batch of usual lines.
const INPUT: usize = 64 * 1024;

/// Runs lines one after another.
pub(crate) struct Restore<'a> {
    client: &'a mut Client,
    names: Forward,
    /// Changes to be sent, with the lines they stand in.
    batch: Vec<Change>,
    lines: Vec<usize>,
    /// Status of the last line that was run.
    status: u8,
}

/// What comes after a line.
enum Next {
    Line,
    End,
}

impl<'a> Restore<'a> {
    /// Prepares to run lines.
    pub(crate) fn new(client: &'a mut Client) -> Self {
        Self {
            client,
            names: Forward::default(),
            batch: Vec::new(),
            lines: Vec::new(),
            status: 0,
        }
    }

    /// Runs all lines, prints failures where they occur, and returns the status of the last line
    /// that was run.
    pub(crate) fn run(mut self, out: &mut dyn Write, input: impl Read) -> u8 {
        let mut input = BufReader::with_capacity(INPUT, input);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if !input.buffer().contains(&b'\n') {
                self.send();
            }
            let next = match input.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => self.line(out, number, &String::from_utf8_lossy(&line)),
                Err(error) => Err(Failure::Input(error)),
            };
            match next {
                Ok(Next::Line) => {}
                Ok(Next::End) => return 0,
                Err(failure) => {
                    self.send();
                    report(number, &failure);
                    self.status = failure.status();
                    if !failure.is_passed_over() {
                        break;
                    }
                }
            }
        }
        self.send();
        self.status
    }

    fn line(&mut self, out: &mut dyn Write, number: usize, line: &str) -> Result<Next, Failure> {
        let words = words(line);
        if words.clone().next().is_none() {
            return Ok(Next::Line);
        }
        let command = Command::read(words, &mut self.names);
        match command {
            // Stopping a daemon may take a look at what became of it.
            Ok(Command::Change(change)) if !matches!(change, Change::StopDaemon(_)) => {
                self.batch.push(change);
                self.lines.push(number);
                if self.batch.len() >= BATCH {
                    self.send();
                }
                return Ok(Next::Line);
            }
            _ => self.send(),
        }
        match command? {
            Command::Restore => Err(Failure::Usage(RuleError::Conflict {
                option: "-R",
                limit: "cannot stand in what is restored",
            })),
            Command::Help => {
                crate::help(out)?;
                Ok(Next::End)
            }
            Command::Version => {
                crate::version(out)?;
                Ok(Next::End)
            }
            command => {
                execute(out, self.client, command)?;
                out.flush()?;
                self.status = 0;
                Ok(Next::Line)
            }
        }
    }

    /// Sends what was collected, and prints what was refused.
    fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let lines = core::mem::take(&mut self.lines);
        match self.client.execute(self.batch.drain(..)) {
            Ok(sent) => {
                for (number, (change, outcome)) in lines.into_iter().zip(sent.entries()) {
                    self.status = 0;
                    if *outcome != Outcome::Done {
                        let request = RequestKind::of_change(change);
                        if let Err(error) = outcome.clone().into_result(request) {
                            let failure = Failure::Kernel(error);
                            report(number, &failure);
                            self.status = failure.status();
                        }
                    }
                }
            }
            Err(error) => {
                let failure = Failure::Kernel(error);
                for number in lines {
                    report(number, &failure);
                }
                self.status = failure.status();
            }
        }
    }
}

fn report(line: usize, failure: &Failure) {
    if !failure.is_silent() {
        eprintln!("ipvsadm: line {line}: {failure}");
    }
}

#[cfg(test)]
mod tests;
