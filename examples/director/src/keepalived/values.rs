//! Values of ordinary keywords: numbers, times, switches, addresses.
//!
//! Each function reads what a statement must have and reports what is wrong with it, naming
//! keyword, value and limit; a statement with an unusable value has no effect, as in keepalived.

use core::fmt::Display;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::ast::Statement;
use super::diagnostic::Report;

/// The longest `garp_extra_if`: a day.
const EXTRA_MAX: u64 = 86_400;

const MICROS: u64 = 1_000_000;

/// The longest time that keepalived takes, in microseconds.
pub(super) const TIMER_MAX: u64 = u64::MAX - 1;

/// Sets a value; an unusable one leaves what was there.
pub(super) fn set<T>(value: &mut Option<T>, read: Option<T>) {
    if read.is_some() {
        *value = read;
    }
}

/// Reports a keyword that means nothing here, and its block with it.
pub(super) fn unknown(statement: &Statement, report: &mut Report) {
    let block = if statement.block().is_some() {
        " with its block"
    } else {
        ""
    };
    let message = format!("unknown keyword '{}', skipped{block}", statement.keyword());
    report.warning(statement.position(), message);
}

/// The statements of a block that must be there.
pub(super) fn block<'s>(statement: &'s Statement, report: &mut Report) -> &'s [Statement] {
    match statement.block() {
        Some(block) => block.statements(),
        None => {
            let message = format!("{}: the block in braces is missing", statement.keyword());
            report.error(statement.position(), message);
            &[]
        }
    }
}

/// Reports a block where none belongs, and words over `most`.
pub(super) fn leaf(statement: &Statement, most: usize, report: &mut Report) {
    let keyword = statement.keyword();
    if let Some(block) = statement.block() {
        report.error(
            block.position(),
            format!("{keyword} takes no block; the block is skipped"),
        );
    }
    if let Some(extra) = statement.argument(most) {
        let message = format!("{keyword}: '{extra}' and what follows on the line is ignored");
        report.note(statement.argument_position(most), message);
    }
}

/// Reads the word at `index`.
pub(super) fn word_at<T>(
    statement: &Statement,
    index: usize,
    expected: impl Display,
    report: &mut Report,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let keyword = statement.keyword();
    let Some(word) = statement.argument(index) else {
        let message = format!("{keyword}: the value is missing, expected {expected}; line ignored");
        report.error(statement.position(), message);
        return None;
    };
    let value = read(word);
    if value.is_none() {
        let message = format!("{keyword}: '{word}' is not {expected}; line ignored");
        report.error(statement.argument_position(index), message);
    }
    value
}

/// Reads the only word of a statement.
pub(super) fn word<T>(
    statement: &Statement,
    expected: impl Display,
    report: &mut Report,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    leaf(statement, 1, report);
    word_at(statement, 0, expected, report, read)
}

/// Reads any text. Control characters are refused: texts end up in requests and messages.
pub(super) fn text(statement: &Statement, report: &mut Report) -> Option<String> {
    word(
        statement,
        "a text without control characters",
        report,
        |word| (!word.contains(char::is_control)).then(|| word.to_owned()),
    )
}

