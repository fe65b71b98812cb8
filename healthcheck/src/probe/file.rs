//! Files that say how a destination is: a number in one, or that one is there.
//!
//! Read at every interval, and as soon as something happens to the file: its directory is watched,
//! so that a file which is replaced as a whole (written beside and renamed, the way to go) is seen,
//! too. An interval of half a minute is enough as a safety net, and needed where more than the file
//! or its directory is replaced: when a link further up in its path leads elsewhere, as in a
//! Kubernetes ConfigMap, or while the directory is missing.

use core::str;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::call::{Call, CallEngine};
use super::{Action, Engine, Identity, Probe, Resource};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{AdminHint, Code, Detail, Outcome, Phase, Verdict, WeightHint};

/// How much of a file is read: a number with its sign, and blanks.
const LIMIT: u64 = 64;

/// Reads a number from a file: keepalived's `FILE_CHECK`.
///
/// With a weight of 0 every number but 0 is a failure. With another one the number times the weight
/// is added to the destination's weight, and −2³¹ or less is a failure. A file that is missing or
/// empty counts as 0; one that contains something else changes nothing, and says so.
///
/// ```
/// use lvs_healthcheck::probe::file::FileProbe;
/// use lvs_healthcheck::{Check, Policy};
///
/// // `echo -5 >/run/lb/web1` takes five off the weight.
/// let check = Check::new(FileProbe::new("/run/lb/web1").with_weight(1), Policy::default());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct FileProbe {
    path: PathBuf,
    weight: i32,
}

impl FileProbe {
    /// Reads this file, with a weight of 0.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            weight: 0,
        }
    }

    /// What the number is multiplied by, from −2147483647; keepalived's `weight`, negative with
    /// `reverse`. Default 0: the number decides between up and down.
    pub const fn with_weight(mut self, weight: i32) -> Self {
        self.weight = weight;
        self
    }

    /// What a number means.
    fn judge(&self, value: i64) -> Outcome {
        if self.weight == 0 {
            let code = if value == 0 { Code::Ok } else { Code::Status };
            let detail = format!("the file says {value}");
            return Outcome::new(code, Phase::Match).with_detail(&detail);
        }
        let delta = value.saturating_mul(i64::from(self.weight));
        if delta <= i64::from(i32::MIN) {
            let detail = format!("the file says {value}, which is down");
            return Outcome::new(Code::Status, Phase::Match).with_detail(&detail);
        }
        Outcome::new(Code::Ok, Phase::Match).with_weight(WeightHint::Delta(delta))
    }

    /// What the file says, or why it says nothing.
    fn read(&self) -> Outcome {
        let text = match beginning(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return unreadable(&self.path, &error),
        };
        let text = text.trim_ascii();
        if text.is_empty() {
            return self.judge(0);
        }
        match str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
            Some(value) => self.judge(value),
            None => {
                let text = Detail::from_bytes(text);
                let detail = format!("{} is not a number: {text}", self.path.display());
                Outcome::new(Code::Content, Phase::Match)
                    .with_verdict(Verdict::Neutral)
                    .with_detail(&detail)
            }
        }
    }
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut options = File::options();
    // A FIFO in its place must not block.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.take(LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// This host does not let us read it, which says nothing about the destination.
fn unreadable(path: &Path, error: &io::Error) -> Outcome {
    let detail = format!("{}: {error}", path.display());
    Outcome::new(Code::LocalDenied, Phase::Recv).with_detail(&detail)
}

impl Probe for FileProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        let probe = self.clone();
        on_a_thread(move || probe.read())
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.weight == i32::MIN {
            let limit = "must be -2147483647 to 2147483647";
            return Err(Invalid::new("weight", self.weight.to_string(), limit));
        }
        check_path("path", &self.path)
    }

    fn resource(&self) -> Resource {
        Resource::Thread
    }

    fn watches(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

/// Takes a destination out of service as long as one of some files is there: ldirectord's
/// `maintenancedir`.
///
/// Never passes and never fails: it has a vote only, which is [`AdminHint::Ready`] when no file is
/// there.
///
/// ```
/// use lvs_healthcheck::probe::file::MaintenanceProbe;
/// use lvs_healthcheck::{AdminHint, Check, Policy};
///
/// // `touch /etc/lb/maintenance/192.0.2.7:80` drains one service, `…/192.0.2.7` all of the host.
/// let probe = MaintenanceProbe::new("/etc/lb/maintenance", ["192.0.2.7:80", "192.0.2.7"])
///     .with_vote(AdminHint::Drain);
/// let check = Check::new(probe, Policy::default());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct MaintenanceProbe {
    directory: PathBuf,
    names: Vec<Box<str>>,
    vote: AdminHint,
}

impl MaintenanceProbe {
    /// Looks for files of these names; their content does not matter.
    pub fn new<'a>(
        directory: impl Into<PathBuf>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self {
            directory: directory.into(),
            names: names.into_iter().map(Into::into).collect(),
            vote: AdminHint::Maint,
        }
    }

    /// What a file asks for. Default [`AdminHint::Maint`].
    pub const fn with_vote(mut self, vote: AdminHint) -> Self {
        self.vote = vote;
        self
    }

    fn look(&self) -> Outcome {
        for path in self.watches() {
            match path.symlink_metadata() {
                Ok(_) => {
                    let detail = format!("{} is there", path.display());
                    return vote(self.vote).with_detail(&detail);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return unreadable(&path, &error),
            }
        }
        vote(AdminHint::Ready)
    }
}

