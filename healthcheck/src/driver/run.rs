//! Running attempts: what engines ask for is done, what happens is told to them.

use alloc::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use rustix::rand::{GetRandomFlags, getrandom};

use super::channel::Channel;
use super::child::Child;
use super::entry::{Entry, Subscriber};
use super::running::{Broken, Reply, Running, Token, guarded};
use super::watch::Watches;
use super::{DROP_PATIENCE, Driver, draw};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::check::{CheckEvent, CheckId, Report, Source};
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::{Action, Event, Step};

/// An engine that keeps asking for what is answered at once is stopped after this many steps.
const MAX_STEPS: u32 = 64;

/// How many random bytes are fetched at once; so many come whole, getrandom(2).
const SECRETS: usize = 256;

/// How many times in a row one socket is heard before others get their turn.
const HEARINGS: u32 = 16;

/// How many attempts are begun, or hear what was ready, at what counts as one time: tens of
/// microseconds.
const SHARED: u32 = 16;

impl Driver {
    /// Starts an attempt the timetable has let through.
    pub(super) fn start(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let now = self.shared_now();
        self.serial = self.serial.wrapping_add(1) % Token::SERIALS;
        let serial = self.serial;
        let random = self.unpredictable();
        if let Some(watches) = &mut self.watches {
            watches.find(check);
        }
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        entry.attempts = entry.attempts.saturating_add(1);
        for subscriber in &mut entry.subscribers {
            subscriber.takes_part = !subscriber.is_asleep();
            let count = u64::from(subscriber.takes_part);
            subscriber.attempts = subscriber.attempts.saturating_add(count);
        }
        // Those who share it give it the same time; their health makes no difference to it.
        let mut awake = entry.subscribers.iter().filter(|this| this.takes_part);
        let Some(Subscriber { machine, .. }) = awake.next() else {
            return;
        };
        let policy = machine.policy();
        let (timeout, connect_timeout) = (policy.timeout(), policy.connect_timeout());
        let health = machine.health();
        let attempt =
            Attempt::new(entry.attempts, now, timeout, connect_timeout, health).with_random(random);
        let begun = guarded(|| {
            let mut engine = entry.probe.engine(&attempt);
            let step = engine.start(now);
            (engine, step)
        });
        let (engine, step) =
            begun.unwrap_or_else(|outcome| (Box::new(Broken), Step::Done(*outcome)));
        entry.running = Some(Box::new(Running::new(attempt, engine, check.slot, serial)));
        self.proceed(check, step, now, events);
    }

    /// Now, as it was for up to [`SHARED`] things done in a row, since the clock is not free.
    fn shared_now(&mut self) -> Timestamp {
        let Some(left) = self.shared.1.checked_sub(1) else {
            self.shared.1 = SHARED.saturating_sub(1);
            return self.fresh_now();
        };
        self.shared.1 = left;
        self.shared.0
    }

    /// Now, for what took its time; from then on for others, too.
    fn fresh_now(&mut self) -> Timestamp {
        self.shared.0 = self.now();
        self.shared.0
    }

    /// A number nobody can guess, unless a seed was asked for.
    fn unpredictable(&mut self) -> u64 {
        let mut bytes = [0; SECRETS];
        if !self.seeded
            && self.secrets.is_empty()
            && getrandom(&mut bytes, GetRandomFlags::empty()) == Ok(SECRETS)
        {
            let numbers = bytes
                .chunks_exact(8)
                .filter_map(|bytes| bytes.try_into().ok());
            self.secrets.extend(numbers.map(u64::from_ne_bytes));
        }
        let secret = self.secrets.pop();
        secret.unwrap_or_else(|| draw(&mut self.random))
    }

    /// Something is ready.
    pub(super) fn on_ready(&mut self, event: EpollEvent, events: &mut Vec<CheckEvent>) {
        let data = event.data();
        if data == Token::TIMER {
            self.armed = None;
            return;
        }
        if data == Token::WORKERS {
            return self.on_returned(events);
        }
        if data == Token::WATCHES {
            return self.on_changed();
        }
        let token = Token::unpack(data);
        if token.kind == Token::ORPHAN {
            if self.orphans.get_mut(&token.serial).is_some_and(Child::reap) {
                if let Some(child) = self.orphans.remove(&token.serial) {
                    let _ = self.epoll.delete(child.process());
                    self.timetable.set_outliving(self.orphans.len());
                }
            }
            return;
        }
        let Some(check) = self.check_of(token) else {
            return;
        };
        match token.kind {
            Token::SOCKET => {
                if let Some(channel) = self.current(token).and_then(|now| now.channel.as_mut()) {
                    channel.on_ready(event.events());
                }
                self.hear(token, events);
            }
            Token::PROCESS => self.on_process(check, token, events),
            _ => self.on_output(check, token, events),
        }
    }

