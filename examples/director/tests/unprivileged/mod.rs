//! The program as somebody without any privilege runs it.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{env, fs};

use nix::unistd::geteuid;
use tempfile::TempDir;

/// The account without rights of its own, and its group.
const NOBODY: u32 = 65534;

/// A copy of the program that everybody may run.
#[derive(Debug)]
pub(crate) struct Unprivileged {
    folder: TempDir,
}

impl Unprivileged {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copy = folder.path().join("director");
        // By another process: one started meanwhile by another test of this one would hold the
        // copy open for writing, so that it could not be run.
        let copied = Command::new("install")
            .args(["-m", "755", env!("CARGO_BIN_EXE_director")])
            .arg(copy)
            .status();
        assert!(copied.unwrap().success());
        Self { folder }
    }

    /// The program, to be run as nobody when this is root.
    pub(crate) fn director(&self) -> Command {
        as_nobody(self.folder.path().join("director"))
    }
}

/// A command, to be run as nobody when this is root.
pub(crate) fn as_nobody(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}
