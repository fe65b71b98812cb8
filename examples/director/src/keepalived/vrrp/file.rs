//! `track_file NAME { … }`, formerly `vrrp_track_file`: a number in a file (keepalived.conf(5)).

use core::fmt;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::track::{self, Weight};
use super::write;

/// A file that virtual routers may follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TrackFile {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `file`: the path.
    pub path: String,
    /// `weight`, -254..=254: what the number is multiplied by; 0: a number other than 0 means that
    /// it has failed. Default 1.
    pub weight: Weight,
    /// `init_file`: what is written at the start.
    pub init: Option<InitFile>,
}

/// `init_file`: the number a file begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InitFile {
    /// The number. Default 0.
    pub value: i64,
    /// `overwrite`: also if the file exists.
    pub overwrite: bool,
}

impl TrackFile {
    /// Reads a block; one without a name or a file is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let name = write::name(statement, report)?;
        let (mut path, mut weight, mut init) = (None, None, None);
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "file" => values::set(&mut path, values::text(inner, report)),
                "weight" => values::set(&mut weight, track::weight(inner, 254, report)),
                "init_file" => init = Some(init_file(inner, report)),
                _ => values::unknown(inner, report),
            }
        }
        let Some(path) = path else {
            let message = format!("track_file {name}: there is no file; block ignored");
            report.error(statement.position(), message);
            return None;
        };
        Some(Self {
            position: statement.position().clone(),
            name,
            path,
            weight: weight.unwrap_or(Weight::new(1)),
            init,
        })
    }
}

fn init_file(statement: &Statement, report: &mut Report) -> InitFile {
    values::leaf(statement, usize::MAX, report);
    let mut init = InitFile {
        value: 0,
        overwrite: false,
    };
    for word in statement.arguments() {
        match (word.text(), word.text().parse()) {
            ("overwrite", _) => init.overwrite = true,
            (_, Ok(value)) => init.value = value,
            (other, Err(_)) => {
                let message = format!(
                    "init_file: '{other}' is neither a whole number nor overwrite; ignored"
                );
                report.error(word.position(), message);
            }
        }
    }
    init
}

/// As it is written in a file.
impl fmt::Display for TrackFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "track_file {} {{", write::Word(&self.name))?;
        writeln!(f, "  file {}", write::Word(&self.path))?;
        writeln!(f, "  weight {}", self.weight)?;
        if let Some(init) = self.init {
            let overwrite = if init.overwrite { " overwrite" } else { "" };
            writeln!(f, "  init_file {}{overwrite}", init.value)?;
        }
        writeln!(f, "}}")
    }
}
