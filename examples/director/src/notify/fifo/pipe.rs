//! A FIFO as a file, open as long as somebody may write: see `fifo(7)` and `pipe(7)`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use lvs_healthcheck::probe::command::Credentials;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Open at both ends, so that it needs nobody at the other one, and keeps what is written while a
/// reader is not there.
#[derive(Debug)]
pub(super) struct Pipe {
    path: PathBuf,
    file: File,
    /// It was made here: it goes with this.
    is_ours: bool,
}

impl Pipe {
    /// Makes it if it is not there, and opens it. One that is there is `inherited` from the process
    /// before, or somebody else's.
    pub(super) fn open(
        path: &str,
        owner: Option<&Credentials>,
        is_inherited: bool,
    ) -> io::Result<Self> {
        let path = Path::new(path);
        let is_new = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let pipe = open_at(path).map(|file| Self {
            path: path.to_owned(),
            file,
            is_ours: is_new || is_inherited,
        });
        if is_new && let (Ok(pipe), Some(owner)) = (&pipe, owner) {
            fchown(&pipe.file, Some(owner.uid), Some(owner.gid))?;
        }
        pipe
    }

    /// Writes a line, as a whole or not at all. Nobody is waited for.
    pub(super) fn write(&mut self, line: &str) -> Result<(), &'static str> {
        let text = format!("{line}\n");
        if text.len() > PIPE_BUF {
            return Err("the line is longer than 4096 bytes");
        }
        // As short as it is nothing comes between its parts.
        self.file
            .write_all(text.as_bytes())
            .map_err(|_| "it is full")
    }

    /// Whether all that was written has been read.
    pub(super) fn is_empty(&self) -> bool {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO) == Ok(0)
    }

    /// Takes what nobody has read, and says how many lines that is.
    pub(super) fn take_unread(&mut self) -> u64 {
        let (mut lines, mut buffer) = (0, [0; 4096]);
        while let Ok(length @ 1..) = self.file.read(&mut buffer) {
            let read = buffer.get(..length).unwrap_or_default();
            let ends = read.iter().filter(|byte| **byte == b'\n').count();
            lines += u64::try_from(ends).unwrap_or(u64::MAX);
        }
        lines
    }

    /// Closes it: its reader finds the end of the file. It goes, if it `goes` at all and is ours.
    pub(super) fn close(self, goes: bool) {
        if self.is_ours && goes {
            // It may have gone already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open_at(path: &Path) -> io::Result<File> {
    let no_fifo = || io::Error::new(ErrorKind::AlreadyExists, "it exists and is no FIFO");
    // Looked at before, as opening a device may do something.
    if !fs::symlink_metadata(path)?.file_type().is_fifo() {
        return Err(no_fifo());
    }
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let options = options.read(true).write(true).custom_flags(flags.bits());
    let file = options.open(path)?;
    match file.metadata()?.file_type().is_fifo() {
        true => Ok(file),
        false => Err(no_fifo()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_is_there_and_no_fifo_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        for path in [path("file"), path("link"), path("")] {
            let error = Pipe::open(&path, None, false).unwrap_err();
            assert_eq!(error.to_string(), "it exists and is no FIFO", "{path}");
        }
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "text");
    }

    /// All of them find it, one of them has made it.
    #[test]
    fn several_may_make_it_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = folder.path().join(round.to_string()).display().to_string();
            let open = || Pipe::open(&path, None, false).unwrap().is_ours;
            let made = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                let made = threads.into_iter().map(|it| it.join().unwrap());
                made.filter(|made| *made).count()
            });
            assert_eq!(made, 1);
        }
    }

    #[test]
    fn what_nobody_has_read_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo").display().to_string();
        let mut pipe = Pipe::open(&path, None, false).unwrap();
        assert!(pipe.is_empty());
        assert!(pipe.write(&"x".repeat(PIPE_BUF)).is_err());
        for line in ["one", "two"] {
            pipe.write(line).unwrap();
        }
        assert!(!pipe.is_empty());
        assert_eq!(pipe.take_unread(), 2);
        assert!(pipe.is_empty());
        pipe.close(true);
        assert!(!fs::exists(&path).unwrap());
    }
}
