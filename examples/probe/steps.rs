//! What is said and expected, step by step, in the order of the options.

use lvs_healthcheck::Invalid;
use lvs_healthcheck::probe::Pattern;
use lvs_healthcheck::probe::expect::{Expectation, Matcher, Script};

use crate::arguments::Arguments;
use crate::escape::{self, Bytes};
use crate::failure::Failure;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Expect(Matcher),
}

/// The steps of a command line.
pub(crate) fn steps(arguments: &Arguments) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    let bytes = |id: &str| arguments.placed::<Bytes>(id);
    steps.extend(
        bytes("send")
            .into_iter()
            .map(|(at, sent)| (at, Step::Send(sent.0))),
    );
    for (id, matcher) in [
        ("expect_prefix", Matcher::Prefix as fn(Vec<u8>) -> Matcher),
        ("expect_exact", Matcher::Exact),
        ("expect_contains", Matcher::Contains),
    ] {
        let expected = bytes(id).into_iter();
        steps.extend(expected.map(|(at, wanted)| (at, Step::Expect(matcher(wanted.0)))));
    }
    for (at, text) in arguments.placed::<String>("expect") {
        let wanted = escape::parse(&text)
            .map_err(|limit| Failure::value("expect", format!("{text:?}"), limit))?;
        steps.push((at, Step::Expect(Matcher::Contains(wanted.0))));
    }
    for (at, text) in arguments.placed::<String>("expect_regex") {
        steps.push((at, Step::Expect(Matcher::Pattern(Pattern::new(&text)?))));
    }
    steps.sort_by_key(|(at, _)| *at);
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// They as a dialogue.
pub(crate) fn script(steps: &[Step], by_line: bool) -> Script {
    steps.iter().fold(Script::new(), |script, step| match step {
        Step::Send(bytes) => script.send(bytes.clone()),
        Step::Expect(matcher) => {
            let expectation = Expectation::new(matcher.clone());
            script.expect(if by_line {
                expectation.by_line()
            } else {
                expectation
            })
        }
    })
}

/// What is expected, for people.
pub(crate) fn describe(steps: &[Step]) -> String {
    let expected: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Send(_) => None,
            Step::Expect(matcher) => Some(matcher.to_string()),
        })
        .collect();
    expected.join(", then ")
}

/// A datagram and what its answer has to be: one of each at most.
pub(crate) fn datagram(steps: &[Step]) -> Result<(Option<Vec<u8>>, Option<Matcher>), Failure> {
    let (mut payload, mut wanted) = (None, None);
    for step in steps {
        let more = match step {
            Step::Send(bytes) => payload.replace(bytes.clone()).is_some(),
            Step::Expect(matcher) => wanted.replace(matcher.clone()).is_some(),
        };
        if more {
            let limit = "must be one datagram and one answer: --send once, one of --expect…";
            return Err(Invalid::new("steps", steps.len().to_string(), limit).into());
        }
    }
    Ok((payload, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_command_line() {
        let line = [
            "x",
            "--expect-regex",
            "a+",
            "--send",
            "b",
            "--expect",
            r"\x20",
            "--send",
            "d",
            "--expect-exact",
            "e",
        ];
        let steps = steps(&Arguments::of(&line)).unwrap();
        let kinds: Vec<_> = steps
            .iter()
            .map(|step| matches!(step, Step::Send(_)))
            .collect();
        assert_eq!(kinds, [false, true, false, true, false]);
        assert_eq!(
            describe(&steps),
            r#"a match of a+, then " " in it, then exactly "e""#
        );
        assert!(datagram(&steps).is_err() && datagram(&steps[1..3]).is_ok());
    }

    #[test]
    fn odd_patterns_are_refused() {
        let refused = |line: &[&str]| steps(&Arguments::of(line)).unwrap_err().to_string();
        assert!(refused(&["x", "--expect-regex", "("]).starts_with("pattern is \"(\""));
        assert!(refused(&["x", "--expect", r"\q"]).starts_with("expect is"));
    }
}
