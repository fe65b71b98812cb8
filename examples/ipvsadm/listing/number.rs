//! Counters in columns of nine.

use super::columns::Columns;

/// A counter or rate, right-aligned to nine columns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// With a unit when it has more than eight digits.
    Scaled(u64),
    /// In full, however wide, after a blank.
    Plain(u64),
}

impl Number {
    /// In full when `exact`, else scaled.
    pub(super) const fn new(value: u64, exact: bool) -> Self {
        if exact {
            Self::Plain(value)
        } else {
            Self::Scaled(value)
        }
    }

    pub(super) fn write(self, columns: &mut Columns) {
        let (value, unit) = match self {
            Self::Plain(value) | Self::Scaled(value @ 0..100_000_000) => {
                columns.text(" ").right_number(value, 8);
                return;
            }
            Self::Scaled(value @ 0..1_000_000_000) => (value / 1_000, "K"),
            Self::Scaled(value @ 0..100_000_000_000) => (value / 1_000_000, "M"),
            Self::Scaled(value @ 0..100_000_000_000_000) => (value / 1_000_000_000, "G"),
            Self::Scaled(value) => (value / 1_000_000_000_000, "T"),
        };
        columns.right_number(value, 8).text(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64, exact: bool) -> String {
        let mut columns = Columns::default();
        Number::new(value, exact).write(&mut columns);
        String::from_utf8(columns.as_bytes().to_vec()).unwrap()
    }

    /// Printed by `ipvsadm -L -n --stats` (1.31) for a service with these counters.
    #[test]
    fn large_numbers_get_a_unit() {
        for (value, expected) in [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (100_000_999, "  100000K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (1_999_999_999, "    1999M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (100_999_999_999, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(written(value, false), expected);
        }
    }

    /// The same with `--exact`.
    #[test]
    fn exact_numbers_are_as_wide_as_they_must_be() {
        for (value, expected) in [
            (9, "        9"),
            (99_999_999, " 99999999"),
            (100_000_000, " 100000000"),
            (u64::MAX, " 18446744073709551615"),
        ] {
            assert_eq!(written(value, true), expected);
        }
    }
}
