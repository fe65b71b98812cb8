//! The reading end of a pipe in the file system, which a daemon writes lines to.

use core::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

#[derive(Debug)]
pub(crate) struct Pipe {
    file: File,
    heard: RefCell<String>,
}

impl Pipe {
    pub(crate) fn new(path: &Path) -> Self {
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        // Open for writing as well: then it has no end while the daemon is not there.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(O_NONBLOCK);
        Self {
            file: options.open(path).unwrap(),
            heard: RefCell::default(),
        }
    }

    /// All whole lines since the start.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut heard = self.heard.borrow_mut();
        let mut bytes = [0; 4096];
        loop {
            match (&self.file).read(&mut bytes) {
                Ok(length) => heard.push_str(str::from_utf8(&bytes[..length]).unwrap()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let whole = heard.rfind('\n').map_or(0, |end| end + 1);
        heard[..whole].lines().map(str::to_owned).collect()
    }
}
