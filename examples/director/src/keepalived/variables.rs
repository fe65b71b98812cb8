//! Parameters: `$NAME=value`, `$NAME` and `${NAME}` (keepalived.conf(5)).
//!
//! A value is put in when it is used, not when it is defined, and may contain references itself.
//! `$NAME` counts only before a blank or the end of the line, `${NAME}` everywhere; what is not
//! defined stays as it is. A value of several lines (each but the last ends in `\`) gives several
//! lines.
//!
//! | Predefined | Value |
//! |---|---|
//! | `${_PWD}` | directory of the file being read |
//! | `${_INSTANCE}` | the configuration id |
//! | `${_ENV NAME}` | the environment variable, by way of the [`Loader`](super::Loader) |
//! | `${_RANDOM [MIN [MAX]]}` | a number in MIN..=MAX, by default 0..=32767 |
//! | `${_HASH}`, `${_BANG}` | `#`, `!` |

use std::collections::HashMap;
use std::rc::Rc;

use super::diagnostic::{Position, Report};
use super::limits::{Budget, Stop};
use super::line::Line;

/// The upper end of `${_RANDOM}`.
const RANDOM_MAX: u64 = 32_767;

/// A `$NAME` or `${NAME arguments}` at the start of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reference<'t> {
    pub(super) name: &'t str,
    pub(super) arguments: &'t str,
    pub(super) braced: bool,
    /// Bytes it takes, `$` and braces included.
    pub(super) length: usize,
}

/// Reads the reference at the start of `text`.
pub(super) fn reference(text: &str) -> Option<Reference<'_>> {
    let after = text.strip_prefix('$')?;
    let Some(inside) = after.strip_prefix('{') else {
        let name = name_prefix(after)?;
        let length = name.len().saturating_add(1);
        return Some(Reference {
            name,
            arguments: "",
            braced: false,
            length,
        });
    };
    let inside = inside.get(..inside.find('}')?)?;
    let name = name_prefix(inside)?;
    let rest = inside.get(name.len()..)?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let length = inside.len().saturating_add("${}".len());
    Some(Reference {
        name,
        arguments: rest.trim(),
        braced: true,
        length,
    })
}

/// `A-Za-z0-9_`, not starting with a digit.
fn name_prefix(text: &str) -> Option<&str> {
    let end = text
        .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .unwrap_or(text.len());
    text.get(..end)
        .filter(|name| name.starts_with(|first: char| !first.is_ascii_digit()))
}

/// Reads `$NAME=` at the start of `text`: the name and where the value begins.
pub(super) fn definition(text: &str) -> Option<(&str, usize)> {
    let name = name_prefix(text.strip_prefix('$')?)?;
    let equals = name.len().saturating_add(1);
    text.get(equals..)?
        .starts_with('=')
        .then_some((name, equals.saturating_add(1)))
}

/// What a parameter stands for.
#[derive(Clone, Debug)]
enum Value {
    Text(Rc<str>),
    Lines(Rc<[Line]>),
}

/// What predefined parameters need to know.
pub(super) struct Surroundings<'a> {
    pub(super) directory: &'a dyn Fn() -> String,
    pub(super) config_id: &'a str,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
}

/// The outcome of replacing the references of a line.
#[derive(Debug)]
pub(super) struct Expanded {
    /// The line, or its first line if a value had several.
    pub(super) line: Line,
    /// The other lines of that value, with what followed the reference.
    pub(super) rest: Vec<Line>,
    /// Whether there was such a value; nothing from it on is expanded yet.
    pub(super) lines: bool,
}

/// All parameters defined so far.
#[derive(Debug)]
pub(super) struct Variables {
    values: HashMap<String, Value>,
    random: u64,
    nesting: usize,
}

/// A value being read, or at the bottom of the stack the line itself.
struct Frame {
    text: Rc<str>,
    at: usize,
    /// Where the outermost reference stands; none for the line itself.
    place: Option<Position>,
}

impl Frame {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

impl Variables {
    pub(super) fn new(seed: u64, nesting: usize) -> Self {
        Self {
            values: HashMap::new(),
            random: seed,
            nesting,
        }
    }

    /// Defines a parameter, or defines it anew.
    pub(super) fn set(&mut self, name: &str, text: &str) {
        self.values
            .insert(name.to_owned(), Value::Text(text.into()));
    }

