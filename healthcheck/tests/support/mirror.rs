//! A protocol for servers that send back what they hear.

use lvs_healthcheck::probe::{Dialogue, Protocol, Turn};
use lvs_healthcheck::{Attempt, Code, Outcome, Phase};

/// Sends so many bytes, ends, and passes when as many came back, in order.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) size: usize,
    pub(super) back: usize,
}

impl Protocol for Mirror {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Mirror {
    fn opened(&mut self) -> Turn {
        Turn::SendLast((0..self.size).map(|at| (at % 251) as u8).collect())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        for byte in bytes {
            assert_eq!(usize::from(*byte), self.back % 251);
            self.back += 1;
        }
        Turn::Listen
    }

    fn eof(&mut self, orderly: bool) -> Turn {
        let whole = self.back == self.size && orderly;
        let code = if whole { Code::Ok } else { Code::EofEarly };
        Turn::Done(Outcome::new(code, Phase::Match).with_detail(&self.back.to_string()))
    }
}
