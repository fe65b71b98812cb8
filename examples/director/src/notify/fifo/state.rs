//! All FIFOs and their readers. Nothing in here waits.

use core::time::Duration;
use std::os::fd::OwnedFd;
use std::time::Instant;

use lvs_healthcheck::Command as Program;

use super::pipe::Pipe;
use super::{FifoEvent, Half, PlannedFifo};
use crate::notify::run::Run;

/// A reader that was asked to end after its time has so much more until it is killed.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct State {
    fifos: Vec<Fifo>,
    /// The paths of both halves.
    servers: Vec<String>,
    routers: Vec<String>,
    events: Vec<FifoEvent>,
    /// FIFOs that are there were left by the process before.
    are_inherited: bool,
    /// The process after this one goes on with them.
    are_left: bool,
    /// Nothing comes any more.
    is_ended: bool,
}

/// A FIFO from the first claim to its end.
#[derive(Debug)]
struct Fifo {
    planned: PlannedFifo,
    /// None if there cannot be one, and at the end.
    pipe: Option<Pipe>,
    reader: Option<Reader>,
    /// The reader that is planned was started, or cannot be.
    is_started: bool,
    /// Lines of which nobody was told yet that they are lost.
    lost: u64,
    /// It ends: then at the latest its reader is asked to.
    end: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    program: Program,
    run: Run,
    /// It was asked to end, and is killed then.
    until: Option<Instant>,
}

impl State {
    pub(super) const fn inherit(&mut self) {
        self.are_inherited = true;
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.are_left = true;
        for fifo in &mut self.fifos {
            // What is unread is for the process after this one.
            fifo.close(false);
            fifo.end.get_or_insert(now);
            let wait = fifo.planned.wait;
            fifo.ask(now, wait);
        }
    }

    pub(super) fn claim(&mut self, half: Half, planned: &[PlannedFifo], now: Instant) {
        if self.are_left || self.is_ended {
            return;
        }
        for planned in planned {
            let mut fifos = self.fifos.iter_mut();
            // One that was about to be closed goes on.
            let known = fifos.find(|it| it.planned.path == planned.path && it.pipe.is_some());
            if let Some(known) = known {
                known.follow(planned);
                continue;
            }
            let mut fifo = Fifo::new(planned.clone());
            if let Err(reason) = fifo.open(self.are_inherited) {
                let path = planned.path.clone();
                self.events.push(FifoEvent::NotOpened { path, reason });
            }
            self.fifos.push(fifo);
        }
        let paths = planned.iter().map(|planned| planned.path.clone());
        *self.paths(half) = paths.collect();
        self.let_go(now);
    }

    fn paths(&mut self, half: Half) -> &mut Vec<String> {
        match half {
            Half::Servers => &mut self.servers,
            Half::Routers => &mut self.routers,
        }
    }

    /// Lets those end that nobody claims.
    fn let_go(&mut self, now: Instant) {
        for fifo in &mut self.fifos {
            let path = &fifo.planned.path;
            if !self.servers.contains(path) && !self.routers.contains(path) {
                let end = now.checked_add(fifo.planned.wait).unwrap_or(now);
                fifo.end.get_or_insert(end);
            }
        }
    }

    pub(super) fn end(&mut self, now: Instant) {
        self.is_ended = true;
        self.servers.clear();
        self.routers.clear();
        self.let_go(now);
    }

    pub(super) fn write(&mut self, half: Half, line: &str) {
        let paths = match half {
            Half::Servers => &self.servers,
            Half::Routers => &self.routers,
        };
        let fifos = self.fifos.iter_mut().filter(|fifo| fifo.end.is_none());
        for fifo in fifos.filter(|fifo| paths.contains(&fifo.planned.path)) {
            fifo.write(line, self.are_inherited, &mut self.events);
        }
    }

    /// Does what is due.
    pub(super) fn step(&mut self, now: Instant) {
        for fifo in &mut self.fifos {
            fifo.step(now, &mut self.events);
        }
        let events = &mut self.events;
        self.fifos.retain_mut(|fifo| {
            let is_over = fifo.end.is_some() && fifo.pipe.is_none() && fifo.reader.is_none();
            if is_over {
                fifo.tell_lost(events);
            }
            !is_over
        });
    }

    pub(super) const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn take_events(&mut self) -> Vec<FifoEvent> {
        core::mem::take(&mut self.events)
    }

    /// Whether there is something to be looked at again and again.
    pub(super) fn is_ending(&self) -> bool {
        let mut fifos = self.fifos.iter();
        fifos.any(|fifo| fifo.end.is_some() || fifo.is_asked())
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_ended && self.fifos.is_empty()
    }

