//! What keys do.

use director::demonstration::script::{Action, MAX_WEIGHT, Which};
use director::demonstration::{Status, Wish};
use lvs_schedulers::Algorithm;

/// What the screen says of them; the servers' numbers come before it.
pub(crate) const HELP: [&str; 2] = [
    "stop or start a server   Tab choose one   + - its weight   t traffic",
    "k kill the Active director   r revive   s next scheduler   q quit",
];

/// So many clients a second come with a key.
const TRAFFIC: u32 = 20;

/// Keys of a terminal, made into wishes.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Place of the server whose weight keys change.
    pub(crate) chosen: usize,
    /// Bytes of an escape sequence so far.
    escape: Vec<u8>,
}

impl Keys {
    /// What a key asks for, as things are.
    pub(crate) fn press(&mut self, key: u8, status: &Status) -> Option<Wish> {
        if self.is_escape(key) {
            return None;
        }
        let act = |action| Some(Wish::Act(action));
        match key {
            b'1'..=b'9' => {
                let number = usize::from(key - b'0');
                let mut servers = status.servers.iter();
                let server = servers.find(|server| server.number == number)?;
                self.chosen = number - 1;
                act(match server.is_running {
                    true => Action::Stop { server: number },
                    false => Action::Start { server: number },
                })
            }
            b'k' => act(Action::Kill {
                which: Which::Active,
            }),
            b'r' => act(Action::Revive),
            b's' => act(Action::Scheduler {
                algorithm: next(status.algorithm),
            }),
            b'\t' => {
                self.chosen = (self.chosen + 1) % status.servers.len().max(1);
                None
            }
            b'+' | b'=' => self.weigh(status, |weight| weight.saturating_add(1).min(MAX_WEIGHT)),
            b'-' => self.weigh(status, |weight| weight.saturating_sub(1)),
            b't' => act(Action::Traffic {
                per_second: if status.traffic == 0 { TRAFFIC } else { 0 },
            }),
            b'q' => Some(Wish::End),
            _ => None,
        }
    }

    /// Whether the key is part of a sequence such as arrows send, which mean nothing here.
    fn is_escape(&mut self, key: u8) -> bool {
        match (self.escape.as_slice(), key) {
            ([], 0x1b) | ([0x1b], b'[' | b'O') => self.escape.push(key),
            ([], _) => return false,
            // A key after Escape alone is a key.
            ([0x1b], _) => {
                self.escape.clear();
                return false;
            }
            // Parameters, up to the letter that ends it.
            (_, 0x40..=0x7e) => self.escape.clear(),
            _ => {}
        }
        true
    }

    fn weigh(&self, status: &Status, change: impl Fn(u32) -> u32) -> Option<Wish> {
        let server = status.servers.get(self.chosen)?;
        let (server, weight) = (server.number, change(server.weight));
        Some(Wish::Act(Action::Weight { server, weight }))
    }
}

/// The scheduler after this one; the first after the last.
fn next(algorithm: Algorithm) -> Algorithm {
    let mut all = Algorithm::ALL.iter().copied().cycle();
    all.by_ref()
        .take(Algorithm::ALL.len())
        .find(|known| *known == algorithm);
    all.next().unwrap_or(algorithm)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use director::demonstration::Demonstration;
    use director::signals::Signals;

    use super::*;

    /// What keys ask for, with server 2 stopped.
    fn wishes(keys: &str) -> Vec<String> {
        let config = director::demonstration::farm::Config::default();
        let demonstration = Demonstration::start(&config, Signals::block().unwrap()).unwrap();
        demonstration.farm().stop_server(2).unwrap();
        let (status, mut state) = (demonstration.status(), Keys::default());
        assert!(status.at < Duration::from_secs(3600));
        let wishes = keys.bytes().filter_map(|key| state.press(key, &status));
        let text = |wish| match wish {
            Wish::Act(action) => action.to_string(),
            _ => "end".to_owned(),
        };
        wishes.map(text).collect()
    }

    #[test]
    fn keys_do_what_the_screen_says() {
        let expected = [
            "stop 1",
            "start 2",
            "kill active",
            "revive",
            "scheduler lc",
            "traffic 20",
            "end",
        ];
        assert_eq!(wishes("12krstq"), expected);
        // The number chose server 2; Tab goes on, and around.
        assert_eq!(wishes("2+"), ["start 2", "weight 2 3"]);
        assert_eq!(
            wishes("+\t-\t\t="),
            ["weight 1 4", "weight 2 1", "weight 1 4"]
        );
    }

    #[test]
    fn other_keys_do_nothing() {
        // Among them arrows, function keys and Alt with a letter.
        assert_eq!(wishes("0459xKR \n\x1b[A\x1b[1;5B\x1bOP\x1b[15~"), [""; 0]);
        assert_eq!(wishes("\x1b[Aq"), ["end"]);
        assert_eq!(wishes("\x1bq"), ["end"]);
    }

    #[test]
    fn every_scheduler_has_its_turn() {
        let mut algorithm = Algorithm::Wrr;
        let mut seen = Vec::new();
        for _ in Algorithm::ALL {
            algorithm = next(algorithm);
            seen.push(algorithm);
        }
        assert_eq!(algorithm, Algorithm::Wrr);
        assert!(Algorithm::ALL.iter().all(|known| seen.contains(known)));
    }
}