    /// The time of an attempt is over, or the time its engine asked for has come.
    pub(super) fn on_deadline(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let (now, round) = (self.now(), self.round);
        let Some(running) = self.running_of(check) else {
            return;
        };
        let held_up = running.held_up(round, now);
        let (deadline, serial) = (running.deadline(), running.serial);
        if now < deadline {
            self.timetable.set_deadline(check, deadline);
            return;
        }
        running.forget_wanted(now);
        if let Some(late) = held_up {
            let detail = format!("this host looked {late:?} after the deadline at what was said");
            let outcome = Outcome::new(Code::Cancelled, Phase::Recv).with_detail(&detail);
            self.deliver(check, outcome, now, events);
            self.tell(check, Event::Cancel, events);
            self.close(check, now, events);
            return;
        }
        self.tell(check, Event::Deadline, events);
        let silent = self.running_of(check).is_some_and(|running| {
            running.serial == serial
                && running.reported.is_none()
                && !running.cancelled
                && running.attempt.deadline <= now
        });
        if silent {
            let outcome = Outcome::new(Code::TimeoutIo, Phase::Recv);
            self.deliver(check, outcome, now, events);
            self.close(check, now, events);
        }
    }

    /// Tells an engine what happened and does what it then wants.
    pub(super) fn tell(&mut self, check: CheckId, event: Event<'_>, events: &mut Vec<CheckEvent>) {
        let now = self.fresh_now();
        self.tell_at(now, check, event, events);
    }

    fn tell_at(
        &mut self,
        now: Timestamp,
        check: CheckId,
        event: Event<'_>,
        events: &mut Vec<CheckEvent>,
    ) {
        let round = self.round;
        if let Some(running) = self.running_of(check) {
            if !matches!(event, Event::Deadline) {
                running.told = round;
            }
            let step = running.ask(event, now);
            self.proceed(check, step, now, events);
        }
    }

    /// Ends a cancelled attempt whose engine did not, unless it is waiting for its command to go.
    pub(super) fn close_unless_child(&mut self, check: CheckId) {
        let waits = |running: &mut Running| {
            running
                .child
                .as_ref()
                .is_some_and(|child| !child.is_reaped())
        };
        if self
            .running_of(check)
            .is_some_and(|running| !waits(running))
        {
            self.close(check, self.now(), &mut Vec::new());
        }
    }

