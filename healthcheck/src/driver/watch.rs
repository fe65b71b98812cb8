//! Files that checks want to know about, by their directories.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno as Number;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::check::CheckId;

#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    directories: HashMap<WatchDescriptor, Directory>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Who wants to know about which file.
    files: Vec<(OsString, CheckId)>,
}

impl Watches {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            directories: HashMap::new(),
        })
    }

    /// Lets a check know about a file. A directory that is missing is an error, a file is not.
    pub(super) fn add(&mut self, path: &Path, check: CheckId) -> io::Result<()> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ONLYDIR;
        let descriptor = self.inotify.add_watch(directory, flags)?;
        let directory = self
            .directories
            .entry(descriptor)
            .or_insert_with(|| Directory {
                path: directory.to_owned(),
                files: Vec::new(),
            });
        directory.files.push((name.to_owned(), check));
        Ok(())
    }

    /// Forgets a check.
    pub(super) fn remove(&mut self, check: CheckId) {
        let inotify = &self.inotify;
        self.directories.retain(|descriptor, directory| {
            directory.files.retain(|(_, other)| *other != check);
            let wanted = !directory.files.is_empty();
            if !wanted {
                // It has gone by itself if the directory was removed.
                let _ = inotify.rm_watch(*descriptor);
            }
            wanted
        });
    }

    /// The checks to whose files something has happened. When the kernel has lost count, or a
    /// directory is gone, those are all of them.
    pub(super) fn changed(&mut self) -> Vec<CheckId> {
        let mut changed = Vec::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Number::EINTR) => continue,
                Err(_) => break,
            };
            for event in events {
                let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                let gone = event.mask.contains(AddWatchFlags::IN_IGNORED);
                for (descriptor, directory) in &self.directories {
                    let here = *descriptor == event.wd;
                    let files = directory.files.iter().filter(|(name, _)| {
                        lost || (here && (gone || event.name.as_ref() == Some(name)))
                    });
                    changed.extend(files.map(|(_, check)| *check));
                }
                if gone {
                    self.watch_again(event.wd);
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// A directory was removed; perhaps there is another one in its place.
    fn watch_again(&mut self, descriptor: WatchDescriptor) {
        let Some(directory) = self.directories.remove(&descriptor) else {
            return;
        };
        for (name, check) in directory.files {
            // If there is none the file is read at every interval, as before.
            let _ = self.add(&directory.path.join(name), check);
        }
    }
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
