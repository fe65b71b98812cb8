//! Runs the same command with both programs and says how they differ.

use core::fmt::Write;

use super::host::Host;
use super::tool::{Outcome, Tool};

/// Two hosts in the same state, one for each program.
pub(crate) struct Pair {
    pub(crate) original: Host,
    pub(crate) ours: Host,
}

/// A command in a situation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Lines for `-R` with which the original makes the situation.
    pub(crate) rules: Vec<String>,
    /// Command lines that the original runs after that.
    pub(crate) before: Vec<Vec<String>>,
    /// The command.
    pub(crate) words: Vec<String>,
    /// What it reads, in lines.
    pub(crate) stdin: Vec<String>,
}

/// What a command did, the same with both programs.
pub(crate) struct Agreed {
    pub(crate) outcome: Outcome,
}

impl Agreed {
    pub(crate) fn accepted(&self) -> bool {
        self.outcome.status.success()
    }

    pub(crate) fn status(&self) -> i32 {
        self.outcome.status.code().unwrap()
    }
}

/// True for commands that only list. Both programs then list the same table, on one host: the order
/// of services depends on the namespace.
fn only_lists(words: &[String]) -> bool {
    words.first().is_none_or(|word| {
        ["-L", "-l", "-S", "--list", "--save"]
            .iter()
            .any(|command| word.starts_with(command))
    })
}

/// The same for what `-R` reads.
fn only_restores_lists(words: &[String], stdin: &str) -> bool {
    let lists = |line: &str| only_lists(&[line.to_owned()]);
    words == ["-R"] && !stdin.is_empty() && stdin.lines().all(lists)
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            original: Host::new(),
            ours: Host::new(),
        }
    }

    pub(crate) fn reset(&self) {
        self.original.reset();
        self.ours.reset();
    }

    /// Runs a command with both programs, from and to equal states.
    pub(crate) fn run(&self, words: &[String], stdin: &str) -> Result<Agreed, String> {
        if only_lists(words) || only_restores_lists(words, stdin) {
            return self.list(words, stdin);
        }
        let expected = self.original.run(Tool::Original, words, stdin);
        let seen = self.ours.run(Tool::Ours, words, stdin);
        let agreed = judge(expected, &seen, !stdin.is_empty())?;
        let (expected, seen) = (self.original.state(), self.ours.state());
        if expected != seen {
            return Err(format!(
                "the tables differ afterwards; the original's:\n{expected:#?}\nours:\n{seen:#?}"
            ));
        }
        Ok(agreed)
    }

    /// Runs a command that lists with both programs on the original's host.
    pub(crate) fn list(&self, words: &[String], stdin: &str) -> Result<Agreed, String> {
        // What passes by itself (expiry, rates) may change between the two.
        for _ in 0..20 {
            let expected = self.original.run(Tool::Original, words, stdin);
            let seen = self.original.run(Tool::Ours, words, stdin);
            let judged = judge(expected.clone(), &seen, !stdin.is_empty());
            if judged.is_ok() || self.original.run(Tool::Original, words, stdin) == expected {
                return judged;
            }
        }
        Err("the original's listing changes all the time".to_owned())
    }

    /// Makes the situation of a case on both hosts, and runs its command.
    pub(crate) fn case(&self, case: &Case) -> Result<Agreed, String> {
        self.reset();
        let rules = join(&case.rules);
        for host in [&self.original, &self.ours] {
            if !rules.is_empty() {
                host.run(Tool::Original, &["-R".to_owned()], &rules);
            }
            for words in &case.before {
                host.run(Tool::Original, words, "");
            }
        }
        self.run(&case.words, &join(&case.stdin))
    }

    /// Panics with the smallest case found that shows a difference.
    pub(crate) fn fail(&self, name: &str, case: Case, difference: String) -> ! {
        let mut smallest = case;
        let mut found = difference;
        let mut tries = 0;
        // Each list in turn: halves first, then single elements.
        shrink(
            &mut smallest,
            |case| &mut case.before,
            |case| self.still(case, &mut found, &mut tries),
        );
        shrink(
            &mut smallest,
            |case| &mut case.stdin,
            |case| self.still(case, &mut found, &mut tries),
        );
        shrink(
            &mut smallest,
            |case| &mut case.rules,
            |case| self.still(case, &mut found, &mut tries),
        );
        shrink(
            &mut smallest,
            |case| &mut case.words,
            |case| self.still(case, &mut found, &mut tries),
        );
        let mut text = String::new();
        for rule in &smallest.rules {
            writeln!(text, "  ipvsadm -R <<< {rule:?}").unwrap();
        }
        for words in &smallest.before {
            writeln!(text, "  ipvsadm {words:?}").unwrap();
        }
        writeln!(text, "$ ipvsadm {:?}", smallest.words).unwrap();
        if !smallest.stdin.is_empty() {
            writeln!(text, "which reads {:#?}", smallest.stdin).unwrap();
        }
        panic!("{name}: the programs differ\n{text}{found}");
    }

    fn still(&self, case: &Case, found: &mut String, tries: &mut u32) -> bool {
        *tries += 1;
        if *tries > 150 {
            return false;
        }
        match self.case(case) {
            Ok(_) => false,
            Err(difference) => {
                *found = difference;
                true
            }
        }
    }
}