    /// Defines a parameter with a value of several lines.
    pub(super) fn set_lines(&mut self, name: &str, lines: Vec<Line>) {
        self.values
            .insert(name.to_owned(), Value::Lines(lines.into()));
    }

    /// Replaces references up to the first value of several lines. None if nothing was replaced;
    /// an empty line if a value contains itself.
    pub(super) fn expand(
        &mut self,
        line: &Line,
        around: &Surroundings<'_>,
        budget: &mut Budget,
        report: &mut Report,
    ) -> Result<Option<Expanded>, Stop> {
        if !line.text().contains('$') {
            return Ok(None);
        }
        let mut replaced = false;
        let mut out = Line::new(line.position_at(0), line.depth);
        let mut stack = vec![Frame {
            text: line.text().into(),
            at: 0,
            place: None,
        }];
        while let Some(top) = stack.last_mut() {
            let (start, text) = (top.at, Rc::clone(&top.text));
            let rest = text.get(start..).unwrap_or_default();
            let literal = rest.find('$').unwrap_or(rest.len());
            copy(&mut out, line, top, literal);
            if literal == rest.len() {
                stack.pop();
                continue;
            }
            let rest = rest.get(literal..).unwrap_or_default();
            let Some(found) = reference(rest) else {
                copy(&mut out, line, top, 1);
                continue;
            };
            let place = top
                .place
                .clone()
                .unwrap_or_else(|| line.position_at(start.saturating_add(literal)));
            let complete = found.braced || ends_word(&stack, found.length);
            let value = complete
                .then(|| self.value(&found, around, &place, report))
                .flatten();
            let deep = stack.len() > self.nesting;
            let Some(top) = stack.last_mut() else { break };
            match value {
                None => copy(&mut out, line, top, found.length),
                Some(_) if deep => {
                    let message = format!(
                        "the parameter '{}' contains itself, or values nest deeper than {}; \
                         line ignored",
                        found.name, self.nesting
                    );
                    report.error(&place, message);
                    let line = Line::new(line.position_at(0), line.depth);
                    return Ok(Some(Expanded {
                        line,
                        rest: Vec::new(),
                        lines: false,
                    }));
                }
                Some(Value::Text(text)) => {
                    budget.pay(text.len(), &place, report)?;
                    replaced = true;
                    top.at = top.at.saturating_add(found.length);
                    stack.push(Frame {
                        text,
                        at: 0,
                        place: Some(place),
                    });
                }
                Some(Value::Lines(lines)) => {
                    let size = lines.iter().map(|line| line.text().len()).sum();
                    budget.pay(size, &place, report)?;
                    top.at = top.at.saturating_add(found.length);
                    return Ok(Some(splice_lines(out, &lines, line, &stack)));
                }
            }
        }
        Ok(replaced.then_some(Expanded {
            line: out,
            rest: Vec::new(),
            lines: false,
        }))
    }

    fn value(
        &mut self,
        found: &Reference<'_>,
        around: &Surroundings<'_>,
        place: &Position,
        report: &mut Report,
    ) -> Option<Value> {
        let text = match found.name {
            "_PWD" => (around.directory)(),
            "_INSTANCE" => around.config_id.to_owned(),
            "_HASH" => "#".to_owned(),
            "_BANG" => "!".to_owned(),
            "_ENV" if found.braced => {
                let name = found.arguments;
                (around.environment)(name).unwrap_or_else(|| {
                    report.warning(
                        place,
                        format!("the environment has no variable '{name}', used as empty"),
                    );
                    String::new()
                })
            }
            "_RANDOM" => self.random(found.arguments, place, report).to_string(),
            name => return self.values.get(name).cloned(),
        };
        Some(Value::Text(text.into()))
    }

