//! Scripts, files and processes that virtual routers follow.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Command as Program;
use lvs_vrrp::Timestamp;
use lvs_vrrp::track::{Script, ScriptStep, TrackerId, TrackerStatus};

use super::{Programs, ScriptEvent, files, name, processes};
use crate::keepalived::vrrp::{TrackFile, TrackProcess, VrrpScript};
use crate::notify::run::Run;
use crate::vrrp::{PlannedTracker, TrackerSource, script_config};

/// How often files and processes are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// All that is watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    scripts: Vec<Watched<Followed>>,
    files: Vec<Watched<TrackFile>>,
    processes: Vec<Watched<Counted>>,
    next_look: Timestamp,
}

/// Something that is watched.
#[derive(Debug)]
struct Watched<T> {
    id: TrackerId,
    /// As it is configured, to be compared.
    source: TrackerSource,
    name: String,
    /// What was told last.
    status: Option<TrackerStatus>,
    what: T,
}

/// A script.
#[derive(Debug)]
struct Followed {
    program: Program,
    machine: Script,
    run: Option<Run>,
    /// It was asked to end; the next time it is killed.
    was_asked: bool,
    /// It could not be started the last time, and that was told.
    is_missing: bool,
}

/// A program whose processes are counted.
#[derive(Debug)]
struct Counted {
    process: TrackProcess,
    /// Since when there are enough, or not, contrary to what was told.
    since: Option<Timestamp>,
}

impl<T> Watched<T> {
    fn new(tracker: &PlannedTracker, what: T) -> Self {
        Self {
            id: tracker.id,
            source: nowhere(&tracker.source),
            name: name(tracker).to_owned(),
            status: None,
            what,
        }
    }

    fn tell(&mut self, status: TrackerStatus, events: &mut Vec<ScriptEvent>) {
        if self.status != Some(status) {
            self.status = Some(status);
            let (id, name) = (self.id, self.name.clone());
            events.push(ScriptEvent::Tracker { id, name, status });
        }
    }
}

/// Takes one that is as it was.
fn take<T>(
    before: &mut Vec<Watched<T>>,
    tracker: &PlannedTracker,
    is_same: impl Fn(&T) -> bool,
) -> Option<Watched<T>> {
    let source = nowhere(&tracker.source);
    let same = |it: &Watched<T>| it.id == tracker.id && it.source == source && is_same(&it.what);
    let place = before.iter().position(same)?;
    Some(before.swap_remove(place))
}

/// The same wherever in the file it is.
fn nowhere(source: &TrackerSource) -> TrackerSource {
    let nowhere = crate::keepalived::Position::new("".into(), 0, 0);
    let mut source = source.clone();
    match &mut source {
        TrackerSource::Script(script) => script.position = nowhere,
        TrackerSource::File(file) => file.position = nowhere,
        TrackerSource::Process(process) => process.position = nowhere,
        TrackerSource::Interface(_) => {}
    }
    source
}

impl Watch {
    /// Goes on with these: those that are as they were are not disturbed.
    pub(super) fn follow(&mut self, trackers: &[PlannedTracker], programs: &mut Programs) {
        let mut before = core::mem::take(self);
        for tracker in trackers {
            match &tracker.source {
                TrackerSource::Interface(_) => {}
                TrackerSource::Script(script) => {
                    let owner = format!("vrrp_script {}", script.name);
                    let program = programs.program(&script.command, &owner, &script.position);
                    let Some(program) = program else {
                        continue;
                    };
                    let known = take(&mut before.scripts, tracker, |it| it.program == program);
                    let new = || Followed::new(script, program).map(|it| Watched::new(tracker, it));
                    self.scripts.extend(known.or_else(new));
                }
                TrackerSource::File(file) => {
                    let known = take(&mut before.files, tracker, |_| true);
                    let new = || Watched::new(tracker, file.clone());
                    self.files.push(known.unwrap_or_else(new));
                }
                TrackerSource::Process(process) => {
                    let known = take(&mut before.processes, tracker, |_| true);
                    let process = process.clone();
                    let since = None;
                    let new = || Watched::new(tracker, Counted { process, since });
                    self.processes.push(known.unwrap_or_else(new));
                }
            }
        }
        before.stop();
    }

