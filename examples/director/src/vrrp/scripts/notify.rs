//! Telling: commands in order, one at a time for each virtual router and each group, and pipes.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Command as Program;
use lvs_vrrp::Timestamp;

use super::ScriptEvent;
use super::account::Accounts;
use super::changes::{Change, ChangeSubject, Role, What};
use super::pipe::Pipes;
use super::run::{Ended, Run};
use crate::keepalived::vrrp::Notify;
use crate::keepalived::{Command, Globals, Position};
use crate::vrrp::Plan;

/// A notification that takes longer is killed.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// So many may wait for each virtual router and each group; then the oldest are left out.
const WAITING: usize = 256;
/// Of so many commands that have left somebody behind the output is read on.
const LINGERING: usize = 64;

/// What is run for a virtual router or a group.
#[derive(Clone, Debug, Default)]
struct Commands {
    master: Option<Program>,
    backup: Option<Program>,
    fault: Option<Program>,
    stop: Option<Program>,
    deleted: Option<Program>,
    any: Option<Program>,
    losing_advert: Option<Program>,
    tells_priorities: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Change, Program)>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    change: Change,
    command: String,
    run: Run,
    until: Timestamp,
}

/// Tells scripts of changes.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    commands: BTreeMap<ChangeSubject, Commands>,
    queues: BTreeMap<ChangeSubject, Queue>,
    pipes: Pipes,
    lingering: VecDeque<Run>,
    /// What happened since the last step.
    events: Vec<ScriptEvent>,
}

impl Notifier {
    /// Goes on with another plan. What is not in it any more is still told of its end.
    pub(super) fn follow(&mut self, plan: &Plan, globals: &Globals, accounts: &mut Accounts<'_>) {
        for router in plan.routers() {
            let owner = format!("vrrp_instance {}", router.name);
            let commands = Commands::new(&router.notify, &owner, &router.position, accounts);
            let subject = ChangeSubject::Router(router.name.clone());
            self.commands.insert(subject, commands);
        }
        for group in plan.groups() {
            let owner = format!("vrrp_sync_group {}", group.name);
            let commands = Commands::new(&group.notify, &owner, &group.position, accounts);
            let subject = ChangeSubject::Group(group.name.clone());
            self.commands.insert(subject, commands);
        }
        let fifos = [
            ("notify_fifo", &globals.notify_fifo),
            ("vrrp_notify_fifo", &globals.vrrp_notify_fifo),
        ];
        self.pipes.follow(fifos, accounts);
    }