    fn random(&mut self, arguments: &str, place: &Position, report: &mut Report) -> u64 {
        let mut bounds = arguments.split_whitespace().map(str::parse::<u64>);
        let (low, high) = match (bounds.next(), bounds.next(), bounds.next()) {
            (None, ..) => (0, RANDOM_MAX),
            (Some(Ok(low)), None, _) => (low, RANDOM_MAX.max(low)),
            (Some(Ok(low)), Some(Ok(high)), None) if low <= high => (low, high),
            _ => {
                let message = format!(
                    "_RANDOM: '{arguments}' is not MIN or MIN MAX with whole numbers and \
                     MIN <= MAX; 0 {RANDOM_MAX} used"
                );
                report.warning(place, message);
                (0, RANDOM_MAX)
            }
        };
        // SplitMix64: any seed will do, and the same seed reads the same configuration.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        match high.wrapping_sub(low).checked_add(1) {
            Some(span) => low.saturating_add(bits.checked_rem(span).unwrap_or(0)),
            None => bits,
        }
    }
}

/// Copies `length` bytes of the frame to the result and moves on.
fn copy(out: &mut Line, line: &Line, frame: &mut Frame, length: usize) {
    let end = frame.at.saturating_add(length);
    match &frame.place {
        None => out.push_part(line, frame.at..end),
        Some(place) => out.push_fixed(frame.text.get(frame.at..end).unwrap_or_default(), place),
    }
    frame.at = end;
}

/// Whether a blank or the end of the line follows `length` bytes from the top frame's place.
fn ends_word(stack: &[Frame], length: usize) -> bool {
    let mut skip = length;
    for frame in stack.iter().rev() {
        if let Some(next) = frame
            .rest()
            .get(skip..)
            .and_then(|rest| rest.chars().next())
        {
            return next.is_whitespace();
        }
        // What encloses the value goes on where it stopped.
        skip = 0;
    }
    true
}

