//! Whether somebody else could change what root is going to run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::error::{Error, Invalid};
use crate::probe::command::{Command, Environment};

/// What [`check_script_security`] refuses.
const LIMIT: &str = "must not be writable by others than root, because root would run it";

/// Refuses a command that would run as root although its file, or a directory above it, can be
/// changed by somebody else; keepalived's `enable_script_security`.
///
/// Call it when loading a configuration. A command that runs as another user passes, and so does
/// one whose file does not exist (yet): it fails when it is run. Symbolic links are followed, and
/// the directories on both sides are looked at. A directory with the sticky bit, such as `/tmp`, is
/// fine if what it holds belongs to root. Only the program itself is looked at, not what it runs.
///
/// # Errors
///
/// The first file or directory that is not safe, or that cannot be examined.
pub fn check_script_security(command: &Command) -> Result<(), Error> {
    let uid = command
        .credentials()
        .map_or_else(|| geteuid().as_raw(), |user| user.uid);
    if uid != 0 {
        return Ok(());
    }
    let Some(path) = program(command) else {
        return Ok(());
    };
    let real = path
        .canonicalize()
        .map_err(|error| Error::io("finding the real path of a command", error))?;
    for part in real.ancestors().chain(path.ancestors()) {
        // The link itself says nothing: whoever may change it owns or can write its directory.
        let metadata =
            fs::metadata(part).map_err(|error| Error::io("examining a command's path", error))?;
        let owner = Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode(),
        };
        if !owner.is_only_root(metadata.is_dir()) {
            return Err(Invalid::new("command", part.display().to_string(), LIMIT).into());
        }
    }
    Ok(())
}

/// The file that will be executed, if there is one.
fn program(command: &Command) -> Option<PathBuf> {
    let name = Path::new(command.arguments().first()?);
    if name.components().count() > 1 {
        // Commands are run in `/`.
        return Some(Path::new("/").join(name)).filter(|path| path.exists());
    }
    let path = match command.environment() {
        Environment::Clean { path } => path.into(),
        Environment::Inherit => std::env::var_os("PATH")?,
    };
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

/// Who owns a file and who may write it.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Owner {
    const GROUP_MAY_WRITE: u32 = 0o020;
    const OTHERS_MAY_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    fn is_only_root(self, is_dir: bool) -> bool {
        let group = self.mode & Self::GROUP_MAY_WRITE != 0 && self.gid != 0;
        let others = self.mode & Self::OTHERS_MAY_WRITE != 0;
        let sticky = is_dir && self.mode & Self::STICKY != 0;
        self.uid == 0 && (sticky || !(group || others))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::probe::command::Credentials;

    #[test]
    fn only_root_means_owner_group_and_others() {
        let safe = |uid, gid, mode, is_dir| Owner { uid, gid, mode }.is_only_root(is_dir);
        assert!(safe(0, 0, 0o755, false));
        assert!(safe(0, 0, 0o775, false), "root's group");
        assert!(!safe(0, 5, 0o775, false));
        assert!(!safe(0, 0, 0o757, false));
        assert!(!safe(7, 0, 0o500, false), "its owner can change the mode");
        assert!(safe(0, 0, 0o1777, true), "sticky, as /tmp");
        assert!(!safe(0, 0, 0o1777, false), "which means nothing for a file");
        assert!(!safe(7, 0, 0o1777, true));
    }

    #[test]
    fn commands_of_other_users_and_missing_ones_pass() {
        let user = Command::new("/bin/sh").with_credentials(Credentials::new(1, 1));
        assert!(check_script_security(&user).is_ok());
        let missing = Command::new("/no/such/file").with_credentials(Credentials::new(0, 0));
        assert!(check_script_security(&missing).is_ok());
    }

    #[test]
    #[ignore = "needs root: gives files to other users"]
    fn file_and_directories_on_both_sides_of_a_link_are_looked_at() {
        let dir = tempfile::TempDir::new().unwrap();
        let (script, link_dir) = (dir.path().join("check"), dir.path().join("links"));
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::create_dir(&link_dir).unwrap();
        let link = link_dir.join("link");
        symlink(&script, &link).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let refused =
            |path: &Path| match check_script_security(&Command::new(path.to_str().unwrap())) {
                Ok(()) => None,
                Err(Error::Invalid(invalid)) => Some(invalid.value),
                Err(other) => panic!("{other}"),
            };
        let text = |path: &Path| Some(path.display().to_string());
        for path in [&script, &link_dir] {
            mode(path, 0o755);
        }
        assert_eq!((refused(&script), refused(&link)), (None, None));
        mode(&link_dir, 0o777);
        assert_eq!((refused(&script), refused(&link)), (None, text(&link_dir)));
        mode(&link_dir, 0o755);
        mode(&script, 0o757);
        assert_eq!(
            (refused(&script), refused(&link)),
            (text(&script), text(&script))
        );
        mode(&script, 0o755);
        chown(dir.path(), Some(12345), None).unwrap();
        assert_eq!(refused(&script), text(dir.path()));
        let named = Command::new("check").with_environment(Environment::Clean {
            path: format!("/nowhere:{}", dir.path().display()),
        });
        assert!(check_script_security(&named).is_err(), "found by its PATH");
    }
}
