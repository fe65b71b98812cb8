//! Files that checks want to know about, by their directories.
//!
//! What happens costs a search for the name of the file, and removing a check one for each of its
//! files, however many others there are.

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
    /// Where the files of a check are watched.
    places: HashMap<CheckId, Vec<(WatchDescriptor, OsString)>>,
    /// Files whose directory is missing.
    lost: HashMap<CheckId, Vec<PathBuf>>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Who wants to know about which file.
    files: HashMap<OsString, Vec<CheckId>>,
}

impl Watches {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            directories: HashMap::new(),
            places: HashMap::new(),
            lost: HashMap::new(),
        })
    }

    /// Lets a check know about a file. As long as its directory is missing, that waits for
    /// [`find`](Self::find).
    pub(super) fn add(&mut self, path: &Path, check: CheckId) {
        if self.watch(path, check).is_err() {
            self.lost.entry(check).or_default().push(path.to_owned());
        }
    }

    /// Looks once more for what could not be watched before, for a check that begins to read it.
    pub(super) fn find(&mut self, check: CheckId) {
        for path in self.lost.remove(&check).into_iter().flatten() {
            self.add(&path, check);
        }
    }

    fn watch(&mut self, path: &Path, check: CheckId) -> io::Result<()> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let descriptor = self.inotify.add_watch(directory, flags)?;
        let directory = self
            .directories
            .entry(descriptor)
            .or_insert_with(|| Directory {
                path: directory.to_owned(),
                files: HashMap::new(),
            });
        let name = name.to_owned();
        let watching = directory.files.entry(name.clone()).or_default();
        watching.push(check);
        self.places
            .entry(check)
            .or_default()
            .push((descriptor, name));
        Ok(())
    }

    /// Forgets a check.
    pub(super) fn remove(&mut self, check: CheckId) {
        self.lost.remove(&check);
        for (descriptor, name) in self.places.remove(&check).into_iter().flatten() {
            let Some(directory) = self.directories.get_mut(&descriptor) else {
                continue;
            };
            if let Some(watching) = directory.files.get_mut(&name) {
                watching.retain(|other| *other != check);
                if watching.is_empty() {
                    directory.files.remove(&name);
                }
            }
            if directory.files.is_empty() {
                self.directories.remove(&descriptor);
                // It has gone by itself if the directory was removed.
                let _ = self.inotify.rm_watch(descriptor);
            }
        }
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
                let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF;
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    changed.extend(self.places.keys());
                } else if event.mask.intersects(gone) {
                    changed.extend(self.watch_again(event.wd));
                } else if let (Some(directory), Some(name)) =
                    (self.directories.get(&event.wd), &event.name)
                {
                    changed.extend(directory.files.get(name).into_iter().flatten());
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// A directory was removed or has another name now; perhaps there is another one in its place.
    fn watch_again(&mut self, descriptor: WatchDescriptor) -> Vec<CheckId> {
        let Some(directory) = self.directories.remove(&descriptor) else {
            return Vec::new();
        };
        // One that has another name is there still.
        let _ = self.inotify.rm_watch(descriptor);
        let mut all = Vec::new();
        for (name, checks) in directory.files {
            for check in checks {
                if let Some(places) = self.places.get_mut(&check) {
                    places.retain(|(other, _)| *other != descriptor);
                }
                self.add(&directory.path.join(&name), check);
                all.push(check);
            }
        }
        all
    }
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::fs;
    use std::time::Instant;

    use super::*;

    fn check(slot: u32) -> CheckId {
        CheckId {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn each_is_told_of_its_files_only_and_nothing_is_kept_of_those_that_went() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut watches = Watches::new().unwrap();
        for slot in 0..4 {
            watches.add(&path(&format!("f{}", slot / 2)), check(slot));
        }
        fs::write(path("f0"), "").unwrap();
        assert_eq!(watches.changed(), [check(0), check(1)]);
        watches.remove(check(0));
        fs::write(path("f0"), "1").unwrap();
        fs::write(path("f1"), "1").unwrap();
        fs::write(path("f2"), "1").unwrap();
        assert_eq!(watches.changed(), [check(1), check(2), check(3)]);
        for slot in 1..4 {
            watches.remove(check(slot));
        }
        assert!(watches.places.is_empty() && watches.directories.is_empty());
        fs::write(path("f0"), "2").unwrap();
        assert_eq!(watches.changed(), []);
    }

    #[test]
    fn directory_that_is_renamed_away_is_looked_for_at_its_old_place() {
        let directory = tempfile::tempdir().unwrap();
        let (inner, aside) = (directory.path().join("in"), directory.path().join("aside"));
        fs::create_dir(&inner).unwrap();
        let mut watches = Watches::new().unwrap();
        watches.add(&inner.join("f"), check(7));
        fs::rename(&inner, &aside).unwrap();
        assert_eq!(watches.changed(), [check(7)]);
        fs::write(aside.join("f"), "").unwrap();
        assert_eq!(watches.changed(), [], "somewhere else");
        fs::create_dir(&inner).unwrap();
        watches.find(check(7));
        fs::write(inner.join("f"), "").unwrap();
        assert_eq!(watches.changed(), [check(7)]);
        watches.remove(check(7));
        assert!(watches.places.is_empty() && watches.directories.is_empty());
        watches.add(&directory.path().join("missing/f"), check(8));
        watches.remove(check(8));
        assert!(watches.lost.is_empty());
    }

    /// How long hearing of a hundred files and forgetting a hundred checks takes among so many.
    fn cost(count: u32) -> Duration {
        let directory = tempfile::tempdir().unwrap();
        let mut watches = Watches::new().unwrap();
        let path = |slot: u32| directory.path().join(slot.to_string());
        for slot in 0..count {
            watches.add(&path(slot), check(slot));
        }
        for slot in 0..100 {
            fs::write(path(slot), "").unwrap();
        }
        let start = Instant::now();
        assert_eq!(watches.changed().len(), 100);
        for slot in 0..100 {
            watches.remove(check(slot));
        }
        start.elapsed()
    }

    #[test]
    fn cost_does_not_depend_on_how_many_files_are_watched() {
        let best = |count| (0..5).map(|_| cost(count)).min().unwrap();
        let (few, many) = (best(100), best(20_000));
        assert!(many < 20 * few, "100: {few:?}, 20,000: {many:?}");
    }
}
