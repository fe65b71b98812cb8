//! Small files that keepalived 2.2.7 accepts or refuses: this reader decides the same, except where
//! the case says why not.
//!
//! The verdicts stand in `data/keepalived/cases.txt` and, for VRRP blocks, `vrrp.txt` beside it;
//! `recorded_verdicts_are_those_of_keepalived` asks the real program again, in a network namespace
//! with the interfaces that the files name.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, thread};

use director::keepalived::{Config, MemoryFiles, Options, Severity};

const CASES: [&str; 2] = [
    include_str!("data/keepalived/cases.txt"),
    include_str!("data/keepalived/vrrp.txt"),
];

/// Makes the interfaces and becomes what follows.
const WITH_INTERFACES: &str = "set -e
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link add eth2 type veth peer name tunl0
for name in eth0 eth1 eth2 tunl0; do ip link set $name up; done
ip address add 192.0.2.250/24 dev eth0
exec \"$@\"";

/// One case.
struct Case {
    name: &'static str,
    accepted: bool,
    /// Why this reader decides otherwise.
    differs: Option<&'static str>,
    /// Path → text; `main.conf` is the one that is read.
    files: BTreeMap<&'static str, String>,
}

fn cases() -> Vec<Case> {
    let of = |text: &'static str| {
        let (_, cases) = text.split_once("\n=== ").expect("a first case");
        cases.split("\n=== ").map(case)
    };
    CASES.into_iter().flat_map(of).collect()
}

fn case(text: &'static str) -> Case {
    let (header, body) = text.split_once('\n').expect("a header");
    let mut fields = header.split(" | ");
    let name = fields.next().expect("a name");
    let accepted = match fields.next() {
        Some("accepted") => true,
        Some("refused") => false,
        other => panic!("{name}: {other:?}"),
    };
    let differs = fields
        .next()
        .map(|field| field.strip_prefix("differs: ").expect("a reason"));
    let mut files = BTreeMap::new();
    let mut path = "main.conf";
    for line in body.split('\n') {
        if let Some(next) = line.strip_prefix("@@ ") {
            path = next;
            continue;
        }
        let file: &mut String = files.entry(path).or_default();
        file.push_str(line);
        file.push('\n');
    }
    Case {
        name,
        accepted,
        differs,
        files,
    }
}

impl Case {
    fn read(&self) -> Config {
        let mut loader = MemoryFiles::default();
        for (path, text) in &self.files {
            loader.files.insert((*path).to_owned(), text.clone());
        }
        let options = Options::default().with_config_id("main");
        Config::parse_with("main.conf", &self.files["main.conf"], &options, &loader)
    }

    /// What this reader says: it accepts a file if it has nothing worse than notes.
    fn accepted_here(&self) -> bool {
        self.read().worst() < Some(Severity::Warning)
    }
}

#[test]
fn verdicts_are_the_recorded_ones_except_where_the_case_says_so() {
    let mut wrong = Vec::new();
    for case in cases() {
        let same = case.accepted_here() == case.accepted;
        if same == case.differs.is_some() {
            let said: Vec<_> = case
                .read()
                .diagnostics()
                .iter()
                .map(ToString::to_string)
                .collect();
            wrong.push(format!(
                "{}: recorded {}, here {said:#?}",
                case.name, case.accepted
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_cases_of_both_kinds() {
    let cases = cases();
    let accepted = cases.iter().filter(|case| case.accepted).count();
    let exceptions = cases.iter().filter(|case| case.differs.is_some()).count();
    assert!(
        accepted >= 100 && cases.len() - accepted >= 100,
        "{accepted} of {}",
        cases.len()
    );
    assert!(
        exceptions * 10 < cases.len(),
        "{exceptions} of {} differ",
        cases.len()
    );
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len());
}

#[test]
fn refused_files_are_refused_with_a_place() {
    for case in cases().iter().filter(|case| !case.accepted_here()) {
        let config = case.read();
        let worst = config
            .diagnostics()
            .iter()
            .max_by_key(|diagnostic| diagnostic.severity);
        let worst = worst.expect("a diagnostic");
        assert!(
            worst.position.line >= 1 && worst.position.column >= 1,
            "{}",
            case.name
        );
        assert!(
            !worst.message.is_empty() && !worst.message.ends_with('.'),
            "{}",
            case.name
        );
    }
}

#[test]
#[ignore = "needs Debian's keepalived (2.2.7) and the right to make a network namespace"]
fn recorded_verdicts_are_those_of_keepalived() {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in &case.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("written");
        }
        let (accepted, said) = keepalived(&folder.path().join("main.conf"));
        asked += 1;
        if accepted != case.accepted {
            wrong.push(format!(
                "{}: recorded {}, says {said}",
                case.name, case.accepted
            ));
        }
    }
    println!("{asked} files compared with keepalived -t");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `keepalived -t` ends with 0, and what it says.
fn keepalived(path: &Path) -> (bool, String) {
    let log = path.with_extension("log");
    let user = nix::unistd::geteuid();
    let namespace = if user.is_root() { "-n" } else { "-rn" };
    let mut child = Command::new("unshare")
        .args([namespace, "sh", "-c", WITH_INTERFACES, "sh"])
        .args(["keepalived", "-t", "-i", "main", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("a log file"))
        .spawn()
        .expect("unshare (apt-get install util-linux iproute2 keepalived)");
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a status") {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().expect("killed");
            child.wait().expect("a status");
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let said = String::from_utf8_lossy(&fs::read(&log).expect("a log")).into_owned();
    (
        status.is_some_and(|status| status.success()),
        format!("{status:?} {said}"),
    )
}