fn vote(hint: AdminHint) -> Outcome {
    Outcome::new(Code::Ok, Phase::Match)
        .with_verdict(Verdict::Neutral)
        .with_admin(hint)
}

impl Probe for MaintenanceProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        let probe = self.clone();
        on_a_thread(move || probe.look())
    }

    fn validate(&self) -> Result<(), Invalid> {
        check_path("directory", &self.directory)?;
        let odd =
            |name: &str| name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.');
        if let Some(name) = self.names.iter().find(|name| odd(name)) {
            let limit = "must be a file name that does not begin with a dot";
            return Err(Invalid::new("names", format!("{name:?}"), limit));
        }
        Ok(())
    }

    fn resource(&self) -> Resource {
        Resource::Thread
    }

    fn watches(&self) -> Vec<PathBuf> {
        let paths = self.names.iter().map(|name| self.directory.join(&**name));
        paths.collect()
    }
}

/// The directory of this process may change.
fn check_path(field: &'static str, path: &Path) -> Result<(), Invalid> {
    if path.is_absolute() {
        return Ok(());
    }
    let path = format!("{:?}", path.display().to_string());
    Err(Invalid::new(field, path, "must be an absolute path"))
}

/// A file may be on a disk that does not answer, so a thread reads it.
fn on_a_thread(read: impl FnOnce() -> Outcome + Send + 'static) -> Box<dyn Engine> {
    let late = Outcome::new(Code::LocalDenied, Phase::Recv);
    let late = late.with_detail("the file was not read in time");
    Box::new(CallEngine::new(Action::Call(Call::new(read)), late))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn number_decides_or_weighs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let plain = FileProbe::new(&path);
        let weighed = FileProbe::new(&path).with_weight(-3);
        assert_eq!(plain.read().code, Code::Ok, "missing counts as 0");
        for (text, code, delta) in [
            ("", Code::Ok, 0),
            ("0\n", Code::Ok, 0),
            (" 7 \n", Code::Status, -21),
            ("-2", Code::Status, 6),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(plain.read().code, code, "{text:?}");
            let outcome = weighed.read();
            assert_eq!(outcome.weight, Some(WeightHint::Delta(delta)), "{text:?}");
            assert_eq!(outcome.verdict, Verdict::Pass, "{text:?}");
        }
    }

    #[test]
    fn checks_of_the_same_file_share_their_attempts() {
        let file = |weight| FileProbe::new("/a").with_weight(weight);
        assert_eq!(file(1).identity(), file(1).identity());
        assert!(file(1).identity().is_some());
        assert_ne!(file(1).identity(), file(2).identity());
        let votes = |name| MaintenanceProbe::new("/d", [name]);
        assert_eq!(votes("a").identity(), votes("a").identity());
        assert_ne!(votes("a").identity(), votes("b").identity());
    }

    #[test]
    fn very_small_number_is_down() {
        let probe = FileProbe::new("/x").with_weight(1);
        assert_eq!(probe.judge(i64::from(i32::MIN)).code, Code::Status);
        assert_eq!(probe.judge(i64::from(i32::MIN) + 1).code, Code::Ok);
        assert_eq!(probe.judge(i64::MIN).code, Code::Status);
        assert_eq!(
            FileProbe::new("/x").with_weight(-254).judge(i64::MAX).code,
            Code::Status
        );
    }

    #[test]
    fn nonsense_and_what_cannot_be_read_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for text in [&b"up"[..], b"1 2", b"0x1", b"\xff", &[b'1'; 100]] {
            fs::write(&path, text).unwrap();
            let outcome = FileProbe::new(&path).read();
            assert_eq!(outcome.verdict, Verdict::Neutral, "{outcome}");
            assert!(
                outcome.detail.as_str().contains("is not a number"),
                "{outcome}"
            );
        }
        for other in [directory.path(), Path::new("/dev/zero")] {
            let outcome = FileProbe::new(other).read();
            assert_eq!(
                (outcome.code, outcome.verdict),
                (Code::LocalDenied, Verdict::Neutral)
            );
            assert!(outcome.detail.as_str().ends_with("not a regular file"));
        }
    }

    #[test]
    fn maintenance_is_voted_for_while_a_file_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let probe = MaintenanceProbe::new(directory.path(), ["a:80", "a"]);
        assert_eq!(probe.look().admin, Some(AdminHint::Ready));
        fs::write(directory.path().join("b"), "").unwrap();
        assert_eq!(probe.look().admin, Some(AdminHint::Ready), "another's");
        fs::write(directory.path().join("a"), "").unwrap();
        let outcome = probe.clone().with_vote(AdminHint::Drain).look();
        assert_eq!(
            (outcome.admin, outcome.verdict),
            (Some(AdminHint::Drain), Verdict::Neutral)
        );
        assert_eq!(probe.look().admin, Some(AdminHint::Maint));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        assert_eq!(FileProbe::new("x").validate().unwrap_err().field, "path");
        let heavy = FileProbe::new("/x").with_weight(i32::MIN);
        assert_eq!(heavy.validate().unwrap_err().field, "weight");
        for name in ["", "a/b", "..", ".hidden"] {
            let probe = MaintenanceProbe::new("/d", [name]);
            assert_eq!(probe.validate().unwrap_err().field, "names", "{name:?}");
        }
        let probe = MaintenanceProbe::new("d", ["a"]);
        assert_eq!(probe.validate().unwrap_err().field, "directory");
    }
}
