//! The director with one check for each real server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::program::Program;
use crate::table::{Verdict, configuration, server};

/// The program while it runs.
pub(crate) struct Director {
    program: Program,
    folder: TempDir,
}

impl Director {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_as(&mut Command::new(env!("CARGO_BIN_EXE_director")), text)
    }

    /// With a command that ends in the program.
    pub(crate) fn start_as(command: &mut Command, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.conf"), text).unwrap();
        command.current_dir(&folder).args(["test.conf", "--memory"]);
        Self {
            program: Program::start(command),
            folder,
        }
    }

    /// Waits until a change of this kind (`-a`, `-d`, `-e`) was made so many times to the server
    /// at this place, and gives the last of these lines.
    pub(crate) fn wait(&self, change: &str, place: usize, times: usize) -> String {
        let (start, server) = (
            format!("ipvsadm {change} "),
            format!("-r {} ", server(place)),
        );
        let mut seen = 0;
        self.program.wait_for(|line| {
            let line = format!("{line} ");
            seen += usize::from(line.contains(&start) && line.contains(&server));
            (seen == times).then(|| line.trim_end().to_owned())
        })
    }

    /// Waits until the server at this place has this weight.
    fn wait_for_weight(&self, place: usize, weight: u32) -> String {
        let (server, weight) = (format!(" -r {} ", server(place)), format!(" -w {weight}"));
        self.program.wait_for(|line| {
            let has_it = line.contains(&server) && line.ends_with(&weight);
            has_it.then(|| line.to_owned())
        })
    }

    /// Waits until the service is in the table.
    pub(crate) fn wait_for_service(&self) {
        let added = "ipvsadm -A ";
        self.program
            .wait_for(|line| line.contains(added).then_some(()));
    }

    /// Ends it; gives all it said.
    pub(crate) fn end(self) -> String {
        self.program.signal(Signal::SIGTERM);
        let end = self.program.end();
        assert_eq!(end.code, Some(0), "{end:?}");
        format!("{}\n{}", end.out, end.err)
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs the program until every check has done what it is to do.
pub(crate) fn judge(definitions: &str, checks: &[(Verdict, &str)]) {
    let director = Director::start(&configuration(definitions, checks));
    for (place, (verdict, _)) in checks.iter().enumerate() {
        match verdict {
            Verdict::Passes => director.wait("-a", place, 1),
            Verdict::Fails => director.wait("-d", place, 1),
            Verdict::Weighs(weight) => director.wait_for_weight(place, *weight),
        };
    }
    let said = director.end();
    // Nothing else happened before the end, which takes out whole services.
    for (place, (verdict, check)) in checks.iter().enumerate() {
        let removed = format!("-d -t 192.0.2.1:80 -r {}", server(place));
        assert_eq!(
            said.contains(&removed),
            *verdict == Verdict::Fails,
            "{check}\n{said}"
        );
    }
}
