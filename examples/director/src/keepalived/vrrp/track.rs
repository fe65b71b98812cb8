//! What a virtual router, or a group of them, follows: the blocks `track_interface`,
//! `track_script`, `track_file`, `track_process` and `track_bfd` (keepalived.conf(5)).
//!
//! ```text
//! track_script {
//!   check_web                      the weight is that of the script
//!   check_dns weight -20 reverse
//! }
//! ```

use core::fmt;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;

/// How much something counts for the priority.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Weight {
    /// What is added while it is fine, if positive; what is taken away while it has failed, if
    /// negative; 0: it must be fine.
    pub value: i32,
    /// `reverse`: the other way round.
    pub reverse: bool,
}

impl Weight {
    pub(super) const fn new(value: i32) -> Self {
        Self {
            value,
            reverse: false,
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        f.write_str(if self.reverse { " reverse" } else { "" })
    }
}

/// What is followed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TrackKind {
    /// An interface, by its name.
    Interface,
    /// A `vrrp_script`.
    Script,
    /// A `track_file`.
    File,
    /// A `vrrp_track_process`.
    Process,
    /// A `bfd_instance`.
    Bfd,
}

impl TrackKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Interface,
        Self::Script,
        Self::File,
        Self::Process,
        Self::Bfd,
    ];

    /// The keyword of its block.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Interface => "track_interface",
            Self::Script => "track_script",
            Self::File => "track_file",
            Self::Process => "track_process",
            Self::Bfd => "track_bfd",
        }
    }

    /// The keyword of the block in which it is defined.
    pub(super) fn definition(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Script => "vrrp_script",
            Self::File => "track_file",
            Self::Process => "vrrp_track_process",
            Self::Bfd => "bfd_instance",
        }
    }

    fn of(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.keyword() == keyword)
    }

    /// The greatest weight that is read, of either sign.
    fn limit(self) -> i64 {
        if self == Self::Bfd { 253 } else { 254 }
    }

    /// The greatest weight that counts, of either sign; a file may need 254 to say that it failed.
    fn most(self) -> i32 {
        match self {
            Self::File | Self::Process => 254,
            Self::Interface | Self::Script | Self::Bfd => 253,
        }
    }
}

/// One line of such a block.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tracked {
    /// Where the line starts.
    pub position: Position,
    /// What.
    pub kind: TrackKind,
    /// Its name.
    pub name: String,
    /// How much it counts.
    pub weight: Weight,
}

/// Lines as written: the weight may be that of the thing itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) lines: Vec<(Tracked, bool)>,
}

impl Lines {
    /// Reads a block if it is one of these.
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let Some(kind) = TrackKind::of(statement.keyword()) else {
            return false;
        };
        for inner in values::block(statement, report) {
            let name = inner.keyword();
            let known = |(line, _): &&(Tracked, bool)| line.kind == kind && line.name == name;
            if let Some((first, _)) = self.lines.iter().find(known) {
                let message = format!(
                    "{} {name}: already at {}; this one is ignored",
                    kind.keyword(),
                    first.position
                );
                report.warning(inner.position(), message);
            } else {
                self.lines.extend(line(kind, inner, report));
            }
        }
        true
    }
}

/// A line, and whether its weight is its own.
fn line(kind: TrackKind, statement: &Statement, report: &mut Report) -> Option<(Tracked, bool)> {
    values::leaf(statement, usize::MAX, report);
    let mut tracked = Tracked {
        position: statement.position().clone(),
        kind,
        name: statement.keyword().to_owned(),
        weight: Weight::default(),
    };
    match statement.argument(0) {
        None => return Some((tracked, false)),
        Some("weight") if statement.argument(1).is_some() => {}
        Some(other) => {
            let what = if other == "weight" {
                "weight has no value".to_owned()
            } else {
                format!("'{other}' is not weight")
            };
            let message = format!("{} {}: {what}; line ignored", kind.keyword(), tracked.name);
            report.error(statement.argument_position(0), message);
            return None;
        }
    }
    let limit = kind.limit();
    let word = statement.argument(1).unwrap_or_default();
    let value = word.parse::<i32>().ok();
    let value = value.filter(|value| (-limit..=limit).contains(&i64::from(*value)));
    if value.is_none() {
        let message = format!(
            "{} {}: weight '{word}' is not a whole number in {}..={limit}; ignored",
            kind.keyword(),
            tracked.name,
            limit.saturating_neg()
        );
        report.error(statement.argument_position(1), message);
    }
    tracked.weight.reverse = reverse(statement, 2, kind != TrackKind::Interface, report);
    let most = kind.most();
    if let Some(value) = value {
        tracked.weight.value = value.clamp(-most, most);
        if tracked.weight.value != value {
            let message = format!(
                "{} {}: weight {value} is not in -{most}..={most}, set to {}",
                kind.keyword(),
                tracked.name,
                tracked.weight.value
            );
            report.warning(statement.argument_position(1), message);
        }
    }
    Some((tracked, value.is_some()))
}

/// Reads what may follow a weight.
fn reverse(statement: &Statement, index: usize, knows_no: bool, report: &mut Report) -> bool {
    let (word, position) = (
        statement.argument(index),
        statement.argument_position(index),
    );
    match word {
        None => return false,
        Some("reverse") => {}
        Some("noreverse") if knows_no => {}
        Some(other) => {
            let expected = if knows_no {
                "reverse or noreverse"
            } else {
                "reverse"
            };
            let message = format!(
                "{}: '{other}' is not {expected}; the word is ignored",
                statement.keyword()
            );
            report.error(position, message);
            return false;
        }
    }
    if let Some(extra) = statement.argument(index.saturating_add(1)) {
        let message = format!(
            "{}: '{extra}' and what follows on the line is ignored",
            statement.keyword()
        );
        report.note(
            statement.argument_position(index.saturating_add(1)),
            message,
        );
    }
    word == Some("reverse")
}

/// Reads `weight N [reverse]` of a definition.
pub(super) fn weight(statement: &Statement, limit: i64, report: &mut Report) -> Option<Weight> {
    values::leaf(statement, usize::MAX, report);
    let value = values::signed_at(statement, 0, -limit..=limit, report)?;
    let reverse = reverse(statement, 1, true, report);
    Some(Weight { value, reverse })
}

/// The blocks, as they are written in a file.
pub(super) fn write(f: &mut fmt::Formatter<'_>, tracks: &[Tracked]) -> fmt::Result {
    for kind in TrackKind::ALL {
        let mut lines = tracks.iter().filter(|line| line.kind == kind).peekable();
        if lines.peek().is_none() {
            continue;
        }
        writeln!(f, "  {} {{", kind.keyword())?;
        for line in lines {
            writeln!(f, "    {} weight {}", line.name, line.weight)?;
        }
        writeln!(f, "  }}")?;
    }
    Ok(())
}
