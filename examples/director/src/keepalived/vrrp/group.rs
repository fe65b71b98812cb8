//! `vrrp_sync_group NAME { … }`: virtual routers that change their state together
//! (keepalived.conf(5)).

use core::fmt;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::notify::{self, Notify};
use super::track::{self, Lines, Tracked};
use super::write;

/// Virtual routers that change their state together.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VrrpSyncGroup {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `group`: names of its virtual routers, at least one, each in one group only.
    pub members: Vec<String>,
    /// `track_…`: what all members follow.
    pub tracks: Vec<Tracked>,
    /// What is run when the group changes.
    pub notify: Notify,
    /// `sync_group_tracking_weight`: members may have weights of their own.
    pub tracking_weight: bool,
}

/// A group as it is written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) position: Position,
    pub(super) name: String,
    pub(super) members: Vec<(String, Position)>,
    pub(super) tracks: Lines,
    pub(super) notify: notify::Draft,
    pub(super) tracking_weight: bool,
}

impl Draft {
    /// Reads a block; one without a name is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let mut group = Self {
            position: statement.position().clone(),
            name: write::name(statement, report)?,
            members: Vec::new(),
            tracks: Lines::default(),
            notify: notify::Draft::default(),
            tracking_weight: false,
        };
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "group" => {
                    for line in values::block(inner, report) {
                        values::leaf(line, usize::MAX, report);
                        let first = (line.keyword().to_owned(), line.position().clone());
                        let words = line.arguments().iter();
                        let others =
                            words.map(|word| (word.text().to_owned(), word.position().clone()));
                        group.members.extend(core::iter::once(first).chain(others));
                    }
                }
                "sync_group_tracking_weight" => {
                    group.tracking_weight = values::flag(inner, report);
                }
                "global_tracking" => {
                    let message = "global_tracking is deprecated and has no effect; \
                                   track_interface and the like belong into the group";
                    report.warning(inner.position(), message);
                }
                _ if group.tracks.read(inner, report) || group.notify.read(inner, report) => {}
                _ => values::unknown(inner, report),
            }
        }
        Some(group)
    }
}

/// As it is written in a file.
impl fmt::Display for VrrpSyncGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "vrrp_sync_group {} {{\n  group {{",
            write::Word(&self.name)
        )?;
        for member in &self.members {
            writeln!(f, "    {}", write::Word(member))?;
        }
        writeln!(f, "  }}")?;
        if self.tracking_weight {
            writeln!(f, "  sync_group_tracking_weight")?;
        }
        track::write(f, &self.tracks)?;
        self.notify.write(f)?;
        writeln!(f, "}}")
    }
}
