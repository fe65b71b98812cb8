//! The kernel's settings of IPVS: typed, checked before the kernel sees them, and what of them a
//! director wants.
//!
//! Each sysctl is a constant that knows its type, so a value of the wrong kind does not compile,
//! and one out of range is refused with the range. [`ALL`] has what is known of each: meaning,
//! unit, range, default, first kernel (`Documentation/networking/ipvs-sysctl.rst`).
//!
//! ```no_run
//! use lvs_ipvs::sysctl::{self, SyncThreshold, Sysctls};
//!
//! let sysctls = Sysctls::current();
//! if !sysctls.get(sysctl::CONNTRACK)? {
//!     println!("netfilter does not see balanced connections");
//! }
//! sysctls.set(sysctl::SYNC_THRESHOLD, &SyncThreshold { packets: 3, period: 20 })?;
//! # Ok::<(), lvs_ipvs::Error>(())
//! ```
//!
//! What a director wants depends on what it does; [`Director`] says what, and why. It is reviewed
//! or applied on request only, and can be taken back:
//!
//! ```no_run
//! use lvs_ipvs::sysctl::{Director, Sysctls};
//!
//! let preset = Director::new().removing_dead_servers().preset();
//! print!("{}", preset.review(&Sysctls::current())?);
//! let applied = preset.apply(&Sysctls::current())?;
//! // …
//! applied.restore()?;
//! # Ok::<(), lvs_ipvs::Error>(())
//! ```

mod error;
mod preset;
mod value;
mod variable;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::SysctlError;
pub use preset::{Applied, Change, Director, Finding, Preset, Restored, Review, Wish};
pub use value::{ConnReuse, CpuList, Defence, NotACpuList, SyncThreshold, Value};
pub use variable::*;

use crate::error::Error;
use crate::namespace::Namespace;

/// Longest content that is read: a list of CPUs can be long, all else is a few bytes.
const LONGEST_CONTENT: u64 = 64 * 1024;

/// The sysctls of a network namespace.
///
/// A file below `/proc/sys/net` is that of the namespace of the thread that opens it, whichever
/// thread reads or writes it then. So there is nothing to hold open: each access opens the file
/// anew.
#[derive(Clone, Debug)]
pub struct Sysctls {
    directory: PathBuf,
    namespace: Option<Arc<Namespace>>,
}

impl Sysctls {
    /// Those of the calling thread's namespace, at each access.
    #[must_use]
    pub fn current() -> Self {
        Self::in_directory("/proc/sys/net")
    }

    /// Those below another directory than `/proc/sys/net`: `/proc` mounted elsewhere, or files of
    /// a test.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            namespace: None,
        }
    }

    pub(crate) fn of_namespace(namespace: Namespace) -> Self {
        Self {
            namespace: Some(Arc::new(namespace)),
            ..Self::current()
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`Error::Sysctl`] when this kernel does not have it, or it cannot be read; [`Error::Io`]
    /// when the namespace cannot be entered.
    pub fn get<T: Value>(&self, sysctl: Sysctl<T>) -> Result<T, Error> {
        let text = self.read(sysctl.definition())?;
        T::read(&text).ok_or_else(|| {
            let error = SysctlError::Unreadable {
                path: self.path(sysctl.definition()),
                text,
                expected: T::EXPECTED,
            };
            error.into()
        })
    }

    /// Sets a value. The kernel is not asked to take what it or this crate does not accept.
    ///
    /// # Errors
    ///
    /// [`Error::Sysctl`] when the value is refused, here or by the kernel, or this kernel does
    /// not have the sysctl; [`Error::Io`] when the namespace cannot be entered.
    pub fn set<T: Value>(&self, sysctl: Sysctl<T>, value: &T) -> Result<(), Error> {
        if !sysctl.accepts(value) {
            let error = SysctlError::Invalid {
                sysctl: sysctl.definition(),
                value: value.write(),
            };
            return Err(error.into());
        }
        self.write(sysctl.definition(), &value.write())
    }

    /// Names of the files of IPVS that this crate does not know, of a newer kernel; sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the directory cannot be read or the namespace not be entered.
    pub fn unknown(&self) -> Result<Vec<String>, Error> {
        let directory = self.directory.join("ipv4/vs");
        let names = self.inside(|| list(&directory))?;
        let is_known = |name: &String| ALL.iter().any(|it| it.path == format!("ipv4/vs/{name}"));
        let mut names: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a file, without blanks around its content.
    fn read(&self, sysctl: &'static Definition) -> Result<String, Error> {
        let path = self.path(sysctl);
        let read = || {
            let mut text = Vec::new();
            let file = File::open(&path)?;
            file.take(LONGEST_CONTENT).read_to_end(&mut text)?;
            Ok(text)
        };
        let text = self
            .inside(|| Ok(read()))?
            .map_err(|error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => SysctlError::Absent {
                    sysctl,
                    path: path.clone(),
                },
                _ => SysctlError::Read {
                    path: path.clone(),
                    error,
                },
            })?;
        let text = String::from_utf8_lossy(&text);
        Ok(text.trim_ascii().to_owned())
    }

    /// Writes a file.
    fn write(&self, sysctl: &'static Definition, value: &str) -> Result<(), Error> {
        let path = self.path(sysctl);
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).truncate(true).open(&path)?;
            // In one piece: the kernel takes each write for a value.
            file.write_all(format!("{value}\n").as_bytes())
        };
        self.inside(|| Ok(write()))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => SysctlError::Absent {
                    sysctl,
                    path: path.clone(),
                },
                _ => SysctlError::Refused {
                    path: path.clone(),
                    value: value.to_owned(),
                    error,
                },
            })?;
        Ok(())
    }

    fn path(&self, sysctl: &Definition) -> PathBuf {
        self.directory.join(sysctl.path)
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        match &self.namespace {
            Some(namespace) => namespace.enter(work),
            None => work(),
        }
    }
}

fn list(directory: &Path) -> Result<Vec<String>, Error> {
    let context = |error| {
        let context = format!("cannot list {}", directory.display());
        Error::io(context, error)
    };
    fs::read_dir(directory)
        .map_err(context)?
        .map(|entry| {
            let name = entry.map_err(context)?.file_name();
            Ok(name.to_string_lossy().into_owned())
        })
        .collect()
}
