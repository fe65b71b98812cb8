//! The ledger on disk, so that a program that died knows what it left behind.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::ledger::Ledger;
use crate::error::Error;

/// Where the kernel tells one boot from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A file that holds a [`Ledger`] for as long as the machine runs.
///
/// A boot empties the kernel's table, so the ledger of an earlier boot is worth nothing and reads
/// as empty. Writing is complete or not at all: a new file is written, flushed to the disk and
/// renamed. Each program needs a file of its own for each network namespace, and has to remove it
/// when it makes a namespace anew or unloads the module `ip_vs`: neither changes the boot.
///
/// ```no_run
/// use lvs_ipvs::{LedgerFile, Policy, Reconciler, Scope};
///
/// let mut file = LedgerFile::open("/run/example/ipvs-ledger")?;
/// let mut reconciler = Reconciler::new(Policy::new(Scope::all())).with_ledger(file.load()?);
/// // After each `step`, before its plan is applied, and after the outcomes are recorded:
/// file.store(reconciler.ledger())?;
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    boot_id: String,
    stored: Option<Ledger>,
}

impl LedgerFile {
    /// A ledger at that path, which need not exist yet; its folder must.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] without `/proc`, which tells one boot from another.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let boot_id = fs::read_to_string(BOOT_ID)
            .map_err(|error| Error::io(format!("cannot read {BOOT_ID}"), error))?;
        Ok(Self::of_boot(path.into(), boot_id.trim()))
    }

    fn of_boot(path: PathBuf, boot_id: &str) -> Self {
        Self {
            path,
            boot_id: format!("# boot {boot_id}"),
            stored: None,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the ledger; empty when there is no file or it is of an earlier boot.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read or is no ledger. Who goes on with an empty one
    /// leaves behind what an earlier process made and is not desired any more.
    pub fn load(&mut self) -> Result<Ledger, Error> {
        self.stored = None;
        let failed = |error| Error::io(format!("cannot read {}", self.path.display()), error);
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::new()),
            Err(error) => return Err(failed(error)),
        };
        if text.lines().next() != Some(self.boot_id.as_str()) {
            return Ok(Ledger::new());
        }
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let ledger: Ledger = text.parse().map_err(invalid).map_err(failed)?;
        self.stored = Some(ledger.clone());
        Ok(ledger)
    }

    /// Writes the ledger, unless it was the last one read or written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the file is as it was before, or as it should be but perhaps not on the disk
    /// yet. Storing again tries again.
    pub fn store(&mut self, ledger: &Ledger) -> Result<(), Error> {
        if self.stored.as_ref() == Some(ledger) {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            let mut next = self.path.clone().into_os_string();
            next.push(".new");
            let mut file = File::create(&next)?;
            write!(file, "{}\n{ledger}", self.boot_id)?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            // The name is in the folder, which has to be on the disk too.
            let folder = self
                .path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        write()
            .map_err(|error| Error::io(format!("cannot write {}", self.path.display()), error))?;
        self.stored = Some(ledger.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ServiceKey;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("lvs-ipvs-ledger-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, boot: &str) -> LedgerFile {
            LedgerFile::of_boot(self.0.join("ledger"), boot)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new();
        ledger.insert(ServiceKey::tcp("192.0.2.1:80".parse().unwrap()));
        ledger
    }

    #[test]
    fn what_was_stored_is_there_until_the_next_boot() {
        let folder = Folder::new("boot");
        assert_eq!(folder.file("1").load().unwrap(), Ledger::new());
        folder.file("1").store(&ledger()).unwrap();
        assert_eq!(folder.file("1").load().unwrap(), ledger());
        assert_eq!(folder.file("2").load().unwrap(), Ledger::new());
        let names = fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(names, 1, "nothing but the file is left");
    }

    #[test]
    fn the_same_ledger_is_not_written_twice() {
        let folder = Folder::new("twice");
        let mut file = folder.file("1");
        file.store(&ledger()).unwrap();
        fs::remove_file(file.path()).unwrap();
        file.store(&ledger()).unwrap();
        assert!(!file.path().exists());
        file.store(&Ledger::new()).unwrap();
        assert!(file.path().exists());
    }

    #[test]
    fn what_is_gone_since_is_written_again() {
        let folder = Folder::new("gone");
        let mut file = folder.file("1");
        file.store(&ledger()).unwrap();
        fs::remove_file(file.path()).unwrap();
        assert_eq!(file.load().unwrap(), Ledger::new());
        file.store(&ledger()).unwrap();
        assert_eq!(folder.file("1").load().unwrap(), ledger());
    }

    #[test]
    fn a_file_that_is_no_ledger_is_an_error_with_its_name_and_line() {
        let folder = Folder::new("damaged");
        let mut file = folder.file("1");
        fs::write(file.path(), "# boot 1\nTCP nonsense\n").unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("ledger line 2"), "{error}");
        assert!(
            error.contains(&file.path().display().to_string()),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = Folder::new("absent");
        let mut file = LedgerFile::of_boot(folder.0.join("no/ledger"), "1");
        let error = file.store(&ledger()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write"), "{error}");
    }
}
