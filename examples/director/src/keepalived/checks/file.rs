//! `FILE_CHECK`: a number in a tracked file.

use super::super::ast::Statement;
use super::super::diagnostic::Report;
use super::super::values;
use super::missing;

/// The number in a `track_file` decides (keepalived.conf(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FileCheck {
    /// Name of the `track_file` block.
    pub track_file: String,
    /// `weight N`: factor for the number, -2147483647..=2147483647; none for the `track_file`'s.
    pub weight: Option<i32>,
    /// `weight N reverse`: the factor's sign is turned.
    pub reverse: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    track_file: Option<String>,
    weight: Option<i32>,
    reverse: bool,
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "track_file" => {
                values::set(&mut self.track_file, values::text(statement, report));
            }
            "weight" => {
                let range = -2_147_483_647..=2_147_483_647;
                let reverse = statement.argument(1) == Some("reverse");
                values::leaf(statement, if reverse { 2 } else { 1 }, report);
                if let Some(weight) = values::signed(statement, range, report) {
                    (self.weight, self.reverse) = (Some(weight), reverse);
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn finish(&self, statement: &Statement, report: &mut Report) -> Option<FileCheck> {
        let Some(track_file) = self.track_file.clone() else {
            missing(statement, "track_file", report);
            return None;
        };
        Some(FileCheck {
            track_file,
            weight: self.weight,
            reverse: self.reverse,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::{check, clean};
    use super::*;

    #[test]
    fn file_and_weight() {
        let check = clean("FILE_CHECK {\n track_file load\n weight -5 reverse\n}");
        let expected = FileCheck {
            track_file: "load".into(),
            weight: Some(-5),
            reverse: true,
        };
        assert_eq!(check.kind, CheckKind::File(expected));
    }

    #[test]
    fn file_is_required_and_weight_limited() {
        let (check, messages) = check("FILE_CHECK {\n weight 2147483648\n}");
        assert_eq!(check, None);
        assert!(
            messages[0].contains("-2147483647..=2147483647"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("'track_file' is missing"),
            "{messages:?}"
        );
    }
}