/// Takes away what is not needed from one list of a case.
fn shrink<T: Clone>(
    case: &mut Case,
    list: impl Fn(&mut Case) -> &mut Vec<T>,
    mut differs: impl FnMut(&Case) -> bool,
) {
    let mut size = list(case).len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < list(case).len() {
            let mut smaller = case.clone();
            let elements = list(&mut smaller);
            let end = elements.len().min(start + size);
            elements.drain(start..end);
            if differs(&smaller) {
                *case = smaller;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
}

/// Lines with their ends.
pub(crate) fn join(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Compares what the programs wrote and how they ended. The wording on standard error is their own,
/// but there is one line for each refusal.
fn judge(expected: Outcome, seen: &Outcome, restores: bool) -> Result<Agreed, String> {
    // The original ends some of its messages with an empty line.
    let says = |line: &&str| !line.trim().is_empty();
    let messages = |outcome: &Outcome| outcome.stderr.lines().filter(says).count();
    let fault = if expected.status.code().is_none() {
        Some("the original crashed")
    } else if expected.status != seen.status {
        Some("they end differently")
    } else if common(&expected.stdout) != common(&seen.stdout) {
        Some("they write differently")
    } else if messages(&expected) != messages(seen) {
        Some("they complain differently often")
    } else if !restores && !seen.status.success() && messages(seen) != 1 {
        Some("a refusal has one line")
    } else if std::env::var("PARITY_STUB").is_err()
        && seen.stderr.lines().any(|line| line.trim().is_empty())
    {
        Some("a line of standard error says nothing")
    } else {
        None
    };
    match fault {
        None => Ok(Agreed { outcome: expected }),
        Some(fault) => Err(format!(
            "{fault}{}\nthe original: {expected:?}ours: {seen:?}",
            first_difference(&expected.stdout, &seen.stdout)
        )),
    }
}

/// Without what is each program's own: the help, and who made it of what behind the version.
fn common(stdout: &str) -> String {
    if stdout.contains("Usage:") {
        return "help".to_owned();
    }
    let version = "ipvsadm v1.31 ";
    let lines = stdout.lines().map(|line| match line.strip_prefix(version) {
        Some(_) => version,
        None => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The first line that is not the same.
fn first_difference(expected: &str, seen: &str) -> String {
    let mut number = 0;
    let (mut left, mut right) = (expected.lines(), seen.lines());
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return String::new(),
            (left, right) if left == right => {}
            (left, right) => {
                return format!(
                    "; line {number} of standard output:\n  original {left:?}\n  ours     {right:?}"
                );
            }
        }
    }
}