/// Reads a whole number.
pub(super) fn number<T: TryFrom<u64>>(
    statement: &Statement,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<T> {
    leaf(statement, 1, report);
    number_at(statement, 0, range, report)
}

/// Reads the whole number at `index`.
pub(super) fn number_at<T: TryFrom<u64>>(
    statement: &Statement,
    index: usize,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<T> {
    let expected = format!("a whole number in {}..={}", range.start(), range.end());
    word_at(statement, index, expected, report, |word| {
        T::try_from(unsigned(word).filter(|number| range.contains(number))?).ok()
    })
}

/// Reads `[all] SECONDS`, as `garp_extra_if` and its default have it: at most a day.
pub(super) fn extra_interface(statement: &Statement, report: &mut Report) -> Option<(u32, bool)> {
    let all = statement.argument(0) == Some("all");
    let at = usize::from(all);
    leaf(statement, at.saturating_add(1), report);
    let seconds = number_at(statement, at, 0..=EXTRA_MAX, report)?;
    Some((seconds, all))
}

/// Reads a count of which 0 is corrected to 1.
pub(super) fn at_least_one(statement: &Statement, report: &mut Report) -> Option<u32> {
    let count = number(statement, 0..=u64::from(u32::MAX), report)?;
    if count == 0 {
        let message = format!("{}: 0 is not over 0, set to 1", statement.keyword());
        report.warning(statement.argument_position(0), message);
        return Some(1);
    }
    Some(count)
}

/// Reads a whole number that may be negative.
pub(super) fn signed<T: TryFrom<i64>>(
    statement: &Statement,
    range: RangeInclusive<i64>,
    report: &mut Report,
) -> Option<T> {
    signed_at(statement, 0, range, report)
}

/// Reads the whole number at `index` that may be negative.
pub(super) fn signed_at<T: TryFrom<i64>>(
    statement: &Statement,
    index: usize,
    range: RangeInclusive<i64>,
    report: &mut Report,
) -> Option<T> {
    let expected = format!("a whole number in {}..={}", range.start(), range.end());
    word_at(statement, index, expected, report, |word| {
        let number = word.parse().ok().filter(|number| range.contains(number))?;
        T::try_from(number).ok()
    })
}

/// Decimal digits, perhaps after a `+`.
pub(super) fn unsigned(word: &str) -> Option<u64> {
    word.parse().ok()
}

/// Reads a time in decimal seconds; the limits are microseconds.
pub(super) fn timer(
    statement: &Statement,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<Duration> {
    leaf(statement, 1, report);
    timer_at(statement, 0, range, report)
}

/// Reads the time in decimal seconds at `index`; the limits are microseconds.
pub(super) fn timer_at(
    statement: &Statement,
    index: usize,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<Duration> {
    let (start, end) = (*range.start(), *range.end());
    let expected = format!(
        "a time in {}..={} seconds",
        show_micros(start),
        show_micros(end)
    );
    let (micros, exact) = word_at(statement, index, expected, report, |word| {
        micros(word).filter(|(micros, _)| range.contains(micros))
    })?;
    if !exact {
        let message = format!("{}: more than 6 decimal places, cut", statement.keyword());
        report.warning(statement.argument_position(index), message);
    }
    Some(Duration::from_micros(micros))
}

/// Reads a time in decimal milliseconds, kept in whole microseconds; the limits are milliseconds.
pub(super) fn milliseconds(
    statement: &Statement,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<Duration> {
    leaf(statement, 1, report);
    let expected = format!("a time in {}..={} milliseconds", range.start(), range.end());
    let limits = range.start().saturating_mul(MICROS)..=range.end().saturating_mul(MICROS);
    let (nanos, _) = word_at(statement, 0, expected, report, |word| {
        micros(word).filter(|(nanos, _)| limits.contains(nanos))
    })?;
    Some(Duration::from_micros(nanos.wrapping_div(1000)))
}

fn show_micros(micros: u64) -> String {
    let (whole, rest) = (micros.wrapping_div(MICROS), micros.wrapping_rem(MICROS));
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Decimal seconds as microseconds, and whether nothing was cut.
fn micros(word: &str) -> Option<(u64, bool)> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let six = fraction.get(..6).unwrap_or(fraction);
    let fraction_micros: u64 = format!("{six:0<6}").parse().ok()?;
    let total = whole.checked_mul(MICROS)?.checked_add(fraction_micros)?;
    Some((total, fraction.len() <= 6))
}

/// Reads on/off, true/false, yes/no; on if the word is missing.
pub(super) fn switch(statement: &Statement, report: &mut Report) -> Option<bool> {
    leaf(statement, 1, report);
    if statement.arguments().is_empty() {
        return Some(true);
    }
    word_at(
        statement,
        0,
        "one of on, off, true, false, yes, no",
        report,
        |word| match word {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            _ => None,
        },
    )
}

/// A keyword that is on by being there, whatever follows it.
pub(super) fn flag(statement: &Statement, report: &mut Report) -> bool {
    leaf(statement, usize::MAX, report);
    if let Some(word) = statement.argument(0) {
        let message = format!("{0}: '{word}' is ignored, {0} is on", statement.keyword());
        report.note(statement.argument_position(0), message);
    }
    true
}

/// Reads an address.
pub(super) fn address(statement: &Statement, report: &mut Report) -> Option<IpAddr> {
    word(statement, "an IPv4 or IPv6 address", report, |word| {
        word.parse().ok()
    })
}

/// Reads an interface name: 1 to 15 bytes, no blank and no slash.
pub(super) fn interface(statement: &Statement, report: &mut Report) -> Option<String> {
    word(
        statement,
        "an interface name of 1 to 15 bytes",
        report,
        |word| is_interface(word).then(|| word.to_owned()),
    )
}

/// Whether this can be the name of an interface.
pub(super) fn is_interface(word: &str) -> bool {
    (1..=15).contains(&word.len())
        && !word.contains(|char: char| char.is_whitespace() || char == '/')
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    fn messages(read: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = Report::new(10);
        read(&mut report);
        report.finish().0.iter().map(ToString::to_string).collect()
    }

    fn time(text: &str) -> Option<Duration> {
        let mut report = Report::new(10);
        timer(
            &statement(&format!("delay_loop {text}")),
            1..=TIMER_MAX,
            &mut report,
        )
    }

    #[test]
    fn times_are_decimal_seconds() {
        assert_eq!(time("3"), Some(Duration::from_secs(3)));
        assert_eq!(time("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(time(".5"), Some(Duration::from_millis(500)));
        assert_eq!(time("5."), Some(Duration::from_secs(5)));
        assert_eq!(time("0.000001"), Some(Duration::from_micros(1)));
        assert_eq!(time("1.1234567"), Some(Duration::from_micros(1_123_456)));
        for wrong in [
            "0",
            "-1",
            "3s",
            "1e3",
            ".",
            "",
            "1.2.3",
            "99999999999999999999",
        ] {
            assert_eq!(time(&format!("\"{wrong}\"")), None, "{wrong}");
        }
    }

    #[test]
    fn messages_name_keyword_value_and_limit() {
        let found = messages(|report| {
            let limited = 1..=4_294_967_295;
            timer(&statement("connect_timeout 4295"), limited.clone(), report);
            timer(&statement("delay_loop 1.0000000"), limited, report);
            number::<u32>(&statement("weight -1"), 0..=2_147_483_647, report);
            number::<u32>(&statement("weight"), 0..=2_147_483_647, report);
            switch(&statement("alpha maybe"), report);
            address(&statement("connect_ip 10.0.0.300"), report);
            number::<u32>(&statement("weight 3 TCP_CHECK { a 1 }"), 0..=9, report);
        });
        let expected = [
            "test.conf:1:17: error: connect_timeout: '4295' is not a time in 0.000001..=4294.967295 seconds; line ignored",
            "test.conf:1:12: warning: delay_loop: more than 6 decimal places, cut",
            "test.conf:1:8: error: weight: '-1' is not a whole number in 0..=2147483647; line ignored",
            "test.conf:1:1: error: weight: the value is missing, expected a whole number in 0..=2147483647; line ignored",
            "test.conf:1:7: error: alpha: 'maybe' is not one of on, off, true, false, yes, no; line ignored",
            "test.conf:1:12: error: connect_ip: '10.0.0.300' is not an IPv4 or IPv6 address; line ignored",
            "test.conf:1:20: error: weight takes no block; the block is skipped",
            "test.conf:1:10: note: weight: 'TCP_CHECK' and what follows on the line is ignored",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_are_decimal() {
        assert_eq!(unsigned("010"), Some(10));
        assert_eq!(unsigned("+3"), Some(3));
        assert_eq!(unsigned("0x10"), None);
        assert_eq!(unsigned("-0"), None);
    }

    #[test]
    fn switches_default_to_on_and_know_lower_case_only() {
        let mut report = Report::new(10);
        assert_eq!(switch(&statement("alpha"), &mut report), Some(true));
        assert_eq!(switch(&statement("alpha no"), &mut report), Some(false));
        assert_eq!(switch(&statement("alpha TRUE"), &mut report), None);
        assert!(flag(&statement("omega no"), &mut report));
        assert!(
            report.finish().0[1]
                .message
                .contains("'no' is ignored, omega is on")
        );
    }
}