    /// Tells an engine what its socket has for it.
    pub(super) fn hear(&mut self, token: Token, events: &mut Vec<CheckEvent>) {
        let Some(check) = self.check_of(token) else {
            return;
        };
        if let Some(channel) = self.current(token).and_then(|now| now.channel.as_mut()) {
            channel.unqueue();
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        for number in 0..HEARINGS {
            let channel = self.current(token).and_then(|now| now.channel.as_mut());
            let Some(heard) = channel.and_then(|channel| channel.hear(&mut buffer)) else {
                break;
            };
            // What has been ready was so when this was looked at, the rest came later.
            let now = match number {
                0 => self.shared_now(),
                _ => self.fresh_now(),
            };
            self.tell_at(now, check, heard.event(&buffer), events);
        }
        self.buffer = buffer;
        self.hear_again(token);
    }

    /// What is there already is heard in the next round, after the others.
    fn hear_again(&mut self, token: Token) {
        let channel = self.current(token).and_then(|now| now.channel.as_mut());
        if channel.is_some_and(Channel::queue) {
            self.again.push_back(token);
        }
    }

    /// Tells engines what their functions have returned.
    fn on_returned(&mut self, events: &mut Vec<CheckEvent>) {
        for (number, outcome) in self.workers.returned() {
            if let Some(check) = self.check_of(Token::unpack(number)) {
                self.tell(check, Event::Returned(outcome), events);
            }
        }
    }

    /// Starts the checks to whose files something has happened.
    fn on_changed(&mut self) {
        let changed = self.watches.as_mut().map(Watches::changed);
        let now = self.now();
        for check in changed.into_iter().flatten() {
            let Some(entry) = self.entry_of(check) else {
                continue;
            };
            if entry.running.is_some() {
                // It may have read too early.
                entry.hurried = true;
                continue;
            }
            for subscriber in &mut entry.subscribers {
                subscriber.due = now;
            }
            let (_, _, late_after) = entry.plan();
            self.timetable.schedule(check, now, true, late_after);
        }
    }

    /// Carries out a step, and those that follow from it at once.
    fn proceed(
        &mut self,
        check: CheckId,
        step: Step,
        now: Timestamp,
        events: &mut Vec<CheckEvent>,
    ) {
        let mut replies = VecDeque::new();
        let (mut step, mut now) = (step, now);
        for _ in 0..MAX_STEPS {
            let ends = matches!(step, Step::Done(_) | Step::End(_));
            let actions = match step {
                Step::Do(actions) | Step::End(actions) => actions,
                Step::Done(outcome) => {
                    self.deliver(check, outcome, now, events);
                    Vec::new()
                }
                Step::Report(outcome, actions) => {
                    self.deliver(check, outcome, now, events);
                    actions
                }
            };
            self.perform(check, actions, &mut replies);
            if ends {
                self.close(check, now, events);
                return;
            }
            if replies.is_empty() {
                // The socket will have to be waited for.
                replies.extend(self.watch_or_gather(check));
            }
            let time = (!replies.is_empty()).then(|| self.fresh_now());
            let Some(running) = self.running_of(check) else {
                return;
            };
            let Some(reply) = replies.pop_front() else {
                let (deadline, token) = (running.deadline(), running.token(Token::SOCKET));
                self.timetable.set_deadline(check, deadline);
                self.hear_again(token);
                return;
            };
            now = time.unwrap_or(now);
            step = running.ask(reply.event(), now);
        }
        let outcome = Outcome::new(Code::Cancelled, Phase::Bind)
            .with_detail("the probe keeps asking for what fails");
        self.deliver(check, outcome, now, events);
        self.close(check, now, events);
    }

    /// Does what an engine asked for; after a failure, nothing more of it.
    fn perform(&mut self, check: CheckId, actions: Vec<Action>, replies: &mut VecDeque<Reply>) {
        let Some(running) = running_in(&mut self.entries, check) else {
            return;
        };
        for action in actions {
            match running.perform(action, &self.epoll, &self.workers) {
                Ok(reply) => replies.extend(reply),
                Err(failure) => {
                    replies.push_back(Reply::Failed(failure));
                    return;
                }
            }
        }
    }

    /// Watches the socket of an attempt if it has one, or gathers it with others to look at.
    fn watch_or_gather(&mut self, check: CheckId) -> Option<Reply> {
        let running = running_in(&mut self.entries, check)?;
        if let Some(begun) = self.begun.as_mut().filter(|_| running.is_connecting()) {
            begun.push(running.token(Token::SOCKET));
            return None;
        }
        running.watch(&self.epoll).err().map(Reply::Failed)
    }

    /// Looks at the connections begun in this turn with a single call: those to near servers are
    /// there already, and need not be watched.
    pub(super) fn look_at_begun(&mut self, events: &mut Vec<CheckEvent>) {
        let begun = self.begun.take().unwrap_or_default();
        if begun.is_empty() {
            return;
        }
        let all = PollFlags::POLLIN | PollFlags::POLLOUT;
        let polled = begun.into_iter().filter_map(|token| {
            let socket = self.socket_of(token)?;
            Some((token, PollFd::new(socket, all)))
        });
        let (tokens, mut polled): (Vec<_>, Vec<_>) = polled.unzip();
        // If it fails, it is as if none were ready.
        let _ = poll(&mut polled, PollTimeout::ZERO);
        let now = self.now();
        let flags = polled.iter().map(|socket| {
            let found = socket.revents().unwrap_or(PollFlags::empty());
            // The numbers are the same, epoll_ctl(2).
            EpollFlags::from_bits_truncate(found.bits().into())
        });
        let flags: Vec<_> = flags.collect();
        self.shared = (now, SHARED);
        for (token, flags) in tokens.into_iter().zip(flags) {
            if !flags.is_empty() {
                if let Some(channel) = self.current(token).and_then(|now| now.channel.as_mut()) {
                    channel.on_ready(flags);
                }
                self.hear(token, events);
            }
            self.watch_socket(token, events);
        }
    }

    /// Watches the socket of an attempt, if it still has one.
    fn watch_socket(&mut self, token: Token, events: &mut Vec<CheckEvent>) {
        let Some(running) = running_at(&mut self.entries, token) else {
            return;
        };
        let watched = running.watch(&self.epoll);
        if let (Err(failure), Some(check)) = (watched, self.check_of(token)) {
            self.tell(check, Reply::Failed(failure).event(), events);
        }
    }

    /// The socket of an attempt, if it is still under way.
    fn socket_of(&self, token: Token) -> Option<BorrowedFd<'_>> {
        let entry = self.entries.get(token.slot as usize)?.as_ref()?;
        let running = entry.running.as_deref()?;
        let channel = running.channel.as_ref()?;
        (running.serial == token.serial).then(|| channel.as_fd())
    }

