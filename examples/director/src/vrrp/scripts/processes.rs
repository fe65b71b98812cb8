//! `vrrp_track_process`: how many processes of a program run. See `proc(5)`.

use std::fs;
use std::path::Path;

use crate::keepalived::vrrp::{ParamMatch, TrackProcess};

/// The kernel keeps so many bytes of a process's name.
const NAME_LEN: usize = 15;

/// A process as the kernel shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Process {
    /// Its name, cut.
    name: Vec<u8>,
    /// Program and arguments; empty for threads of the kernel and zombies.
    command: Vec<Vec<u8>>,
}

/// All processes there are.
pub(super) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let paths = entries.flatten().filter_map(|entry| {
        let is_process = entry.file_name().to_str().is_some_and(is_process);
        is_process.then(|| entry.path())
    });
    // One that has ended meanwhile is none.
    paths.filter_map(|path| read(&path)).collect()
}

fn read(path: &Path) -> Option<Process> {
    let mut name = fs::read(path.join("comm")).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    let line = fs::read(path.join("cmdline")).ok()?;
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let command = match line {
        [] => Vec::new(),
        line => line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
    };
    Some(Process { name, command })
}

/// Whether a process is one of those that are followed.
pub(super) fn matches(process: &Process, wanted: &TrackProcess) -> bool {
    let Some((program, parameters)) = wanted.command.split_first() else {
        return false;
    };
    let is_program = if wanted.full_command {
        process.command.first().map(Vec::as_slice) == Some(program.as_bytes())
    } else {
        let name = program.rsplit('/').next().unwrap_or(program).as_bytes();
        let cut = name.get(..NAME_LEN).unwrap_or(name);
        process.name == cut
    };
    is_program && (parameters.is_empty() || has_parameters(process, parameters, wanted.parameters))
}

fn has_parameters(process: &Process, wanted: &[String], compare: ParamMatch) -> bool {
    let found = process.command.get(1..).unwrap_or_default();
    let equal = |count: usize| {
        let pairs = wanted.iter().zip(found).take(count);
        found.len() >= count
            && pairs
                .into_iter()
                .all(|(one, other)| one.as_bytes() == other)
    };
    match compare {
        ParamMatch::Exact => found.len() == wanted.len() && equal(wanted.len()),
        ParamMatch::Partial => equal(wanted.len()),
        ParamMatch::Initial => {
            let (Some(last), Some(rest)) = (wanted.last(), wanted.len().checked_sub(1)) else {
                return true;
            };
            let begins = |found: &Vec<u8>| found.starts_with(last.as_bytes());
            equal(rest) && found.get(rest).is_some_and(begins)
        }
    }
}

/// Whether so many are enough, and not too many.
pub(super) fn is_fine(count: usize, wanted: &TrackProcess) -> bool {
    let most = wanted.quorum_max.map_or(usize::MAX, usize::from);
    (usize::from(wanted.quorum)..=most).contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::Config;

    fn wanted(lines: &str) -> TrackProcess {
        let config = Config::parse("t.conf", &format!("vrrp_track_process p {{\n{lines}\n}}\n"));
        assert!(
            config.diagnostics().is_empty(),
            "{:?}",
            config.diagnostics()
        );
        config.vrrp().processes[0].clone()
    }

    fn process(name: &str, command: &[&str]) -> Process {
        Process {
            name: name.into(),
            command: command
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect(),
        }
    }

    #[test]
    fn the_name_is_cut_as_the_kernel_cuts_it() {
        let long = wanted("process /usr/bin/a-very-long-program-name");
        assert!(matches(&process("a-very-long-pro", &["x"]), &long));
        assert!(!matches(&process("a-very-long-prx", &["x"]), &long));
        let full = wanted("process /usr/bin/web\nfull_command");
        assert!(matches(&process("web", &["/usr/bin/web", "-d"]), &full));
        assert!(!matches(&process("web", &["web"]), &full));
    }

    #[test]
    fn parameters_are_compared_as_asked_for() {
        let exact = wanted("process web -c a.conf");
        let initial = wanted("process web -c a.conf\nparam_match initial");
        let partial = wanted("process web -c a.conf\nparam_match partial");
        for (found, expected) in [
            (&["web", "-c", "a.conf"][..], [true, true, true]),
            (&["web", "-c", "a.confx"], [false, true, false]),
            (&["web", "-c", "a.conf", "-d"], [false, true, true]),
            (&["web", "-c"], [false, false, false]),
            (&["web", "-d", "a.conf"], [false, false, false]),
        ] {
            let process = process("web", found);
            let results = [&exact, &initial, &partial].map(|wanted| matches(&process, wanted));
            assert_eq!(results, expected, "{found:?}");
        }
    }

    #[test]
    fn a_quorum_has_two_ends() {
        let two = wanted("process web\nquorum 2\nquorum_max 3");
        let fine: Vec<bool> = (0..5).map(|count| is_fine(count, &two)).collect();
        assert_eq!(fine, [false, false, true, true, false]);
    }

    #[test]
    fn this_process_is_there() {
        let own = read(Path::new("/proc/self")).unwrap();
        assert!(!own.command.is_empty());
        assert!(all().len() > 1);
    }
}