/// The lines of a value with what stood before and after the reference.
fn splice_lines(mut before: Line, value: &[Line], line: &Line, stack: &[Frame]) -> Expanded {
    let depth = line.depth.saturating_add(1);
    before.depth = depth;
    let mut rest: Vec<Line> = value.get(1..).unwrap_or_default().to_vec();
    rest.iter_mut().for_each(|line| line.depth = depth);
    if let Some(first) = value.first() {
        before.push_part(first, 0..first.text().len());
    }
    let last = rest.last_mut().unwrap_or(&mut before);
    for frame in stack.iter().rev() {
        match &frame.place {
            None => last.push_part(line, frame.at..line.text().len()),
            Some(place) => last.push_fixed(frame.rest(), place),
        }
    }
    Expanded {
        line: before,
        rest,
        lines: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        variables: Variables,
        report: Report,
        budget: Budget,
    }

    impl Fixture {
        fn new(values: &[(&str, &str)]) -> Self {
            let mut variables = Variables::new(1, 32);
            for (name, value) in values {
                variables.set(name, value);
            }
            Self {
                variables,
                report: Report::new(10),
                budget: Budget::new(1 << 20),
            }
        }

        fn expand(&mut self, text: &str) -> Vec<String> {
            let environment = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
            let around = Surroundings {
                directory: &|| "/etc/keepalived".to_owned(),
                config_id: "main",
                environment: &environment,
            };
            let line = Line::plain(text);
            let expanded = self
                .variables
                .expand(&line, &around, &mut self.budget, &mut self.report)
                .expect("within the budget");
            match expanded {
                None => vec![text.to_owned()],
                Some(expanded) => core::iter::once(&expanded.line)
                    .chain(&expanded.rest)
                    .map(|line| line.text().to_owned())
                    .collect(),
            }
        }
    }

    fn expand(values: &[(&str, &str)], text: &str) -> String {
        Fixture::new(values).expand(text).join("\n")
    }

    /// Each pair was seen with keepalived 2.2.7 in the message about an invalid `lb_algo`.
    #[test]
    fn references_count_where_keepalived_counts_them() {
        let values = [("A", "x")];
        assert_eq!(expand(&values, "lb_algo $A"), "lb_algo x");
        assert_eq!(expand(&values, "lb_algo z$A q"), "lb_algo zx q");
        assert_eq!(expand(&values, "lb_algo $A$A"), "lb_algo $Ax");
        assert_eq!(expand(&values, "lb_algo $A.z"), "lb_algo $A.z");
        assert_eq!(expand(&values, "lb_algo \"$A\""), "lb_algo \"$A\"");
        assert_eq!(expand(&values, "lb_algo \"$A y\""), "lb_algo \"x y\"");
        assert_eq!(expand(&values, "lb_algo p${A}q"), "lb_algo pxq");
        assert_eq!(expand(&values, "lb_algo \\${A}"), "lb_algo \\x");
        assert_eq!(expand(&values, "lb_algo ${B}"), "lb_algo ${B}");
        assert_eq!(expand(&[("A", "")], "q${A}z"), "qz");
    }

    /// The manual's example: replaced at use, not at definition.
    #[test]
    fn values_may_refer_to_other_values() {
        let values = [("BASE", "10.2.${SUB}"), ("SUB", "10")];
        assert_eq!(expand(&values, "${BASE}.100/32"), "10.2.10.100/32");
        let values = [("BASE", "10.2.$SUB"), ("SUB", "10")];
        assert_eq!(expand(&values, "${BASE}.100/32"), "10.2.$SUB.100/32");
        assert_eq!(expand(&values, "${BASE} x"), "10.2.10 x");
    }

    #[test]
    fn value_that_contains_itself_is_refused() {
        for values in [vec![("A", "$A")], vec![("A", "${B}"), ("B", "x${A}x")]] {
            let mut fixture = Fixture::new(&values);
            assert_eq!(fixture.expand("weight $A"), [""]);
            let (diagnostics, _) = fixture.report.finish();
            assert_eq!(diagnostics.len(), 1);
            assert!(
                diagnostics[0].message.contains("contains itself"),
                "{diagnostics:?}"
            );
        }
    }

    #[test]
    fn growth_is_bounded() {
        let names: Vec<String> = (0..30).map(|n| format!("V{n}")).collect();
        let mut fixture = Fixture::new(&[]);
        for pair in names.windows(2) {
            fixture
                .variables
                .set(&pair[0], &format!("${{{0}}}${{{0}}}", pair[1]));
        }
        fixture.variables.set("V29", "");
        let around = Surroundings {
            directory: &String::new,
            config_id: "",
            environment: &|_: &str| None,
        };
        let outcome = fixture.variables.expand(
            &Line::plain("${V0}"),
            &around,
            &mut fixture.budget,
            &mut fixture.report,
        );
        assert_eq!(outcome.unwrap_err(), Stop);
        assert_eq!(fixture.report.finish().0.len(), 1);
    }

    #[test]
    fn predefined_values() {
        assert_eq!(
            expand(&[], "${_PWD}/x ${_INSTANCE}"),
            "/etc/keepalived/x main"
        );
        assert_eq!(expand(&[], "a${_HASH}b${_BANG}"), "a#b!");
        assert_eq!(expand(&[], "${_ENV HOME}"), "/home/u");
        assert_eq!(expand(&[], "${_RANDOM 3 3}"), "3");
        let number: u64 = expand(&[], "${_RANDOM}").parse().expect("a number");
        assert!(number <= RANDOM_MAX);
    }

    #[test]
    fn wrong_predefined_arguments_are_reported() {
        let mut fixture = Fixture::new(&[]);
        fixture.expand("${_RANDOM 5 3}");
        assert_eq!(fixture.expand("x${_ENV NOPE}y"), ["xy"]);
        let (diagnostics, _) = fixture.report.finish();
        assert!(
            diagnostics[0].message.contains("'5 3' is not MIN"),
            "{diagnostics:?}"
        );
        assert!(
            diagnostics[1].message.contains("no variable 'NOPE'"),
            "{diagnostics:?}"
        );
    }

    #[test]
    fn value_of_several_lines_keeps_what_surrounds_it() {
        let mut fixture = Fixture::new(&[("X", "1 $L 2")]);
        fixture.variables.set_lines(
            "L",
            vec![Line::plain("a"), Line::plain("b"), Line::plain("c")],
        );
        assert_eq!(fixture.expand("lb_kind ${L} {"), ["lb_kind a", "b", "c {"]);
        assert_eq!(fixture.expand("${X}3"), ["1 a", "b", "c 23"]);
    }

    #[test]
    fn definitions_are_recognised() {
        assert_eq!(definition("$A=1"), Some(("A", 3)));
        assert_eq!(definition("$_x9= \\"), Some(("_x9", 5)));
        assert_eq!(definition("$A =1"), None);
        assert_eq!(definition("$1=1"), None);
        assert_eq!(definition("$=1"), None);
    }
}
