//! What `--script` accepts: things that happen to servers and directors while the demonstration runs.
//!
//! ```text
//! # one statement per line, or several separated by commas or semicolons
//! at 3s stop 2
//! at 6s start 2, at 8s weight 1 5
//! at 10s kill active; at 15s revive; at 20s scheduler wlc
//! ```
//!
//! | Statement | Effect |
//! |---|---|
//! | `at TIME stop SERVER` | the server dies, its connections with it |
//! | `at TIME start SERVER` | the server is back on its address |
//! | `at TIME weight SERVER WEIGHT` | the configured weight changes, 0 to [`MAX_WEIGHT`] |
//! | `at TIME scheduler NAME` | the configured scheduler changes, to one of the kernel's |
//! | `at TIME kill DIRECTOR` | a director's machine loses power |
//! | `at TIME traffic RATE` | so many clients come in a second, 0 to [`MAX_RATE`] |
//! | `at TIME revive` | every director that was killed starts again |
//!
//! DIRECTOR is `active`, `standby`, or a name: `A` or `B`.
//! TIME is a whole number with a unit (`ms`, `s` or `m`) and counts from the start of the
//! demonstration. SERVER is a number from 1. Statements need not be in order of time; those of the
//! same time happen in the order written. `#` starts a comment that ends with the line.
//!
//! The parser is pure: time is passed to [`Script::due`], and carrying out an [`Action`] is the
//! caller's job.
//!
//! ```
//! use core::time::Duration;
//! use director::demonstration::script::{Action, Script};
//!
//! let mut script = Script::parse("at 6s start 2, at 3s stop 2", 3)?;
//! assert_eq!(script.next_at(), Some(Duration::from_secs(3)));
//! let due: Vec<_> = script.due(Duration::from_secs(4)).collect();
//! assert_eq!(due[0].action, Action::Stop { server: 2 });
//! assert_eq!(script.next_at(), Some(Duration::from_secs(6)));
//!
//! let error = Script::parse("at 3s stop 4", 3).unwrap_err();
//! assert_eq!(error.to_string(), "line 1, word 4: there is no server \"4\": expected 1 to 3");
//! # Ok::<(), director::demonstration::script::ScriptError>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use lvs_schedulers::Algorithm;

use super::farm::MAX_RATE;
use crate::time;

/// Names of the directors.
pub const DIRECTORS: [&str; 2] = ["A", "B"];

/// What may follow the time.
const ACTIONS: &str = "stop, start, weight, scheduler, kill, revive or traffic";

/// The highest weight a script can set, as in keepalived.conf.
pub const MAX_WEIGHT: u32 = 65_535;

/// Statements in order of time, of which the due ones can be taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Script {
    steps: VecDeque<Step>,
}

/// One statement.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// When it happens, since the start of the demonstration.
    pub at: Duration,
    /// What happens.
    pub action: Action,
}

/// What a statement does.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Stops a server.
    Stop {
        /// Its number, from 1.
        server: usize,
    },
    /// Starts a stopped server.
    Start {
        /// Its number, from 1.
        server: usize,
    },
    /// Changes a server's configured weight.
    Weight {
        /// Its number, from 1.
        server: usize,
        /// The new weight: 0 to [`MAX_WEIGHT`].
        weight: u32,
    },
    /// Changes the configured scheduler.
    Scheduler {
        /// The new one.
        algorithm: Algorithm,
    },
    /// A director's machine loses power.
    Kill {
        /// Which.
        which: Which,
    },
    /// Directors that were killed start again.
    Revive,
    /// Clients of the demonstration's own come.
    Traffic {
        /// So many in a second: 0 to [`MAX_RATE`].
        per_second: u32,
    },
}

/// Which director.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The one that is Active then; none if none is.
    Active,
    /// One that runs and is not Active then.
    Standby,
    /// The one of this place in [`DIRECTORS`].
    Number(usize),
}

/// Where a script is wrong, and what was expected.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, word {word}: {reason}")]
pub struct ScriptError {
    line: usize,
    word: usize,
    reason: String,
}

impl ScriptError {
    /// The line, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The word within the line, from 1; one past the last if a word is missing.
    pub const fn word(&self) -> usize {
        self.word
    }
}

