//! `track_file`: a number in a file.

use std::fs;
use std::io::{self, Read};

use crate::keepalived::vrrp::TrackFile;

/// So much of a file is looked at.
const LONGEST: u64 = 128;

/// The number in a file, -2^31..=2^31-1; 0 where there is none, as with keepalived.
pub(super) fn value(path: &str) -> i32 {
    let mut text = String::new();
    let file = fs::File::open(path);
    let read = file.and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    if read.is_err() {
        return 0;
    }
    number(&text)
}

/// The number a text begins with, cut to its limits.
fn number(text: &str) -> i32 {
    let text = text.trim_start();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut number = 0_i64;
    for digit in digits.chars().map_while(|char| char.to_digit(10)) {
        number = number
            .saturating_mul(10)
            .saturating_add(i64::from(digit))
            .min(1 << 32);
    }
    let number = if is_negative {
        number.saturating_neg()
    } else {
        number
    };
    let limited = number.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    i32::try_from(limited).unwrap_or_default()
}

/// Writes the number a file begins with, if the configuration says so.
pub(crate) fn initialize(file: &TrackFile) -> io::Result<()> {
    let Some(init) = file.init else {
        return Ok(());
    };
    let mut options = fs::OpenOptions::new();
    options.write(true);
    if init.overwrite {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(&file.path).and_then(|mut file| {
        io::Write::write_all(&mut file, format!("{}\n", init.value).as_bytes())
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_a_number_or_counts_as_0() {
        for (text, expected) in [
            ("5\n", 5),
            ("  -20 and more", -20),
            ("+7", 7),
            ("", 0),
            ("none", 0),
            ("-", 0),
            ("99999999999999999999", i32::MAX),
            ("-99999999999999999999", i32::MIN),
            ("2147483648", i32::MAX),
            ("-2147483648", i32::MIN),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
        assert_eq!(value("/nonexistent/file"), 0);
    }
}
