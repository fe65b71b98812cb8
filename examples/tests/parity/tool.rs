//! The two programs, and one run of either.

use core::fmt;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

/// Which of the two programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tool {
    /// Debian's ipvsadm 1.31.
    Original,
    /// The example of this package.
    Ours,
}

/// What a run did, except to the table.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Tool {
    /// Runs it in the namespaces of this thread, with that on standard input.
    pub(crate) fn run(self, arguments: &[String], stdin: &str) -> Outcome {
        let mut command = match self {
            Self::Original => Command::new("/usr/sbin/ipvsadm"),
            Self::Ours => Command::new(ours()),
        };
        command
            // The name under which it is called shows in its help.
            .arg0("/opt/lb/ipvsadm")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // What is smaller than a pipe is written at once, whether it is read or not; who reads
        // nothing may be gone already.
        assert!(stdin.len() < 60_000, "{} bytes of input", stdin.len());
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            status: output.status,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// As text; bytes that are none stay distinguishable.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        let lines = self.stdout.lines().count();
        for line in self.stdout.lines().take(30) {
            writeln!(f, "  stdout| {line}")?;
        }
        if lines > 30 {
            writeln!(f, "  stdout: {} lines more", lines - 30)?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "  stderr| {line}")?;
        }
        Ok(())
    }
}

/// The tool as built from the sources of now.
///
/// Cargo builds no examples for a test target, so an old one may lie there: then this fails.
fn ours() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let program = env::current_exe().unwrap();
        let path = program.with_file_name("../examples/ipvsadm");
        let how = "build it: cargo build -p examples --example ipvsadm";
        let built = fs::metadata(&path)
            .and_then(|file| file.modified())
            .unwrap_or_else(|error| panic!("{}: {error}; {how}", path.display()));
        // Cargo's list of what it was built from, with blanks in names as make wants them.
        let sources = fs::read_to_string(path.with_extension("d")).unwrap();
        let (_, sources) = sources.split_once(": ").unwrap();
        for source in sources.replace("\\ ", "\0").split_whitespace() {
            let source = source.replace('\0', " ");
            let modified = fs::metadata(&source).and_then(|file| file.modified());
            let modified = modified.unwrap_or_else(|error| panic!("{source}: {error}; {how}"));
            assert!(modified <= built, "{source} is newer than the tool: {how}");
        }
        path
    })
}
