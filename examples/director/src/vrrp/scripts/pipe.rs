//! Named pipes that changes are written into, and the scripts that read them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use lvs_healthcheck::Command as Program;
use lvs_healthcheck::probe::command::Credentials;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkfifo};

use super::ScriptEvent;
use super::account::Accounts;
use super::run::Run;
use crate::keepalived::Fifo;

/// The pipes of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pipes: Vec<Pipe>,
    /// Pipes that are there were left by the process before.
    are_inherited: bool,
}

/// A pipe as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    /// Whose it is to be.
    pub(crate) owner: Option<Credentials>,
    /// Who reads it.
    pub(crate) reader: Option<Program>,
}

#[derive(Debug)]
struct Pipe {
    wanted: Wanted,
    /// None before the first step, and if there cannot be one.
    file: Option<File>,
    reader: Option<Run>,
    is_new: bool,
    is_ours: bool,
}

impl Pipes {
    /// Goes on with these; those that are as they were stay open.
    pub(super) fn follow(&mut self, fifos: [(&str, &Fifo); 2], accounts: &mut Accounts<'_>) {
        let wanted = fifos.into_iter().filter_map(|(keyword, fifo)| {
            let command = fifo.path.as_ref()?;
            let path = command.words.first().cloned()?;
            let owner = accounts.owner(command, keyword);
            let reader = fifo.script.as_ref().and_then(|script| {
                let program = accounts.global(script, &format!("{keyword}_script"))?;
                Some(program.with_argument(&path))
            });
            Some(Wanted {
                path,
                owner,
                reader,
            })
        });
        self.want(wanted.collect());
    }

    /// Goes on with these; those that are as they were stay open.
    pub(crate) fn want(&mut self, wanted: Vec<Wanted>) {
        let mut before = core::mem::take(&mut self.pipes);
        for wanted in wanted {
            let known = before.iter().position(|pipe| pipe.wanted == wanted);
            self.pipes.push(match known {
                Some(place) => before.swap_remove(place),
                None => Pipe {
                    wanted,
                    file: None,
                    reader: None,
                    is_new: true,
                    is_ours: false,
                },
            });
        }
        for mut pipe in before {
            pipe.close();
        }
    }

    /// Those that are there are ours, to be removed at the end.
    pub(crate) const fn inherit(&mut self) {
        self.are_inherited = true;
    }

    /// Another process goes on with them: they are not removed.
    pub(crate) fn leave(&mut self) {
        for pipe in &mut self.pipes {
            pipe.is_ours = false;
        }
    }

    /// Whether one is to be opened.
    pub(crate) fn is_due(&self) -> bool {
        self.pipes.iter().any(|pipe| pipe.is_new)
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let readers = self.pipes.iter().filter_map(|pipe| pipe.reader.as_ref());
        readers.flat_map(Run::descriptors)
    }

    /// Opens what is to be opened, and starts who reads.
    pub(crate) fn step(&mut self, events: &mut Vec<ScriptEvent>) {
        for pipe in &mut self.pipes {
            if core::mem::replace(&mut pipe.is_new, false)
                && let Err(error) = pipe.open(self.are_inherited)
            {
                events.push(ScriptEvent::NotRun {
                    name: pipe.wanted.path.clone(),
                    reason: error.to_string(),
                });
            }
            if let Some(reader) = &mut pipe.reader
                && let Some(ended) = reader.step()
            {
                pipe.reader = None;
                events.push(ScriptEvent::NotRun {
                    name: format!("reader of {}", pipe.wanted.path),
                    reason: ended.to_string(),
                });
            }
        }
    }

    /// Writes a line into each. Nobody is waited for.
    pub(crate) fn write(&mut self, line: &str, events: &mut Vec<ScriptEvent>) {
        for pipe in &mut self.pipes {
            if core::mem::replace(&mut pipe.is_new, false) {
                // The first line must not be lost; why there is none is told by the next one.
                pipe.is_new = pipe.open(self.are_inherited).is_err();
            }
            let Some(file) = &mut pipe.file else {
                continue;
            };
            // As short as it is it is written as a whole or not at all: pipe(7).
            if file.write_all(format!("{line}\n").as_bytes()).is_err() {
                let (path, line) = (pipe.wanted.path.clone(), line.to_owned());
                events.push(ScriptEvent::PipeFull { path, line });
            }
        }
    }

    pub(crate) fn close(&mut self) {
        for pipe in &mut self.pipes {
            pipe.close();
        }
        self.pipes.clear();
    }
}

impl Pipe {
    fn open(&mut self, is_inherited: bool) -> io::Result<()> {
        let path = Path::new(&self.wanted.path);
        let exists = fs::symlink_metadata(path).map(|found| found.file_type().is_fifo());
        match exists {
            Ok(true) => self.is_ours |= is_inherited,
            Ok(false) => return Err(io::Error::other("it exists and is no pipe")),
            Err(_) => {
                mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
                self.is_ours = true;
                if let Some(owner) = &self.wanted.owner {
                    let (user, group) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
                    chown(path, Some(user), Some(group))?;
                }
            }
        }
        // Open for reading, too, it needs nobody at the other end.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits());
        self.file = Some(options.open(path)?);
        if let Some(program) = &self.wanted.reader {
            self.reader = Some(Run::start(program)?);
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.end();
        }
        if self.file.take().is_some() && self.is_ours {
            // It may have gone already.
            let _ = fs::remove_file(&self.wanted.path);
        }
    }
}
