//! Repeated lines: `~SEQ`, `~SEQx` and `~LST` (keepalived.conf(5)).
//!
//! ```text
//! ~SEQ(N, 1, 3) real_server 10.0.0.${N} 80 { weight 1 }     N = 1, 2, 3
//! ~SEQ(N, 10, -5, 0) …                                      N = 10, 5, 0
//! ~SEQx(N, 8, 2, 12) …                                      N = 8, a, c
//! ~LST(N, blue, green) …                                    N = blue, green
//! ~LST({N, M}, {a, 1}, {b, 2}) …                            N, M = a, 1; b, 2
//! ```
//!
//! The rest of the line is read once per value; it may begin with another sequence, and it may be a
//! parameter of several lines. The start may be left out (1, or -1 if the end is negative), and so
//! may the step (1 or -1, whichever leads to the end). Numbers are decimal, `0x` hexadecimal or
//! with a leading 0 octal.

use core::ops::Range;

use super::line::Line;

/// A repetition under way.
#[derive(Debug)]
pub(super) struct Repeat {
    names: Vec<String>,
    values: Values,
    /// What is repeated.
    pub(super) line: Line,
}

#[derive(Debug)]
enum Values {
    Numbers {
        next: Option<i64>,
        step: i64,
        end: i64,
        hexadecimal: bool,
    },
    List(std::vec::IntoIter<Vec<String>>),
}

impl Repeat {
    /// The values of the next round.
    pub(super) fn advance(&mut self) -> Option<Vec<(String, String)>> {
        let values = match &mut self.values {
            Values::List(list) => list.next()?,
            Values::Numbers {
                next,
                step,
                end,
                hexadecimal,
            } => {
                let number = (*next)?;
                let past = if *step > 0 {
                    number > *end
                } else {
                    number < *end
                };
                if past {
                    return None;
                }
                *next = number.checked_add(*step);
                vec![show(number, *hexadecimal)]
            }
        };
        Some(self.names.iter().cloned().zip(values).collect())
    }
}

fn show(number: i64, hexadecimal: bool) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let magnitude = number.unsigned_abs();
    if hexadecimal {
        format!("{sign}{magnitude:x}")
    } else {
        format!("{sign}{magnitude}")
    }
}

/// Where the parentheses of a sequence at the start of `text` open and close: parameters inside
/// are replaced before it is read.
pub(super) fn parentheses(text: &str) -> Option<Range<usize>> {
    let rest = ["~SEQx", "~SEQ", "~LST"]
        .iter()
        .find_map(|word| text.strip_prefix(word))?;
    let inside = rest.trim_start().strip_prefix('(')?;
    let start = text.len().saturating_sub(inside.len());
    Some(start..start.saturating_add(inside.find(')')?))
}

/// Whether a line starts like a sequence.
pub(super) fn is_sequence(text: &str) -> bool {
    text.starts_with("~SEQ") || text.starts_with("~LST")
}

/// Reads the sequence at the start of a line.
///
/// # Errors
///
/// The reason in words, if this is not a sequence.
pub(super) fn parse(line: &Line) -> Result<Repeat, String> {
    let text = line.text();
    let Some(inside) = parentheses(text) else {
        return Err("expected ~SEQ(NAME, START, STEP, END) or ~LST(NAME, VALUE, …)".into());
    };
    let rest = inside.end.saturating_add(1)..text.len();
    let arguments = split(text.get(inside).unwrap_or_default());
    let (names, values) = if text.starts_with("~LST") {
        list(&arguments)?
    } else {
        numbers(&arguments, text.starts_with("~SEQx"))?
    };
    Ok(Repeat {
        names,
        values,
        line: line.part(rest),
    })
}

