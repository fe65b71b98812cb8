//! Settings of interfaces: `garp_group { … }` and `interface_up_down_delays { … }`
//! (keepalived.conf(5)).

use core::time::Duration;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;

/// The longest space between two announcements, in microseconds.
const SPACING_MAX: u64 = 2_147_483_647;
/// The longest delay of a change of state, in microseconds.
const DELAY_MAX: u64 = 255_000_000;

/// `garp_group`: interfaces whose announcements are spaced.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GarpGroup {
    /// Where its block starts.
    pub position: Position,
    /// `interface` or `interfaces`: they share the spacing.
    pub interfaces: Vec<String>,
    /// `garp_interval`: space between two gratuitous ARP packets. Default 0.
    pub garp_interval: Duration,
    /// `gna_interval`: space between two unsolicited neighbour advertisements. Default 0.
    pub gna_interval: Duration,
}

impl GarpGroup {
    /// Reads a block; one without any spacing is left out.
    pub(super) fn read(
        statement: &Statement,
        others: &[Self],
        report: &mut Report,
    ) -> Option<Self> {
        let mut group = Self {
            position: statement.position().clone(),
            interfaces: Vec::new(),
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
        };
        let spacing = |value: &mut Duration, statement: &Statement, report: &mut Report| {
            let time = values::timer(statement, 0..=SPACING_MAX, report);
            *value = time.unwrap_or(*value);
        };
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "garp_interval" => spacing(&mut group.garp_interval, inner, report),
                "gna_interval" => spacing(&mut group.gna_interval, inner, report),
                "interface" => {
                    if let Some(name) = values::interface(inner, report) {
                        group.add(name, inner.position(), others, report);
                    }
                }
                "interfaces" => {
                    for line in values::block(inner, report) {
                        values::leaf(line, usize::MAX, report);
                        let words = line.arguments().iter().map(super::super::ast::Word::text);
                        for name in core::iter::once(line.keyword()).chain(words) {
                            group.add(name.to_owned(), line.position(), others, report);
                        }
                    }
                }
                _ => values::unknown(inner, report),
            }
        }
        if group.garp_interval.is_zero() && group.gna_interval.is_zero() {
            let message = "garp_group: there is neither garp_interval nor gna_interval over 0; \
                           block ignored";
            report.error(&group.position, message);
            return None;
        }
        Some(group)
    }

    fn add(&mut self, name: String, at: &Position, others: &[Self], report: &mut Report) {
        let other = others.iter().find(|other| other.interfaces.contains(&name));
        let first = other.map(|other| &other.position);
        let first = first.or_else(|| self.interfaces.contains(&name).then_some(&self.position));
        if let Some(first) = first {
            let message = format!("garp_group: {name} is in the group at {first} already; ignored");
            report.warning(at, message);
        } else {
            self.interfaces.push(name);
        }
    }
}

/// A line of `interface_up_down_delays`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InterfaceDelay {
    /// Where the line starts.
    pub position: Position,
    /// The interface.
    pub interface: String,
    /// How long it must be down until that counts, 0 s to 255 s.
    pub down: Duration,
    /// How long it must be up until that counts. Default as `down`.
    pub up: Duration,
}

impl InterfaceDelay {
    /// Reads the lines of a block.
    pub(super) fn read(statement: &Statement, list: &mut Vec<Self>, report: &mut Report) {
        for line in values::block(statement, report) {
            values::leaf(line, 2, report);
            let Some(down) = values::timer_at(line, 0, 0..=DELAY_MAX, report) else {
                continue;
            };
            let up = match line.argument(1) {
                None => Some(down),
                Some(_) => values::timer_at(line, 1, 0..=DELAY_MAX, report),
            };
            list.push(Self {
                position: line.position().clone(),
                interface: line.keyword().to_owned(),
                down,
                up: up.unwrap_or(down),
            });
        }
    }
}
