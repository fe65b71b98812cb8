//! One attempt over TCP: connects, holds the dialogue, keeps the times.

use std::sync::Arc;

use super::super::dialogue::{Dialogue, Protocol, Turn};
use super::super::{Action, Engine, Event, Step, Transport, failure};
use super::Connection;
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase, Timing};

#[derive(Debug)]
pub(super) struct TcpEngine<P> {
    connection: Connection,
    protocol: Arc<P>,
    attempt: Attempt,
    dialogue: Box<dyn Dialogue>,
    /// What is going on: connecting, handshake, sending or receiving.
    phase: Phase,
    timing: Timing,
    /// Whether what arrives is asked for already.
    reading: bool,
}

impl<P: Protocol> TcpEngine<P> {
    pub(super) fn new(connection: Connection, protocol: Arc<P>, attempt: Attempt) -> Self {
        let attempt = attempt.with_server(connection.target.address(), false);
        let dialogue = protocol.dialogue(&attempt);
        Self {
            connection,
            protocol,
            attempt,
            dialogue,
            phase: Phase::Connect,
            timing: Timing::default(),
            reading: false,
        }
    }

    fn connect(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Connect;
        self.reading = false;
        actions.push(Action::SetDeadline(self.attempt.connect_deadline));
        actions.push(Action::Connect {
            target: self.connection.target.clone(),
            transport: Transport::Tcp {
                close: self.connection.close,
            },
        });
    }

    /// Carries out what the dialogue wants.
    fn take(&mut self, turn: Turn, now: Timestamp) -> Step {
        let mut actions = Vec::new();
        match turn {
            Turn::Done(outcome) => return self.done(outcome, now),
            Turn::Listen => {}
            Turn::Send(bytes) => {
                self.phase = Phase::Send;
                actions.push(Action::Send(bytes));
            }
            Turn::SendLast(bytes) => {
                self.phase = Phase::Send;
                actions.push(Action::Send(bytes));
                actions.push(Action::HalfClose);
            }
            Turn::StartTls => {
                let outcome = Outcome::new(Code::TlsUnsupported, Phase::Tls);
                return self.done(outcome.with_detail("this build has no TLS"), now);
            }
            Turn::Reopen => {
                self.connect(&mut actions);
                return Step::Do(actions);
            }
        }
        if !self.reading {
            self.reading = true;
            actions.push(Action::Read);
        }
        actions.push(Action::SetDeadline(self.deadline(now)));
        Step::Do(actions)
    }

    /// When to give up unless something arrives.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        let idle = self.connection.idle_timeout;
        idle.map_or(self.attempt.deadline, |idle| {
            now.saturating_add(idle).min(self.attempt.deadline)
        })
    }

    fn done(&mut self, outcome: Outcome, now: Timestamp) -> Step {
        self.timing.total = Some(self.passed(now));
        Step::Done(self.protocol.judge(outcome.with_timing(self.timing)))
    }

    fn passed(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.attempt.started)
    }

    fn expired(&mut self) -> Outcome {
        match self.phase {
            Phase::Connect => Outcome::new(Code::TimeoutConnect, Phase::Connect),
            Phase::Tls => Outcome::new(Code::TimeoutTls, Phase::Tls),
            Phase::Send => Outcome::new(Code::TimeoutIo, Phase::Send),
            _ => self.dialogue.expired(),
        }
    }
}

impl<P: Protocol> Engine for TcpEngine<P> {
    fn start(&mut self, _now: Timestamp) -> Step {
        let mut actions = Vec::with_capacity(2);
        self.connect(&mut actions);
        Step::Do(actions)
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Connected => {
                let passed = self.passed(now);
                self.timing.connect.get_or_insert(passed);
                self.phase = Phase::Recv;
                let turn = self.dialogue.opened();
                self.take(turn, now)
            }
            Event::Sent => {
                self.phase = Phase::Recv;
                Step::Do(Vec::new())
            }
            Event::Data(bytes) => {
                let passed = self.passed(now);
                self.timing.first_byte.get_or_insert(passed);
                let turn = self.dialogue.data(bytes);
                self.take(turn, now)
            }
            Event::Eof { orderly } => {
                let turn = self.dialogue.eof(orderly);
                self.take(turn, now)
            }
            Event::Failed {
                operation,
                errno,
                origin,
                detail,
            } => self.done(failure(operation, errno, origin, detail), now),
            Event::Deadline => {
                let outcome = self.expired();
                self.done(outcome, now)
            }
            Event::Cancel => self.done(Outcome::new(Code::Cancelled, self.phase), now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
