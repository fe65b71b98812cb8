//! One attempt over TCP: connects, holds the dialogue, keeps the times.

use core::slice;
use std::sync::Arc;

use super::super::dialogue::{Dialogue, Protocol, Turn};
use super::super::tls::{TlsInfo, TlsKind};
use super::super::{Action, Engine, Event, Origin, Step, Transport, failure};
use super::Connection;
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::{Code, Detail, Outcome, Phase, Timing};

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
    /// What the handshake led to, once there was one.
    tls: Option<Box<TlsInfo>>,
    /// What is known already while the last words are being sent.
    known: Option<Outcome>,
}

impl<P: Protocol> TcpEngine<P> {
    pub(super) fn new(connection: Connection, protocol: Arc<P>, attempt: Attempt) -> Self {
        let tls = connection.tls.is_some() && !connection.on_request;
        let attempt = attempt.with_server(connection.target.address(), tls);
        let dialogue = protocol.dialogue(&attempt);
        Self {
            connection,
            protocol,
            attempt,
            dialogue,
            phase: Phase::Connect,
            timing: Timing::default(),
            reading: false,
            tls: None,
            known: None,
        }
    }

    fn connect(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.phase = Phase::Connect;
        self.reading = false;
        self.tls = None;
        // Another connection may take as long as the first.
        let Attempt {
            started,
            connect_deadline,
            deadline,
            ..
        } = self.attempt;
        let limit = connect_deadline.saturating_sub(started);
        actions.push(Action::SetDeadline(now.saturating_add(limit).min(deadline)));
        actions.push(Action::Connect {
            target: self.connection.target.clone(),
            transport: Transport::Tcp {
                close: self.connection.close,
                prompt: self.protocol.is_prompt() || self.is_tls_from_the_beginning(),
            },
        });
    }

    const fn is_tls_from_the_beginning(&self) -> bool {
        self.connection.tls.is_some() && !self.connection.on_request
    }

    /// Carries out what the dialogue wants.
    fn take(&mut self, turn: Turn, now: Timestamp) -> Step {
        let mut actions = Vec::new();
        match turn {
            Turn::Done(outcome) => return self.done(outcome, now),
            Turn::DoneAfter(bytes, outcome) => {
                self.known = Some(outcome);
                return Step::Do(vec![Action::Send(bytes)]);
            }
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
            Turn::StartTls => return self.start_tls(now),
            Turn::Reopen => {
                self.connect(now, &mut actions);
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

    fn start_tls(&mut self, now: Timestamp) -> Step {
        let tls = match &self.connection.tls {
            Some(tls) if self.tls.is_none() => tls.clone(),
            settings => {
                let text = match settings {
                    Some(_) => "TLS within TLS was asked for",
                    None => "TLS was asked for without saying how: see TcpProbe::with_starttls",
                };
                let outcome = Outcome::new(Code::TlsUnsupported, Phase::Tls);
                return self.done(outcome.with_detail(text), now);
            }
        };
        let of_dialogue = self.dialogue.server_name();
        let tls = match of_dialogue.or_else(|| self.protocol.server_name()) {
            Some(name) if tls.name().is_none() => tls.with_name(name),
            _ => tls,
        };
        let tls = tls.offering(self.protocol.alpn());
        self.phase = Phase::Tls;
        let deadline = Action::SetDeadline(self.deadline(now));
        Step::Do(vec![deadline, Action::StartTls(tls)])
    }

    /// Hands over what comes before TLS byte by byte, to know what comes after the server has agreed
    /// to it: somebody else may have put that there, and nobody is to take it for encrypted
    /// (CVE-2011-0411).
    fn plain_text(&mut self, bytes: &[u8], now: Timestamp) -> Step {
        let mut actions = Vec::new();
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            let turn = match self.dialogue.data(slice::from_ref(byte)) {
                Turn::Listen => continue,
                Turn::StartTls if !rest.is_empty() => {
                    let outcome = Outcome::new(TlsKind::Injected.code(), Phase::Tls);
                    let text = "the server sent more in plain text where TLS was to start";
                    return self.done(outcome.with_detail(text), now);
                }
                turn => turn,
            };
            match self.take(turn, now) {
                Step::Do(more) => actions.extend(more),
                other => return other,
            }
            if self.known.is_some() || self.phase == Phase::Connect {
                // The dialogue is over, or what is left was said over the connection before.
                return Step::Do(actions);
            }
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

    fn done(&mut self, mut outcome: Outcome, now: Timestamp) -> Step {
        if let Some(tls) = self.tls.take() {
            if outcome.phase == Phase::Connect {
                // It was content with being connected, and that includes TLS.
                outcome.phase = Phase::Tls;
            }
            if let (true, Some(days)) = (tls.expires_soon, tls.days_left) {
                if outcome.verdict.is_pass() && outcome.detail.is_empty() {
                    let text = match days {
                        0.. => format!("the server's certificate ends in {days} days"),
                        _ => "the server's certificate has ended".to_owned(),
                    };
                    outcome.detail = Detail::new(&text);
                }
            }
            outcome.tls = Some(tls);
        }
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
    fn start(&mut self, now: Timestamp) -> Step {
        let mut actions = Vec::with_capacity(2);
        self.connect(now, &mut actions);
        Step::Do(actions)
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        if let Some(known) = self.known.take() {
            // Whether the last words arrive changes nothing.
            return self.done(known, now);
        }
        match event {
            Event::Connected => {
                let passed = self.passed(now);
                self.timing.connect.get_or_insert(passed);
                if self.is_tls_from_the_beginning() {
                    return self.start_tls(now);
                }
                self.phase = Phase::Recv;
                let turn = self.dialogue.opened();
                self.take(turn, now)
            }
            Event::TlsDone(info) => {
                let passed = self.passed(now);
                self.timing.tls.get_or_insert(passed);
                self.tls = Some(Box::new(info.clone()));
                self.phase = Phase::Recv;
                let turn = self.dialogue.opened();
                self.take(turn, now)
            }
            Event::TlsFailed { kind, detail } => {
                let outcome = Outcome::new(kind.code(), self.phase).with_detail(detail);
                self.done(outcome, now)
            }
            Event::Sent => {
                if self.phase == Phase::Send {
                    self.phase = Phase::Recv;
                }
                Step::Do(Vec::new())
            }
            Event::Data(bytes) => {
                let passed = self.passed(now);
                self.timing.first_byte.get_or_insert(passed);
                if self.connection.on_request && self.tls.is_none() {
                    return self.plain_text(bytes, now);
                }
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
            } => {
                let mut outcome = failure(operation, errno, origin, detail);
                if self.phase == Phase::Tls {
                    outcome.phase = Phase::Tls;
                }
                let talking = matches!(self.phase, Phase::Send | Phase::Recv);
                if talking && origin == Origin::Network {
                    let turn = self.dialogue.broken(outcome);
                    return self.take(turn, now);
                }
                self.done(outcome, now)
            }
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
