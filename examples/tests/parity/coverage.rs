//! How often each option was tried, and with what luck.

use std::collections::BTreeMap;

use super::lines::{COMMANDS, Line, OPTIONS};

/// Counts of accepted and of refused lines.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    options: BTreeMap<&'static str, [u32; 2]>,
    pub(crate) lines: [u32; 2],
    statuses: BTreeMap<i32, u32>,
}

impl Coverage {
    /// Counts a line.
    pub(crate) fn add(&mut self, line: &Line, accepted: bool, status: i32) {
        let column = usize::from(!accepted);
        self.lines[column] += 1;
        *self.statuses.entry(status).or_default() += 1;
        let mut names: Vec<_> = line.parts.iter().map(|part| part.option).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            self.options.entry(name).or_default()[column] += 1;
        }
    }

    /// Prints everything; panics when an option was tried less often than that.
    pub(crate) fn check(&self, least: u32) {
        let mut rare = Vec::new();
        println!("{:18} accepted refused", "in lines that were");
        for option in COMMANDS.iter().chain(&OPTIONS) {
            let [accepted, refused] = self.options.get(option.long).copied().unwrap_or_default();
            println!("  {:16} {accepted:8} {refused:7}", option.long);
            if accepted + refused < least || accepted == 0 {
                rare.push(option.long);
            }
        }
        let [accepted, refused] = self.lines;
        println!("  {:16} {accepted:8} {refused:7}", "all");
        println!("how they ended: {:?}", self.statuses);
        assert!(
            rare.is_empty(),
            "in less than {least} lines, or never accepted: {rare:?}"
        );
    }
}
