//! Scenarios with the kernel's picks, as lines of JSON: what `lvs-schedulers` replays where there is
//! no kernel.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use lvs_schedulers::scenario::Scenario;

use super::kernel::Picks;

/// A file in the making.
#[derive(Debug)]
pub(crate) struct Record {
    file: BufWriter<File>,
    release: String,
}

impl Record {
    /// Begins the file, over a former one.
    pub(crate) fn create(path: &Path) -> Self {
        Self {
            file: BufWriter::new(File::create(path).unwrap()),
            release: release(),
        }
    }

    /// Adds a scenario and what the kernel made of it.
    pub(crate) fn add(&mut self, scenario: &Scenario, picks: &Picks) {
        // The same document without its line breaks and blanks; none of these are within a string.
        let scenario: String = scenario.to_json().lines().map(str::trim).collect();
        let scenario = scenario.replace("\": ", "\":").replace(", \"", ",\"");
        let picks: Vec<_> = picks
            .iter()
            .map(|pick| pick.map_or("null".to_owned(), |id| id.to_string()))
            .collect();
        writeln!(
            self.file,
            "{{\"release\":\"{}\",\"scenario\":{scenario},\"picks\":[{}]}}",
            self.release,
            picks.join(",")
        )
        .unwrap();
    }

    pub(crate) fn finish(mut self) {
        self.file.flush().unwrap();
    }
}

/// The release of the running kernel.
pub(crate) fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.trim_end().to_owned()
}
