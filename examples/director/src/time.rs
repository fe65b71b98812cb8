//! Times on command lines and in scripts.

use core::time::Duration;

/// Reads a time: a whole number with a unit, `ms`, `s` or `m`.
///
/// ```
/// use core::time::Duration;
/// use director::time;
///
/// assert_eq!(time::parse("20s"), Some(Duration::from_secs(20)));
/// assert_eq!(time::parse("20"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}
