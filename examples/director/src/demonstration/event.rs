//! What happens in the demonstration, for people and for programs.

use core::fmt;

use super::script::DIRECTORS;

/// Something that happened; `Display` is a line with the director's name in front.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Which director it is about, from 0.
    pub director: Option<usize>,
    /// What: its first word says of which kind it is.
    pub text: String,
}

impl Event {
    /// Of a director, from 0, or of none.
    pub fn new(director: Option<usize>, text: impl fmt::Display) -> Self {
        Self {
            director,
            text: text.to_string(),
        }
    }

    /// The director's name.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        let name = self.director.and_then(|number| DIRECTORS.get(number));
        name.copied()
    }

    /// Of which kind it is, and the rest.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        let parts = self.text.split_once(' ');
        let (kind, rest) = parts.unwrap_or((&self.text, ""));
        (kind, rest.trim_start())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or(" ");
        for (number, line) in self.text.lines().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{name}  {line}")?;
        }
        Ok(())
    }
}