    /// Judges an outcome and reports it, once per attempt and only while anybody wants it.
    fn deliver(
        &mut self,
        check: CheckId,
        outcome: Outcome,
        now: Timestamp,
        events: &mut Vec<CheckEvent>,
    ) {
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        let Some(running) = &mut entry.running else {
            return;
        };
        if running.cancelled || running.reported.is_some() {
            return;
        }
        running.reported = Some(now);
        let attempt = running.attempt;
        let mut outcome = outcome;
        outcome.timing.total = Some(now.saturating_sub(attempt.started));
        for subscriber in entry.subscribers.iter_mut().filter(|this| this.takes_part) {
            let decision = subscriber.machine.on_outcome(&outcome);
            events.push(CheckEvent::Completed(Report::new(
                (subscriber.id, subscriber.attempts),
                Source::Attempt,
                (attempt.started, now),
                outcome.clone(),
                &decision,
            )));
        }
    }

    /// Closes what an attempt holds and plans the next one.
    fn close(&mut self, check: CheckId, now: Timestamp, events: &mut Vec<CheckEvent>) {
        let unreported = self
            .running_of(check)
            .is_some_and(|running| running.reported.is_none() && !running.cancelled);
        if unreported {
            let outcome = Outcome::new(Code::Cancelled, Phase::Match)
                .with_detail("the probe ended without an outcome");
            self.deliver(check, outcome, now, events);
        }
        let Some(running) = self.entry_of(check).and_then(|entry| entry.running.take()) else {
            return;
        };
        let (started, ended) = (running.attempt.started, running.reported.unwrap_or(now));
        self.closing.extend(running.channel);
        if let Some(child) = running.child {
            self.release(child, running.serial);
        }
        self.timetable.finish(check);
        let mut random = self.random;
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        if entry.subscribers.is_empty() {
            self.forget(check);
            return;
        }
        let hurried = core::mem::take(&mut entry.hurried);
        for subscriber in &mut entry.subscribers {
            if hurried {
                subscriber.due = now;
            } else if subscriber.takes_part {
                let mut due = subscriber.next_start(started, ended, &mut || draw(&mut random));
                if due < now {
                    // A command outlived its time by more than the delay: count from its real end.
                    due = subscriber.next_start(started, now, &mut || draw(&mut random));
                }
                subscriber.due = due;
            }
        }
        self.replan(check.slot);
        self.random = random;
    }

    /// Parts with a command: normally it has ended, else it is killed and reaped later.
    fn release(&mut self, mut child: Child, serial: u32) {
        for descriptor in [Some(child.process()), child.output()]
            .into_iter()
            .flatten()
        {
            // They may have been taken out already.
            let _ = self.epoll.delete(descriptor);
        }
        child.close_output();
        if child.reap() {
            return;
        }
        child.kill();
        let token = Token {
            slot: 0,
            serial,
            kind: Token::ORPHAN,
        };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token.pack());
        match self.epoll.add(child.process(), event) {
            Ok(()) => {
                self.orphans.insert(serial, child);
                self.timetable.set_outliving(self.orphans.len());
            }
            Err(_) => child.reap_within(DROP_PATIENCE),
        }
    }

    fn entry_of(&mut self, check: CheckId) -> Option<&mut Entry> {
        self.entries
            .get_mut(check.slot as usize)?
            .as_mut()
            .filter(|entry| entry.id == check)
    }

    fn running_of(&mut self, check: CheckId) -> Option<&mut Running> {
        self.entry_of(check)?.running.as_deref_mut()
    }

    /// The attempt a token was made for, if it is still under way.
    pub(super) fn current(&mut self, token: Token) -> Option<&mut Running> {
        running_at(&mut self.entries, token)
    }

    pub(super) fn check_of(&mut self, token: Token) -> Option<CheckId> {
        self.current(token)?;
        Some(self.entries.get(token.slot as usize)?.as_ref()?.id)
    }
}

/// As [`Driver::current`], leaving the driver's other fields free for use.
fn running_at(entries: &mut [Option<Entry>], token: Token) -> Option<&mut Running> {
    let entry = entries.get_mut(token.slot as usize)?.as_mut()?;
    let running = entry.running.as_deref_mut();
    running.filter(|running| running.serial == token.serial)
}

/// As [`Driver::running_of`], leaving the driver's other fields free for use.
pub(super) fn running_in(entries: &mut [Option<Entry>], check: CheckId) -> Option<&mut Running> {
    let entry = entries.get_mut(check.slot as usize)?.as_mut()?;
    entry.running.as_deref_mut().filter(|_| entry.id == check)
}
