//! Commands in order: one at a time for each of those they are about.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Command as Program;
use lvs_vrrp::Timestamp;

use super::run::{Ended, Run};

/// Should killing a command not be enough, it is killed again after that long.
const AGAIN: Duration = Duration::from_secs(10);

/// So many may wait in each queue; then the oldest are left out.
pub(crate) const WAITING: usize = 256;
/// Of so many commands that have left somebody behind the output is read on.
const LINGERING: usize = 64;

/// What became of a command, and what it tells of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress<T> {
    Started(T, String),
    Ended(T, String, Ended),
}

/// A queue for each key; of each one command runs at a time.
#[derive(Debug)]
pub(crate) struct Queues<K, T> {
    /// A command that takes longer is killed.
    limit: Duration,
    queues: BTreeMap<K, Queue<T>>,
    lingering: VecDeque<Run>,
    /// What happened since the last step.
    progress: Vec<Progress<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<(T, Program)>,
    running: Option<Running<T>>,
}

#[derive(Debug)]
struct Running<T> {
    what: T,
    command: String,
    run: Run,
    until: Timestamp,
}

impl<K: Ord, T: Clone> Queues<K, T> {
    /// With the longest time that a command may take.
    pub(crate) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            queues: BTreeMap::new(),
            lingering: VecDeque::new(),
            progress: Vec::new(),
        }
    }

    /// Lets a command wait for its turn.
    pub(crate) fn push(&mut self, key: K, what: T, program: Program) {
        let queue = self.queues.entry(key).or_default();
        queue.waiting.push_back((what, program));
        while queue.waiting.len() > WAITING {
            if let Some((what, program)) = queue.waiting.pop_front() {
                let ended = Ended::NotStarted("too many wait".to_owned());
                let progress = Progress::Ended(what, program.to_string(), ended);
                self.progress.push(progress);
            }
        }
    }

    /// When [`step`](Self::step) is to be called at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let starts = self.queues.values().any(|queue| {
            // It has nothing to wait for.
            queue.running.is_none() && !queue.waiting.is_empty()
        });
        if starts || !self.progress.is_empty() {
            return Some(Timestamp::ZERO);
        }
        let running = self.queues.values().filter_map(|it| it.running.as_ref());
        running.map(|running| running.until).min()
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let running = self.queues.values().filter_map(|it| it.running.as_ref());
        let running = running.flat_map(|running| running.run.descriptors());
        let lingering = self.lingering.iter().flat_map(Run::descriptors);
        running.chain(lingering)
    }

    /// Starts and ends what is due.
    pub(crate) fn step(&mut self, now: Timestamp) -> Vec<Progress<T>> {
        let mut progress = core::mem::take(&mut self.progress);
        for run in &mut self.lingering {
            run.step();
        }
        self.lingering.retain(Run::has_output);
        for queue in self.queues.values_mut() {
            while let Some(run) = queue.step(now, self.limit, &mut progress) {
                if run.has_output() {
                    self.lingering.push_back(run);
                }
            }
        }
        while self.lingering.len() > LINGERING {
            self.lingering.pop_front();
        }
        self.queues
            .retain(|_, queue| queue.running.is_some() || !queue.waiting.is_empty());
        progress
    }

    /// Whether nothing runs or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }

    /// Kills what runs; what waits is not run any more.
    pub(crate) fn kill(&mut self) {
        for queue in self.queues.values_mut() {
            for (what, program) in queue.waiting.drain(..) {
                let ended = Ended::NotStarted("the end came first".to_owned());
                let progress = Progress::Ended(what, program.to_string(), ended);
                self.progress.push(progress);
            }
            if let Some(running) = &mut queue.running {
                running.run.kill();
            }
        }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            running: None,
        }
    }
}

impl<T: Clone> Queue<T> {
    /// Goes on; gives a command that has ended, after which there may be another to be started.
    fn step(
        &mut self,
        now: Timestamp,
        limit: Duration,
        progress: &mut Vec<Progress<T>>,
    ) -> Option<Run> {
        if let Some(running) = &mut self.running {
            let Some(ended) = running.run.step() else {
                if running.until <= now {
                    running.run.kill();
                    running.until = now.saturating_add(AGAIN);
                }
                return None;
            };
            let running = self.running.take()?;
            progress.push(Progress::Ended(running.what, running.command, ended));
            return Some(running.run);
        }
        while let Some((what, program)) = self.waiting.pop_front() {
            let command = program.to_string();
            progress.push(Progress::Started(what.clone(), command.clone()));
            match Run::start(&program) {
                Ok(run) => {
                    let until = now.saturating_add(limit);
                    self.running = Some(Running {
                        what,
                        command,
                        run,
                        until,
                    });
                    return None;
                }
                Err(error) => {
                    let ended = Ended::NotStarted(error.to_string());
                    progress.push(Progress::Ended(what, command, ended));
                }
            }
        }
        None
    }
}