    /// Readable when a reader has ended, or says something.
    pub(super) fn descriptors(&self) -> Vec<OwnedFd> {
        let readers = self.fifos.iter().filter_map(|fifo| fifo.reader.as_ref());
        let all = readers.flat_map(|reader| reader.run.descriptors());
        // Without a descriptor left it is seen at the next occasion.
        all.flat_map(|descriptor| descriptor.try_clone_to_owned())
            .collect()
    }
}

impl Fifo {
    const fn new(planned: PlannedFifo) -> Self {
        Self {
            planned,
            pipe: None,
            reader: None,
            is_started: false,
            lost: 0,
            end: None,
        }
    }

    fn open(&mut self, is_inherited: bool) -> Result<(), String> {
        let PlannedFifo { path, owner, .. } = &self.planned;
        let opened = Pipe::open(path, owner.as_ref(), is_inherited);
        self.pipe = Some(opened.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Goes on as planned now, perhaps with another reader.
    fn follow(&mut self, planned: &PlannedFifo) {
        if self.planned.reader != planned.reader {
            self.is_started = false;
        }
        self.planned.clone_from(planned);
        self.end = None;
    }

    fn write(&mut self, line: &str, is_inherited: bool, events: &mut Vec<FifoEvent>) {
        let opened = match &self.pipe {
            Some(_) => Ok(()),
            None => self.open(is_inherited),
        };
        let written = match (opened, &mut self.pipe) {
            (Ok(()), Some(pipe)) => pipe.write(line).map_err(str::to_owned),
            (Err(reason), _) => Err(reason),
            // It has just been opened.
            (Ok(()), None) => Ok(()),
        };
        match written {
            Ok(()) => self.tell_lost(events),
            Err(reason) => {
                if self.lost == 0 {
                    let (path, line) = (self.planned.path.clone(), line.to_owned());
                    events.push(FifoEvent::Losing { path, line, reason });
                }
                self.lost = self.lost.saturating_add(1);
            }
        }
    }

    fn tell_lost(&mut self, events: &mut Vec<FifoEvent>) {
        let count = core::mem::take(&mut self.lost);
        if count > 0 {
            let path = self.planned.path.clone();
            events.push(FifoEvent::Lost { path, count });
        }
    }

    fn is_asked(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_some_and(|reader| reader.until.is_some())
    }

    /// Asks the reader to end, once; it is killed after that long.
    fn ask(&mut self, now: Instant, wait: Duration) {
        if let Some(reader) = &mut self.reader
            && reader.until.is_none()
        {
            reader.run.terminate();
            reader.until = Some(now.checked_add(wait).unwrap_or(now));
        }
    }

    fn close(&mut self, goes: bool) {
        if let Some(pipe) = self.pipe.take() {
            pipe.close(goes);
        }
    }

    fn step(&mut self, now: Instant, events: &mut Vec<FifoEvent>) {
        self.step_reader(now, events);
        // Even if it ends already: there may be lines for the reader.
        self.step_start(now, events);
        if let Some(end) = self.end {
            self.step_end(end, now);
        }
    }

    /// Whether it has ended, and its time is up.
    fn step_reader(&mut self, now: Instant, events: &mut Vec<FifoEvent>) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        if let Some(ended) = reader.run.step() {
            if reader.until.is_none() && self.end.is_none() {
                let path = self.planned.path.clone();
                events.push(FifoEvent::ReaderEnded { path, ended });
            }
            self.reader = None;
        } else if reader.until.is_some_and(|until| until <= now) {
            reader.run.kill();
        }
    }

    /// Starts the reader that is planned, after the one before.
    fn step_start(&mut self, now: Instant, events: &mut Vec<FifoEvent>) {
        if self.is_started || self.pipe.is_none() {
            return;
        }
        match (&self.reader, &self.planned.reader) {
            (Some(reader), Some(planned))
                if reader.program == *planned && reader.until.is_none() =>
            {
                self.is_started = true;
            }
            (Some(_), _) => self.ask(now, self.planned.wait),
            (None, None) => self.is_started = true,
            (None, Some(program)) => {
                self.is_started = true;
                match Run::start(program) {
                    Ok(run) => {
                        self.reader = Some(Reader {
                            program: program.clone(),
                            run,
                            until: None,
                        });
                    }
                    Err(error) => {
                        let (path, reason) = (self.planned.path.clone(), error.to_string());
                        events.push(FifoEvent::NotRead { path, reason });
                    }
                }
            }
        }
    }

    /// Lets the reader read what is left, then find the end, then end.
    fn step_end(&mut self, end: Instant, now: Instant) {
        let is_late = end <= now;
        if let Some(pipe) = &mut self.pipe {
            let is_read = pipe.is_empty();
            let is_vain = is_late || self.reader.is_none();
            if !is_read && is_vain && self.planned.reader.is_some() {
                self.lost = self.lost.saturating_add(pipe.take_unread());
            }
            if is_read || is_vain {
                self.close(true);
            }
        }
        if is_late {
            self.ask(now, GRACE);
        }
    }
}