impl Script {
    /// Reads a script for a demonstration with `servers` servers.
    ///
    /// # Errors
    ///
    /// The first wrong or missing word, by line and position.
    pub fn parse(text: &str, servers: usize) -> Result<Self, ScriptError> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let code = line.split('#').next().unwrap_or_default();
            let mut word = 0;
            for statement in code.split([',', ';']) {
                let words: Vec<_> = statement.split_whitespace().collect();
                if !words.is_empty() {
                    let mut reader = Reader {
                        line: line_number,
                        word,
                        words: words.iter(),
                        servers,
                    };
                    steps.push(reader.statement()?);
                }
                word += words.len();
            }
        }
        steps.sort_by_key(|step| step.at);
        Ok(Self {
            steps: steps.into(),
        })
    }

    /// The statements that are still to come, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// When the next statement is due; `None` if there is none left.
    pub fn next_at(&self) -> Option<Duration> {
        self.steps.front().map(|step| step.at)
    }

    /// Takes the statements that are due `elapsed` after the start.
    pub fn due(&mut self, elapsed: Duration) -> impl Iterator<Item = Step> + '_ {
        let count = self.steps.partition_point(|step| step.at <= elapsed);
        self.steps.drain(..count)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { server } => write!(f, "stop {server}"),
            Self::Start { server } => write!(f, "start {server}"),
            Self::Weight { server, weight } => write!(f, "weight {server} {weight}"),
            Self::Scheduler { algorithm } => write!(f, "scheduler {}", algorithm.name()),
            Self::Kill { which } => write!(f, "kill {which}"),
            Self::Revive => f.write_str("revive"),
            Self::Traffic { per_second } => write!(f, "traffic {per_second}"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Standby => f.write_str("standby"),
            Self::Number(number) => f.write_str(DIRECTORS.get(*number).unwrap_or(&"nobody")),
        }
    }
}

impl fmt::Display for Step {
    /// The statement as it can be written in a script.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}ms {}", self.at.as_millis(), self.action)
    }
}

/// Reads one statement word by word.
struct Reader<'a> {
    line: usize,
    /// Number of the word read last.
    word: usize,
    words: core::slice::Iter<'a, &'a str>,
    servers: usize,
}

impl<'a> Reader<'a> {
    fn statement(&mut self) -> Result<Step, ScriptError> {
        let at = self.next("`at`")?;
        if at != "at" {
            return Err(self.error(format!("{at:?} does not start a statement: expected `at`")));
        }
        let at = self.time()?;
        let action = match self.next(&format!("an action: {ACTIONS}"))? {
            "stop" => Action::Stop {
                server: self.server()?,
            },
            "start" => Action::Start {
                server: self.server()?,
            },
            "weight" => Action::Weight {
                server: self.server()?,
                weight: self.number("a weight", "a weight", MAX_WEIGHT)?,
            },
            "scheduler" => Action::Scheduler {
                algorithm: self.scheduler()?,
            },
            "kill" => Action::Kill {
                which: self.which()?,
            },
            "revive" => Action::Revive,
            "traffic" => Action::Traffic {
                per_second: self.number("a rate", "a rate of clients per second", MAX_RATE)?,
            },
            other => {
                let reason = format!("{other:?} is not an action: expected {ACTIONS}");
                return Err(self.error(reason));
            }
        };
        match self.words.next() {
            None => Ok(Step { at, action }),
            Some(extra) => {
                self.word += 1;
                let reason =
                    format!("{extra:?} is one word too many: expected the statement to end");
                Err(self.error(reason))
            }
        }
    }

    fn time(&mut self) -> Result<Duration, ScriptError> {
        let text = self.next("a time such as 3s")?;
        time::parse(text).ok_or_else(|| {
            let expected = "expected a whole number with a unit, such as 3s, 500ms or 1m";
            self.error(format!("{text:?} is not a time: {expected}"))
        })
    }

    fn server(&mut self) -> Result<usize, ScriptError> {
        let count = self.servers;
        let text = self.next("the number of a server")?;
        text.parse()
            .ok()
            .filter(|server| (1..=count).contains(server))
            .ok_or_else(|| {
                self.error(format!(
                    "there is no server {text:?}: expected 1 to {count}"
                ))
            })
    }

    fn number(&mut self, what: &str, is: &str, limit: u32) -> Result<u32, ScriptError> {
        let text = self.next(what)?;
        let value = text.parse().ok().filter(|&value| value <= limit);
        value.ok_or_else(|| self.error(format!("{text:?} is not {is}: expected 0 to {limit}")))
    }

