//! Telling: commands in order, one at a time for each virtual router and each group, and FIFOs.

use core::time::Duration;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Command as Program;
use lvs_vrrp::Timestamp;

use super::changes::{Change, ChangeSubject, Role, What};
use super::{Programs, ScriptEvent};
use crate::keepalived::vrrp::Notify;
use crate::keepalived::{Command, Config, Position};
use crate::notify::fifo::{Fifos, Half, PlannedFifo, planned};
use crate::notify::queue::{Progress, Queues};
use crate::vrrp::Plan;

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

/// A script of a virtual router or a group that takes longer is killed: long enough to mount a volume
/// or to start a database, and still there is an end for those that wait behind it.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(300);

/// Tells scripts of changes.
#[derive(Debug)]
pub(super) struct Notifier {
    commands: BTreeMap<ChangeSubject, Commands>,
    queues: Queues<ChangeSubject, Change>,
    /// As they are planned.
    planned: Vec<PlannedFifo>,
    /// Where they are, once something runs.
    fifos: Option<Fifos>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            commands: BTreeMap::new(),
            queues: Queues::new(NOTIFY_TIMEOUT),
            planned: Vec::new(),
            fifos: None,
        }
    }
}

impl Notifier {
    /// Goes on with another plan. What is not in it any more is still told of its end.
    pub(super) fn follow(&mut self, plan: &Plan, config: &Config, programs: &mut Programs) {
        for router in plan.routers() {
            let owner = format!("vrrp_instance {}", router.name);
            let commands = Commands::new(&router.notify, &owner, &router.position, programs);
            let subject = ChangeSubject::Router(router.name.clone());
            self.commands.insert(subject, commands);
        }
        for group in plan.groups() {
            let owner = format!("vrrp_sync_group {}", group.name);
            let commands = Commands::new(&group.notify, &owner, &group.position, programs);
            let subject = ChangeSubject::Group(group.name.clone());
            self.commands.insert(subject, commands);
        }
        let Programs { accounts, messages } = programs;
        self.planned = planned(config, Half::Routers, accounts, messages);
        self.claim();
    }

    pub(super) fn write_into(&mut self, fifos: Fifos) {
        self.fifos = Some(fifos);
        self.claim();
    }

    fn claim(&self) {
        if let Some(fifos) = &self.fifos {
            fifos.claim(Half::Routers, &self.planned);
        }
    }

    pub(super) fn tell(&mut self, changes: Vec<Change>) {
        for change in changes {
            let none = Commands::default();
            let commands = self.commands.get(&change.subject).unwrap_or(&none);
            if let Some(fifos) = &self.fifos
                && (commands.tells_priorities || !matches!(change.what, What::Priority(_)))
            {
                fifos.write(Half::Routers, &change.to_string());
            }
            let programs = commands.of(&change);
            for program in programs {
                self.queues
                    .push(change.subject.clone(), change.clone(), program);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.queues.next_deadline()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.queues.descriptors()
    }

    pub(super) fn step(&mut self, now: Timestamp, events: &mut Vec<ScriptEvent>) {
        let progress = self.queues.step(now).into_iter();
        events.extend(progress.map(|progress| match progress {
            Progress::Started(change, command) => ScriptEvent::Notifies { change, command },
            Progress::Ended(change, command, ended) => ScriptEvent::Notified {
                change,
                command,
                ended,
            },
        }));
    }

    pub(super) fn leave(&self) {
        if let Some(fifos) = &self.fifos {
            fifos.leave();
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queues.is_idle()
    }

    pub(super) fn kill(&mut self) {
        self.queues.kill();
    }
}

impl Commands {
    fn new(notify: &Notify, owner: &str, position: &Position, programs: &mut Programs) -> Self {
        let mut program = |keyword: &str, command: &Option<Command>| {
            let owner = format!("{owner}: {keyword}");
            let command = command.as_ref()?;
            programs.program(command, &owner, position)
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
            let message = format!("{owner}: smtp_alert is not supported; ignored");
            programs.messages.warning(position, message);
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
