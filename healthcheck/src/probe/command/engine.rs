//! One run of a command: time limit, exit code, output, and getting rid of it.

use core::time::Duration;

use super::{Command, CommandProbe, ExitCodes};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::{Code, Detail, Outcome, Phase, Timing, Verdict, WeightHint};
use crate::probe::{Action, ChildStatus, Engine, Event, Signal, Step};

/// From SIGTERM to the first SIGKILL, and from that to the second.
const GRACE: Duration = Duration::from_secs(2);

/// Between further SIGKILLs.
const REPEAT: Duration = Duration::from_secs(10);

/// How long the output may stay open after the command itself has ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);

/// Where a run is.
#[derive(Debug)]
enum State {
    /// The command runs within its time.
    Running,
    /// The command has ended; its output has not.
    Ended(Outcome),
    /// SIGTERM was sent.
    Requesting,
    /// SIGKILL was sent this often.
    Forcing(u32),
}

#[derive(Debug)]
pub(super) struct CommandEngine {
    command: Command,
    meaning: ExitCodes,
    attempt: Attempt,
    state: State,
    output: Vec<u8>,
    output_ended: bool,
}

impl CommandEngine {
    pub(super) const fn new(command: Command, meaning: ExitCodes, attempt: Attempt) -> Self {
        Self {
            command,
            meaning,
            attempt,
            state: State::Running,
            output: Vec::new(),
            output_ended: false,
        }
    }

    /// The output goes with every outcome, and its beginning into the text for people.
    fn finish(&mut self, outcome: Outcome, now: Timestamp) -> Outcome {
        let total = Some(now.saturating_sub(self.attempt.started));
        let mut outcome = outcome.with_timing(Timing {
            total,
            ..Timing::default()
        });
        if !self.output.is_empty() {
            let text = Detail::from_bytes(&self.output);
            outcome.detail = match (outcome.detail.is_empty(), text.is_empty()) {
                (_, true) => outcome.detail,
                (true, false) => text,
                (false, false) => Detail::new(&format!("{}; {text}", outcome.detail)),
            };
            outcome.output = core::mem::take(&mut self.output).into_boxed_slice();
        }
        outcome
    }

    fn on_exit(&mut self, status: ChildStatus, now: Timestamp) -> Step {
        match self.state {
            State::Running => {
                let outcome = self.read_status(status);
                if self.output_ended {
                    return Step::Done(self.finish(outcome, now));
                }
                self.state = State::Ended(outcome);
                Step::Do(vec![Action::SetDeadline(now.saturating_add(OUTPUT_GRACE))])
            }
            // Children that ignored SIGTERM are still in the group.
            State::Requesting | State::Forcing(_) if status != ChildStatus::Lost => {
                Step::End(vec![Action::Signal(Signal::Kill)])
            }
            State::Requesting | State::Forcing(_) => Step::End(Vec::new()),
            State::Ended(_) => Step::Do(Vec::new()),
        }
    }

    /// The table in the [module](super) above this one.
    fn read_status(&self, status: ChildStatus) -> Outcome {
        let code = match status {
            ChildStatus::Code(code) => code,
            ChildStatus::Signal(signal) => {
                return Outcome::new(Code::ExitSignal, Phase::Process)
                    .with_detail(&format!("signal {signal}"));
            }
            ChildStatus::Lost => {
                return Outcome::new(Code::Spawn, Phase::Process)
                    .with_verdict(Verdict::Neutral)
                    .with_detail("exit status was taken by somebody else in this process");
            }
        };
        let passed = Outcome::new(Code::Ok, Phase::Process);
        match (code, self.meaning) {
            (0, _) => passed,
            (2.., ExitCodes::Dynamic { max }) if code <= max => {
                passed.with_weight(WeightHint::Absolute(u32::from(code.saturating_sub(2))))
            }
            (1, ExitCodes::Nagios { warning_percent }) => {
                passed.with_weight(WeightHint::Percent(warning_percent))
            }
            (3, ExitCodes::Nagios { .. }) => Outcome::new(Code::ExitNonzero, Phase::Process)
                .with_verdict(Verdict::Neutral)
                .with_detail("unknown"),
            _ => Outcome::new(Code::ExitNonzero, Phase::Process)
                .with_detail(&format!("exit code {code}")),
        }
    }

    fn on_deadline(&mut self, now: Timestamp) -> Step {
        match &mut self.state {
            State::Running => {
                self.state = State::Requesting;
                let limit = self.attempt.deadline.saturating_sub(self.attempt.started);
                let outcome = Outcome::new(Code::TimeoutProc, Phase::Process)
                    .with_detail(&format!("not ended after {limit:?}"));
                Step::Report(self.finish(outcome, now), Self::request(now))
            }
            State::Ended(outcome) => {
                let outcome = outcome.clone();
                Step::Done(self.finish(outcome, now))
            }
            State::Requesting => {
                self.state = State::Forcing(1);
                Step::Do(Self::force(now, GRACE))
            }
            State::Forcing(count) => {
                *count = count.saturating_add(1);
                Step::Do(Self::force(now, REPEAT))
            }
        }
    }

    fn request(now: Timestamp) -> Vec<Action> {
        vec![
            Action::Signal(Signal::Term),
            Action::SetDeadline(now.saturating_add(GRACE)),
        ]
    }

    fn force(now: Timestamp, next: Duration) -> Vec<Action> {
        vec![
            Action::Signal(Signal::Kill),
            Action::SetDeadline(now.saturating_add(next)),
        ]
    }

    fn on_output(&mut self, bytes: &[u8]) {
        let room = CommandProbe::MAX_OUTPUT.saturating_sub(self.output.len());
        self.output
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn on_output_end(&mut self, now: Timestamp) -> Step {
        self.output_ended = true;
        match &self.state {
            State::Ended(outcome) => {
                let outcome = outcome.clone();
                Step::Done(self.finish(outcome, now))
            }
            _ => Step::Do(Vec::new()),
        }
    }

    fn on_cancel(&mut self, now: Timestamp) -> Step {
        match self.state {
            State::Running => {
                self.state = State::Requesting;
                Step::Do(Self::request(now))
            }
            State::Ended(_) => Step::End(Vec::new()),
            State::Requesting | State::Forcing(_) => Step::Do(Vec::new()),
        }
    }
}

impl Engine for CommandEngine {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![
            Action::SetDeadline(self.attempt.deadline),
            Action::Spawn(self.command.clone()),
        ])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Failed {
                operation,
                errno,
                origin,
                ..
            } => {
                let program = self.command.arguments().first().map_or("", String::as_str);
                let outcome = operation.outcome(errno, origin);
                let detail = format!("{program}: {}", outcome.detail);
                Step::Done(self.finish(outcome.with_detail(&detail), now))
            }
            Event::ChildExit(status) => self.on_exit(status, now),
            Event::ChildOutput(bytes) => {
                self.on_output(bytes);
                Step::Do(Vec::new())
            }
            Event::ChildOutputEnd => self.on_output_end(now),
            Event::Deadline => self.on_deadline(now),
            Event::Cancel => self.on_cancel(now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