    fn scheduler(&mut self) -> Result<Algorithm, ScriptError> {
        let text = self.next("the name of a scheduler")?;
        text.parse().map_err(|_| {
            let names: Vec<_> = Algorithm::ALL.iter().map(|it| it.name()).collect();
            let names = names.join(", ");
            self.error(format!(
                "{text:?} is not a scheduler: expected one of {names}"
            ))
        })
    }

    fn which(&mut self) -> Result<Which, ScriptError> {
        let [a, b] = DIRECTORS;
        let expected = format!("active, standby, {a} or {b}");
        let text = self.next(&format!("a director: {expected}"))?;
        let place = |name: &&str| name.eq_ignore_ascii_case(text);
        match text {
            "active" => Ok(Which::Active),
            "standby" => Ok(Which::Standby),
            _ => match DIRECTORS.iter().position(place) {
                Some(number) => Ok(Which::Number(number)),
                None => Err(self.error(format!("{text:?} is not a director: expected {expected}"))),
            },
        }
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, ScriptError> {
        self.word += 1;
        match self.words.next() {
            Some(word) => Ok(word),
            None => Err(self.error(format!("the statement ends: expected {expected}"))),
        }
    }

    const fn error(&self, reason: String) -> ScriptError {
        ScriptError {
            line: self.line,
            word: self.word,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(text: &str) -> Vec<(u64, Action)> {
        let script = Script::parse(text, 3).unwrap();
        let millis = |step: &Step| u64::try_from(step.at.as_millis()).unwrap();
        script
            .steps()
            .map(|step| (millis(step), step.action))
            .collect()
    }

    #[test]
    fn statements_are_separated_by_lines_commas_and_semicolons() {
        let expected = [
            (3_000, Action::Stop { server: 2 }),
            (6_000, Action::Start { server: 2 }),
            (
                60_000,
                Action::Weight {
                    server: 1,
                    weight: 5,
                },
            ),
        ];
        for text in [
            "at 3s stop 2\nat 6s start 2\nat 1m weight 1 5",
            "at 3s stop 2,at 6s start 2 , at 1m weight 1 5",
            "\n# a comment\r\nat 3000ms stop 2; at 6s start 2 # later\n\n ;, at 60s\tweight 1 5;\n",
        ] {
            assert_eq!(steps(text), expected, "{text:?}");
        }
        assert_eq!(steps(""), []);
        assert_eq!(steps("# nothing"), []);
    }

    #[test]
    fn directors_are_named_by_role_or_letter() {
        let kill = |which| Action::Kill { which };
        let wlc = Action::Scheduler {
            algorithm: Algorithm::Wlc,
        };
        assert_eq!(
            steps(
                "at 1s kill active; at 2s kill standby; at 3s kill A; at 4s kill b; at 5s revive"
            ),
            [
                (1_000, kill(Which::Active)),
                (2_000, kill(Which::Standby)),
                (3_000, kill(Which::Number(0))),
                (4_000, kill(Which::Number(1))),
                (5_000, Action::Revive),
            ]
        );
        assert_eq!(steps("at 1s scheduler wlc"), [(1_000, wlc)]);
    }

    #[test]
    fn steps_are_sorted_by_time_and_keep_their_order_at_the_same_time() {
        let expected = [
            (
                0,
                Action::Weight {
                    server: 3,
                    weight: 0,
                },
            ),
            (1_000, Action::Stop { server: 1 }),
            (1_000, Action::Start { server: 1 }),
        ];
        assert_eq!(
            steps("at 1s stop 1, at 1s start 1, at 0s weight 3 0"),
            expected
        );
    }

    #[test]
    fn errors_name_line_word_and_what_was_expected() {
        for (text, message) in [
            (
                "at",
                "line 1, word 2: the statement ends: expected a time such as 3s",
            ),
            (
                "at 3s",
                "line 1, word 3: the statement ends: expected an action: stop, start, \
                 weight, scheduler, kill, revive or traffic",
            ),
            (
                "at 3s stop 2, at 4s sotp 2",
                "line 1, word 7: \"sotp\" is not an action: expected stop, start, weight, scheduler, \
                 kill, revive or traffic",
            ),
            (
                "at 3s stop 2\n\n  stop 2",
                "line 3, word 1: \"stop\" does not start a statement: expected `at`",
            ),
            (
                "at 3 stop 2",
                "line 1, word 2: \"3\" is not a time: expected a whole number with a unit, such as 3s, \
                 500ms or 1m",
            ),
            (
                "at 3s stop",
                "line 1, word 4: the statement ends: expected the number of a server",
            ),
            (
                "at 3s stop 0",
                "line 1, word 4: there is no server \"0\": expected 1 to 3",
            ),
            (
                "at 3s stop two",
                "line 1, word 4: there is no server \"two\": expected 1 to 3",
            ),
            (
                "at 3s weight 1",
                "line 1, word 5: the statement ends: expected a weight",
            ),
            (
                "at 3s weight 1 -1",
                "line 1, word 5: \"-1\" is not a weight: expected 0 to 65535",
            ),
            (
                "at 3s weight 1 65536",
                "line 1, word 5: \"65536\" is not a weight: expected 0 to 65535",
            ),
            (
                "at 3s kill",
                "line 1, word 4: the statement ends: expected a director: active, standby, A or B",
            ),
            (
                "at 3s revive, at 4s kill C",
                "line 1, word 7: \"C\" is not a director: expected active, standby, A or B",
            ),
            (
                "at 3s scheduler best",
                "line 1, word 4: \"best\" is not a scheduler: expected one of rr, wrr, lc, wlc, fo, \
                 ovf, lblc, lblcr, dh, sh, sed, nq, mh, twos",
            ),
            (
                "at 3s traffic 1001",
                "line 1, word 4: \"1001\" is not a rate of clients per second: expected 0 to 1000",
            ),
            (
                "at 3s revive A",
                "line 1, word 4: \"A\" is one word too many: expected the statement to end",
            ),
            (
                "at 3s stop 1 2",
                "line 1, word 5: \"2\" is one word too many: expected the statement to end",
            ),
        ] {
            let error = Script::parse(text, 3).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(message.starts_with(&format!("line {}, word {}:", error.line(), error.word())));
        }
        for time in [
            "s",
            "-3s",
            "3.5s",
            "3h",
            "3S",
            "٣s",
            "99999999999999999999s",
            "999999999999999999m",
        ] {
            let error = Script::parse(&format!("at {time} stop 1"), 3).unwrap_err();
            assert_eq!(error.word(), 2, "{time}");
        }
    }

    #[test]
    fn each_statement_is_due_once() {
        let mut script = Script::parse("at 1s stop 1, at 2s start 1, at 9s stop 2", 3).unwrap();
        let mut due = |millis| script.due(Duration::from_millis(millis)).count();
        assert_eq!(
            [due(999), due(1_000), due(1_000), due(8_000), due(500)],
            [0, 1, 0, 1, 0]
        );
        assert_eq!(script.next_at(), Some(Duration::from_secs(9)));
        assert_eq!(script.due(Duration::MAX).count(), 1);
        assert_eq!(script.next_at(), None);
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(
            times in prop::collection::vec((0_u64..100_000, 0_usize..9, 1_usize..=9, 0..=MAX_WEIGHT), 0..9)
        ) {
            let line = |&(at, kind, server, weight): &(u64, usize, usize, u32)| {
                let action = match kind {
                    0 => Action::Stop { server },
                    1 => Action::Start { server },
                    2 => Action::Scheduler { algorithm: Algorithm::ALL[server] },
                    3 => Action::Kill { which: Which::Active },
                    4 => Action::Kill { which: Which::Standby },
                    5 => Action::Kill { which: Which::Number(server % 2) },
                    6 => Action::Revive,
                    7 => Action::Traffic { per_second: weight % (MAX_RATE + 1) },
                    _ => Action::Weight { server, weight },
                };
                Step { at: Duration::from_millis(at), action }.to_string()
            };
            let text = times.iter().map(line).collect::<Vec<_>>().join(", ");
            let script = Script::parse(&text, 9).unwrap();
            prop_assert_eq!(script.steps().count(), times.len());
            let shown = script.steps().map(Step::to_string).collect::<Vec<_>>().join("\n");
            prop_assert_eq!(Script::parse(&shown, 9).unwrap(), script);
        }

        #[test]
        fn no_text_panics(text in "[at 0-9msopwegh,;#\n-]*|.*") {
            if let Err(error) = Script::parse(&text, 3) {
                prop_assert!(error.line() >= 1 && error.word() >= 1);
            }
        }
    }
}
