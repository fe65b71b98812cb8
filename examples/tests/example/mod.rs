//! An example of this package, run as a program. Included by the tests of each tool.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a run did.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the example with these arguments, separated by blanks, and that on standard input.
pub(crate) fn run(name: &str, arguments: &str, stdin: &[u8]) -> Outcome {
    let mut child = command(name)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is smaller than a pipe is written at once, whether it is read or not.
    assert!(stdin.len() < 60_000, "{} bytes of input", stdin.len());
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Outcome {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same in which nothing goes wrong: what it prints.
pub(crate) fn output(name: &str, arguments: &str, stdin: &[u8]) -> String {
    let outcome = run(name, arguments, stdin);
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (Some(0), ""),
        "{arguments}"
    );
    outcome.stdout
}

/// The example, in the folder of its package.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(built(name));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The program as built from the sources of now; a test program runs one example only. Cargo
/// builds no examples for a test, so that an old one or none may lie there: then it is built here.
fn built(name: &str) -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let deps = env::current_exe().unwrap();
        let profile = deps.parent().and_then(Path::parent).unwrap();
        let path = profile.join("examples").join(name);
        if let Err(reason) = fresh(&path) {
            build(name, profile);
            fresh(&path).unwrap_or_else(|still| panic!("{reason}; after building it {still}"));
        }
        path
    })
}

/// Whether the program is there and none of its sources is newer.
fn fresh(path: &Path) -> Result<(), String> {
    let modified = |path: &Path| {
        let modified = fs::metadata(path).and_then(|file| file.modified());
        modified.map_err(|error| format!("{}: {error}", path.display()))
    };
    let built = modified(path)?;
    // Cargo's list of what it was built from, with blanks in names as make wants them.
    let sources =
        fs::read_to_string(path.with_extension("d")).map_err(|error| error.to_string())?;
    let (_, sources) = sources.split_once(": ").ok_or("no list of sources")?;
    for source in sources.replace("\\ ", "\0").split_whitespace() {
        let source = source.replace('\0', " ");
        if modified(Path::new(&source))? > built {
            return Err(format!("{source} is newer than the program"));
        }
    }
    Ok(())
}

fn build(name: &str, profile: &Path) {
    let kind = profile.file_name().unwrap();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What Cargo tells this test of its package, build scripts would take for a change and build
    // their packages again.
    for (name, _) in env::vars_os() {
        let about = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| about.iter().any(|start| name.starts_with(start)))
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "examples",
            "--example",
            name,
        ])
        .arg("--profile")
        .arg(if kind == "debug" {
            "dev".as_ref()
        } else {
            kind
        })
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cannot build the program: {status}");
}
