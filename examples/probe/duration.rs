//! Times on the command line: `2s`, `500ms`, `1.5`, `1m`.

use core::time::Duration;

/// A time in whole or decimal units: ms, s (also without unit), m, h.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let limit = || "must be a time such as 500ms, 2s, 1.5s or 1m".to_owned();
    let unit_at = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(limit()),
    };
    let number: f64 = number.parse().map_err(|_| limit())?;
    // Whole nanoseconds, so that 0.1 s is a tenth of a second.
    Duration::try_from_secs_f64(number * unit).map_err(|_| limit())
}

/// A time for people: `1.25 ms`, `2 s`.
pub(crate) fn show(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 || time.is_zero() {
        format!("{} s", trimmed(seconds, 2))
    } else {
        format!("{} ms", trimmed(seconds * 1000.0, 2))
    }
}

/// So many digits after the point at most, and no zeros at the end.
fn trimmed(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time in milliseconds for programs, to the microsecond.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, milliseconds) in [
            ("2s", 2000),
            ("2", 2000),
            ("500ms", 500),
            ("1.5s", 1500),
            ("0.1", 100),
            ("1m", 60_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for odd in [
            "",
            "s",
            "2 s",
            "-1s",
            "1m30s",
            "1e3",
            "inf",
            ".",
            "2d",
            "9999999999999999999999h",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn times_are_short() {
        for (micros, text) in [
            (1_250, "1.25 ms"),
            (2_000_000, "2 s"),
            (1_500_000, "1.5 s"),
            (0, "0 s"),
            (80, "0.08 ms"),
        ] {
            assert_eq!(show(Duration::from_micros(micros)), text);
        }
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
