//! One run of the program.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// What a run did.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs it with these arguments, separated by blanks, and that on standard input.
pub(crate) fn run(arguments: &str, stdin: &[u8]) -> Outcome {
    let mut child = command()
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

/// The lines of a run in which nothing goes wrong.
pub(crate) fn lines(arguments: &str, stdin: &[u8]) -> Vec<String> {
    let outcome = run(arguments, stdin);
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (Some(0), ""),
        "{arguments}"
    );
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// The objects of such a run with `--json`.
pub(crate) fn objects(arguments: &str, stdin: &[u8]) -> Vec<Value> {
    let lines = lines(&format!("--json {arguments}"), stdin);
    let objects = lines.iter().map(|line| serde_json::from_str(line));
    objects.collect::<Result<_, _>>().unwrap()
}

/// The program, in the folder of its package.
pub(crate) fn command() -> Command {
    let mut command = Command::new(built());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The program as built from the sources of now. Cargo builds no examples for a test, so that an old
/// one or none may lie there: then it is built here.
fn built() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let deps = env::current_exe().unwrap();
        let profile = deps.parent().and_then(Path::parent).unwrap();
        let path = profile.join("examples/vrrpdump");
        if let Err(reason) = fresh(&path) {
            build(profile);
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

fn build(profile: &Path) {
    let name = profile.file_name().unwrap();
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            "examples",
            "--example",
            "vrrpdump",
        ])
        .arg("--profile")
        .arg(if name == "debug" {
            "dev".as_ref()
        } else {
            name
        })
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cannot build the program: {status}");
}