    /// Nothing is followed any more.
    pub(super) fn stop(&mut self) {
        for script in core::mem::take(self).scripts {
            if let Some(run) = script.what.run {
                run.end();
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let scripts = self.scripts.iter();
        let scripts = scripts.map(|script| script.what.machine.next_deadline());
        let looks = !self.files.is_empty() || !self.processes.is_empty();
        scripts.chain(looks.then_some(self.next_look)).min()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let runs = self.scripts.iter().filter_map(|it| it.what.run.as_ref());
        runs.flat_map(Run::descriptors)
    }

    pub(super) fn step(&mut self, now: Timestamp, events: &mut Vec<ScriptEvent>) {
        for script in &mut self.scripts {
            script.step(now, events);
        }
        if self.next_look > now || self.files.is_empty() && self.processes.is_empty() {
            return;
        }
        self.next_look = now.saturating_add(LOOK);
        for file in &mut self.files {
            file.look(events);
        }
        if !self.processes.is_empty() {
            let running = processes::all();
            for program in &mut self.processes {
                program.look(now, &running, events);
            }
        }
    }
}

impl Followed {
    /// None for times that the reader does not let through.
    fn new(script: &VrrpScript, program: Program) -> Option<Self> {
        Some(Self {
            program,
            machine: Script::new(script_config(script)).ok()?,
            run: None,
            was_asked: false,
            is_missing: false,
        })
    }
}

impl Watched<Followed> {
    fn step(&mut self, now: Timestamp, events: &mut Vec<ScriptEvent>) {
        let script = &mut self.what;
        let mut told = None;
        if let Some(run) = &mut script.run
            && let Some(ended) = run.step()
        {
            script.run = None;
            told = script.machine.finished(now, ended.is_success());
        }
        let (step, status) = script.machine.tick(now);
        told = status.or(told);
        match step {
            Some(ScriptStep::Start) => match Run::start(&script.program) {
                Ok(run) => {
                    script.run = Some(run);
                    script.was_asked = false;
                    script.is_missing = false;
                }
                Err(error) => {
                    if !core::mem::replace(&mut script.is_missing, true) {
                        events.push(ScriptEvent::NotRun {
                            name: self.name.clone(),
                            reason: error.to_string(),
                        });
                    }
                    told = script.machine.finished(now, false).or(told);
                }
            },
            Some(ScriptStep::Kill) => {
                if let Some(run) = &mut script.run {
                    // Asked first, as keepalived does.
                    if core::mem::replace(&mut script.was_asked, true) {
                        run.kill();
                    } else {
                        run.terminate();
                        let name = self.name.clone();
                        events.push(ScriptEvent::Overdue { name });
                    }
                }
            }
            None => {}
        }
        if let Some(status) = told {
            self.tell(status, events);
        }
    }
}

impl Watched<TrackFile> {
    fn look(&mut self, events: &mut Vec<ScriptEvent>) {
        if self.status.is_none()
            && let Err(error) = files::initialize(&self.what)
        {
            events.push(ScriptEvent::NotRun {
                name: self.name.clone(),
                reason: format!("{}: {error}", self.what.path),
            });
        }
        let value = files::value(&self.what.path);
        self.tell(TrackerStatus::Value(value), events);
    }
}

impl Watched<Counted> {
    fn look(
        &mut self,
        now: Timestamp,
        running: &[processes::Process],
        events: &mut Vec<ScriptEvent>,
    ) {
        let wanted = &self.what.process;
        let count = running.iter().filter(|it| processes::matches(it, wanted));
        let is_fine = processes::is_fine(count.count(), wanted);
        let status = TrackerStatus::from(is_fine);
        let delay = match self.status {
            None => Duration::ZERO,
            Some(known) if known == status => {
                self.what.since = None;
                return;
            }
            Some(_) if is_fine => wanted.fork_delay,
            Some(_) => wanted.terminate_delay,
        };
        let since = *self.what.since.get_or_insert(now);
        if since.saturating_add(delay) <= now {
            self.what.since = None;
            self.tell(status, events);
        }
    }
}