fn numbers(arguments: &[&str], hexadecimal: bool) -> Result<(Vec<String>, Values), String> {
    let (name, bounds) = match arguments {
        [name, bounds @ ..] if is_name(name) => (*name, bounds),
        [name, ..] => return Err(format!("'{name}' is not a parameter name")),
        [] => return Err("the parameter name is missing".into()),
    };
    let bounds = bounds
        .iter()
        .map(|text| integer(text))
        .collect::<Result<Vec<_>, _>>()?;
    let (start, step, end) = match *bounds.as_slice() {
        [end] => (if end < 0 { -1 } else { 1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Err("expected END, or START, END, or START, STEP, END".into()),
    };
    let step = step.unwrap_or(if end < start { -1 } else { 1 });
    if step == 0 || (step > 0 && end < start) || (step < 0 && end > start) {
        return Err(format!("step {step} does not lead from {start} to {end}"));
    }
    let values = Values::Numbers {
        next: Some(start),
        step,
        end,
        hexadecimal,
    };
    Ok((vec![name.to_owned()], values))
}

fn list(arguments: &[&str]) -> Result<(Vec<String>, Values), String> {
    let (names, groups) = match arguments {
        [names, groups @ ..] if !groups.is_empty() => (group(names), groups),
        _ => return Err("expected a parameter name and at least one value".into()),
    };
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("'{name}' is not a parameter name"));
    }
    let values: Vec<Vec<String>> = groups.iter().map(|text| group(text)).collect();
    for found in &values {
        if found.len() != names.len() {
            let (found, names) = (found.len(), names.len());
            return Err(format!("{found} values for {names} parameters"));
        }
    }
    Ok((names, Values::List(values.into_iter())))
}

/// The members of `{a, b}`, or the one value.
fn group(text: &str) -> Vec<String> {
    match text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        Some(inside) => inside
            .split(',')
            .map(|part| part.trim().to_owned())
            .collect(),
        None => vec![text.to_owned()],
    }
}

/// Splits at commas outside braces.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default().trim());
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    parts
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn integer(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    let valid = digits.starts_with(|first: char| first.is_digit(radix));
    valid
        .then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())
        .flatten()
        .ok_or_else(|| format!("'{text}' is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>, String> {
        let mut repeat = parse(&Line::plain(text))?;
        let mut rounds = Vec::new();
        while let Some(values) = repeat.advance() {
            let values: Vec<_> = values
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            rounds.push(values.join(","));
        }
        Ok(rounds)
    }

    /// The values were seen with keepalived 2.2.7.
    #[test]
    fn numbers_go_where_keepalived_takes_them() {
        let cases = [
            ("~SEQ(N,1,3) x", "N=1 N=2 N=3"),
            ("~SEQ(N,3) x", "N=1 N=2 N=3"),
            ("~SEQ(N,3,1) x", "N=3 N=2 N=1"),
            ("~SEQ(N,-2) x", "N=-1 N=-2"),
            ("~SEQ(N,1,2,4) x", "N=1 N=3"),
            ("~SEQx(N,8,2,12) x", "N=8 N=a N=c"),
            ("~SEQx(N,0x8,2,0xc) x", "N=8 N=a N=c"),
            ("~SEQ(N,010,2,014) x", "N=8 N=10 N=12"),
            ("~SEQ ( N , 1 , 2 ) x", "N=1 N=2"),
            ("~SEQx(N, 0x12, -1, 0x10) x", "N=12 N=11 N=10"),
            (
                "~SEQ(N, 9223372036854775806, 9223372036854775807) x",
                "N=9223372036854775806 N=9223372036854775807",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(all(text).expect(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn lists_give_one_or_several_parameters() {
        assert_eq!(all("~LST(N,a,b) x").unwrap(), ["N=a", "N=b"]);
        assert_eq!(
            all("~LST({N, M}, {a,b}, {c,d}) x").unwrap(),
            ["N=a,M=b", "N=c,M=d"]
        );
    }

    #[test]
    fn what_is_no_sequence_is_refused_with_the_reason() {
        let cases = [
            ("~SEQ(N) x", "expected END"),
            ("~SEQ(N,1,0,4) x", "step 0 does not lead from 1 to 4"),
            ("~SEQ(N,1,-1,3) x", "step -1"),
            ("~SEQ(9,1,3) x", "'9' is not a parameter name"),
            ("~SEQ(N,a) x", "'a' is not a whole number"),
            ("~SEQ(N,+-1) x", "'+-1' is not a whole number"),
            ("~SEQ N x", "expected ~SEQ(NAME"),
            ("~LST(N) x", "at least one value"),
            ("~LST({N,M},{a}) x", "1 values for 2 parameters"),
        ];
        for (text, reason) in cases {
            let message = all(text).expect_err(text);
            assert!(message.contains(reason), "{text}: {message}");
        }
    }

    #[test]
    fn rest_of_the_line_is_what_is_repeated() {
        let repeat = parse(&Line::plain("~SEQ(N,2)   weight ${N} ")).unwrap();
        assert_eq!(repeat.line.text(), "weight ${N}");
        assert_eq!(repeat.line.position_at(0).column, 13);
    }
}
