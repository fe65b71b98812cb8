//! Commands and pipes that are told of changes.

use lvs_healthcheck::Command;

use super::Setup;
use super::checks::{command, credentials};
use crate::keepalived::{self, Config, Position};
use crate::vrrp::scripts::Wanted;

/// Keywords of what is run here.
pub(super) const RUN: [&str; 9] = [
    "notify_up",
    "notify_down",
    "quorum_up",
    "quorum_down",
    "rs_init_notifies",
    "notify_fifo",
    "notify_fifo_script",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
];

impl Setup {
    /// A command that is told of changes, as it is to be run.
    pub(super) fn notify_command(
        &mut self,
        config: &Config,
        (position, keyword): (&Position, &str),
        written: Option<&keepalived::Command>,
    ) -> Option<Command> {
        match command(config, written?) {
            // Scripts of unprivileged users call sudo.
            Ok(command) => Some(command.with_new_privileges(true)),
            Err(error) => {
                let message = format_args!("{keyword} cannot be run: {error}");
                self.problem(position, &message);
                None
            }
        }
    }

    /// The pipes of `global_defs`.
    pub(super) fn wanted_pipes(&mut self, config: &Config) -> Vec<Wanted> {
        let globals = config.globals();
        let fifos = [
            ("notify_fifo", "notify_fifo_script", &globals.notify_fifo),
            (
                "lvs_notify_fifo",
                "lvs_notify_fifo_script",
                &globals.lvs_notify_fifo,
            ),
        ];
        let mut wanted = Vec::new();
        for (keyword, reader_keyword, fifo) in fifos {
            let Some(pipe) = &fifo.path else { continue };
            let Some(path) = pipe.words.first() else {
                continue;
            };
            let place = |keyword: &str| {
                let mut features = config.features().iter();
                let feature = features.find(|feature| feature.keyword == keyword);
                feature.map_or_else(
                    || Position::new("".into(), 0, 0),
                    |feature| feature.position.clone(),
                )
            };
            let owner = pipe.user.as_deref();
            let owner = owner.map(|user| credentials(user, pipe.group.as_deref()));
            let owner = owner.transpose().unwrap_or_else(|error| {
                self.problem(&place(keyword), &format_args!("{keyword}: {error}"));
                None
            });
            let position = place(reader_keyword);
            let reader =
                self.notify_command(config, (&position, reader_keyword), fifo.script.as_ref());
            wanted.push(Wanted {
                path: path.clone(),
                owner: owner.filter(|_| nix::unistd::geteuid().is_root()),
                reader: reader.map(|reader| reader.with_argument(path)),
            });
        }
        wanted
    }

    /// The pipes that are told of changes.
    pub(crate) fn pipes(&self) -> &[Wanted] {
        &self.pipes
    }

    /// Leaves it to those who run virtual routers to run the script that reads `notify_fifo`, as
    /// they write into the same pipe.
    #[must_use]
    pub fn sharing_pipes(mut self, config: &Config) -> Self {
        let shared = config.globals().notify_fifo.path.as_ref();
        let shared = shared.and_then(|pipe| pipe.words.first());
        for pipe in &mut self.pipes {
            if Some(&pipe.path) == shared {
                pipe.reader = None;
            }
        }
        self
    }
}