    pub(super) fn tell(&mut self, changes: Vec<Change>) {
        for change in changes {
            let none = Commands::default();
            let commands = self.commands.get(&change.subject).unwrap_or(&none);
            if commands.tells_priorities || !matches!(change.what, What::Priority(_)) {
                self.pipes.write(&change, &mut self.events);
            }
            let programs = commands.of(&change);
            let queue = self.queues.entry(change.subject.clone()).or_default();
            for program in programs {
                queue.waiting.push_back((change.clone(), program));
            }
            while queue.waiting.len() > WAITING {
                if let Some((change, program)) = queue.waiting.pop_front() {
                    self.events.push(ScriptEvent::Notified {
                        change,
                        command: program.to_string(),
                        ended: Ended::NotStarted("too many wait".to_owned()),
                    });
                }
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let is_due = !self.events.is_empty() || self.pipes.is_due();
        let starts = self.queues.values().any(|queue| {
            // It has nothing to wait for.
            queue.running.is_none() && !queue.waiting.is_empty()
        });
        if is_due || starts {
            return Some(Timestamp::ZERO);
        }
        let running = self.queues.values().filter_map(|it| it.running.as_ref());
        running.map(|running| running.until).min()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let running = self.queues.values().filter_map(|it| it.running.as_ref());
        let running = running.flat_map(|running| running.run.descriptors());
        let lingering = self.lingering.iter().flat_map(Run::descriptors);
        running.chain(lingering).chain(self.pipes.descriptors())
    }

    pub(super) fn step(&mut self, now: Timestamp, events: &mut Vec<ScriptEvent>) {
        self.pipes.step(&mut self.events);
        events.append(&mut self.events);
        for run in &mut self.lingering {
            run.step();
        }
        self.lingering.retain(Run::has_output);
        for queue in self.queues.values_mut() {
            while let Some(run) = queue.step(now, events) {
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
    }

    pub(super) const fn inherit(&mut self) {
        self.pipes.inherit();
    }

    pub(super) fn leave(&mut self) {
        self.pipes.leave();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }

    pub(super) fn kill(&mut self) {
        for queue in self.queues.values_mut() {
            queue.waiting.clear();
            if let Some(running) = &mut queue.running {
                running.run.kill();
            }
        }
        self.pipes.close();
    }
}

impl Queue {
    /// Goes on; gives a command that has ended, after which there may be another to be started.
    fn step(&mut self, now: Timestamp, events: &mut Vec<ScriptEvent>) -> Option<Run> {
        if let Some(running) = &mut self.running {
            let Some(ended) = running.run.step() else {
                if running.until <= now {
                    running.run.kill();
                    // Should that not be enough.
                    running.until = now.saturating_add(NOTIFY_TIMEOUT);
                }
                return None;
            };
            let running = self.running.take()?;
            events.push(ScriptEvent::Notified {
                change: running.change,
                command: running.command,
                ended,
            });
            return Some(running.run);
        }
        while let Some((change, program)) = self.waiting.pop_front() {
            let command = program.to_string();
            events.push(ScriptEvent::Notifies {
                change: change.clone(),
                command: command.clone(),
            });
            match Run::start(&program) {
                Ok(run) => {
                    let until = now.saturating_add(NOTIFY_TIMEOUT);
                    self.running = Some(Running {
                        change,
                        command,
                        run,
                        until,
                    });
                    return None;
                }
                Err(error) => events.push(ScriptEvent::Notified {
                    change,
                    command,
                    ended: Ended::NotStarted(error.to_string()),
                }),
            }
        }
        None
    }
}

impl Commands {
    fn new(notify: &Notify, owner: &str, position: &Position, accounts: &mut Accounts<'_>) -> Self {
        let mut program = |keyword: &str, command: &Option<Command>| {
            let owner = format!("{owner}: {keyword}");
            let command = command.as_ref()?;
            accounts.program(command, &owner, position)
        };
        let commands = Self {
            master: program("notify_master", &notify.master),
            backup: program("notify_backup", &notify.backup),
            fault: program("notify_fault", &notify.fault),
            stop: program("notify_stop", &notify.stop),
            deleted: program("notify_deleted", &notify.deleted),
            any: program("notify", &notify.any),
            losing_advert: program(
                "notify_master_rx_lower_pri",
                &notify.master_rx_lower_priority,
            ),
            tells_priorities: notify.priority_changes,
        };
        if notify.smtp_alert {
            accounts.warn(
                position,
                format!("{owner}: smtp_alert is not supported; ignored"),
            );
        }
        commands
    }

    /// What is run for a change, in this order.
    fn of(&self, change: &Change) -> Vec<Program> {
        let special = match change.what {
            What::Role(Role::Master) => &self.master,
            What::Role(Role::Backup) => &self.backup,
            What::Role(Role::Fault) => &self.fault,
            What::Role(Role::Stop) => &self.stop,
            What::Role(Role::Deleted) => &self.deleted,
            What::LosingAdvert => &self.losing_advert,
            What::Priority(_) => &None,
        };
        let any = self.any.clone().map(|program| {
            program
                .with_argument(change.subject.kind())
                .with_argument(change.subject.name())
                .with_argument(change.state())
                .with_argument(&change.priority().to_string())
        });
        let any = any.filter(|_| matches!(change.what, What::Role(_)));
        special.iter().cloned().chain(any).collect()
    }
}
