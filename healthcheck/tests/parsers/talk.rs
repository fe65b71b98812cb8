//! A driver without I/O, which holds an engine to its contract, and the bytes that say how a
//! conversation goes.

use core::fmt::{self, Write as _};
use core::time::Duration;

use lvs_healthcheck::outcome::{Detail, Timing};
use lvs_healthcheck::probe::{Action, Engine, Errno, Event, Operation, Origin, Step};
use lvs_healthcheck::{Attempt, Health, Outcome, Probe};

/// When everything happens but the end of the attempt's time.
pub(super) const NOW: Duration = Duration::from_secs(100);

/// When the attempt's time is over.
const DEADLINE: Duration = Duration::from_secs(103);

/// The identifier of questions.
pub(super) const RANDOM: u64 = 0x1234_5678_9abc_def0;

/// The most a server says: more than every limit there is.
const LONGEST: usize = 70 * 1024;

/// Bytes that decide; zeros once they are used up.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }
}

/// How a conversation ends that the engine does not end itself.
#[derive(Clone, Copy, Debug)]
enum End {
    Eof { orderly: bool },
    Reset,
    Deadline,
    Cancel,
}

/// What a server says, in which pieces it arrives, and how it ends.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) stream: Vec<u8>,
    lengths: [u8; 4],
    end: End,
}

impl Plan {
    /// Takes what is left of an input.
    pub(super) fn of(input: &mut Input<'_>) -> Self {
        let kind = input.byte();
        let end = match kind % 5 {
            0 => End::Eof { orderly: true },
            1 => End::Eof { orderly: false },
            2 => End::Reset,
            3 => End::Deadline,
            _ => End::Cancel,
        };
        let lengths = [input.byte(), input.byte(), input.byte(), input.byte()];
        let said = core::mem::take(&mut input.0);
        // Now and then the same over and over again: for the limits, short inputs are not enough.
        let times = if kind >= 253 {
            LONGEST / said.len().max(1)
        } else {
            1
        };
        Self {
            stream: said.repeat(times),
            lengths,
            end,
        }
    }

    /// Where the pieces end if nothing else decides it: pieces of up to 16 KiB.
    fn cuts(&self) -> Vec<usize> {
        let lengths = self.lengths.iter().map(|length| match length {
            0..=127 => usize::from(*length),
            _ => usize::from(length - 127) * 128,
        });
        let mut cuts = Vec::new();
        let mut at = 0;
        for length in lengths.cycle() {
            at += length.max(1);
            if at >= self.stream.len() {
                return cuts;
            }
            cuts.push(at);
        }
        cuts
    }
}

/// How a conversation went.
#[derive(Debug)]
pub(super) struct Told {
    /// Without times.
    pub(super) outcome: Outcome,
    /// What the engine said.
    pub(super) said: Vec<u8>,
    /// After how many bytes from the server it spoke.
    spoke: Vec<usize>,
}

/// One engine, and what it has done so far.
struct Client {
    engine: Box<dyn Engine>,
    connected: bool,
    reading: bool,
    ended: bool,
    cancelled: bool,
    outcome: Option<Outcome>,
    said: Vec<u8>,
    heard: usize,
    spoke: Vec<usize>,
}

impl Client {
    fn tell(&mut self, event: Event<'_>, now: Duration) {
        assert!(!self.ended, "told of {event:?} after its end");
        self.cancelled |= matches!(event, Event::Cancel);
        let step = self.engine.on_event(event, now);
        self.perform(step, now);
    }

    fn conclude(&mut self, outcome: Outcome) {
        assert_eq!(self.outcome, None, "a second outcome: {outcome}");
        let detail = outcome.detail.as_str();
        assert!(detail.len() <= Detail::MAX && !detail.chars().any(char::is_control));
        self.outcome = Some(outcome.with_timing(Timing::default()));
    }

    fn perform(&mut self, step: Step, now: Duration) {
        let actions = match step {
            Step::Do(actions) => actions,
            Step::Done(outcome) => {
                self.conclude(outcome);
                self.ended = true;
                return;
            }
            Step::Report(outcome, actions) => {
                self.conclude(outcome);
                actions
            }
            Step::End(actions) => {
                assert!(self.outcome.is_some() || self.cancelled, "nothing reported");
                self.ended = true;
                actions
            }
            other => panic!("{other:?}"),
        };
        let (mut connects, mut sends) = (false, false);
        for action in actions {
            match action {
                Action::Connect { .. } => {
                    (self.connected, self.reading) = (false, false);
                    connects = true;
                }
                Action::Send(bytes) => {
                    assert!(self.connected, "speaks before it is connected");
                    self.said.extend(bytes);
                    self.spoke.push(self.heard);
                    sends = true;
                }
                Action::Read | Action::HalfClose => {
                    assert!(self.connected);
                    self.reading = true;
                }
                Action::SetDeadline(at) => assert!((NOW..=DEADLINE).contains(&at), "{at:?}"),
                other => panic!("{other:?}"),
            }
        }
        if self.ended {
            return;
        }
        if connects {
            self.connected = true;
            self.tell(Event::Connected, now);
        } else if sends {
            self.tell(Event::Sent, now);
        }
    }

    /// How much there is to tell about the engine: about five bytes for one that it keeps.
    fn size(&self) -> usize {
        struct Counter(usize);
        impl fmt::Write for Counter {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        let mut counter = Counter(0);
        write!(counter, "{:?}", self.engine).unwrap();
        counter.0
    }
}

/// Holds a conversation in pieces that end at these places, and wherever the pieces say so.
fn hold(probe: &dyn Probe, plan: &Plan, cuts: &[usize], limit: usize) -> Told {
    let timeout = DEADLINE - NOW;
    let attempt = Attempt::new(1, NOW, timeout, None, Health::Unknown).with_random(RANDOM);
    let mut client = Client {
        engine: probe.engine(&attempt),
        connected: false,
        reading: false,
        ended: false,
        cancelled: false,
        outcome: None,
        said: Vec::new(),
        heard: 0,
        spoke: Vec::new(),
    };
    let size = client.size();
    let step = client.engine.start(NOW);
    client.perform(step, NOW);
    let mut rest = plan.stream.as_slice();
    let mut cuts = cuts.iter();
    while !client.ended && !rest.is_empty() {
        assert!(client.reading, "deaf to what the server says");
        let end = cuts.next().map_or(plan.stream.len(), |cut| *cut);
        let (piece, after) = rest.split_at(end - client.heard);
        rest = after;
        client.heard = end;
        client.tell(Event::Data(piece), NOW);
    }
    if !client.ended {
        let grown = client.size().saturating_sub(size);
        assert!(grown <= 5 * limit + 1024, "keeps about {} bytes", grown / 5);
        match plan.end {
            End::Eof { orderly } => client.tell(Event::Eof { orderly }, NOW),
            End::Reset => client.tell(
                Event::Failed {
                    operation: Operation::Receive,
                    errno: Errno::from_raw(104),
                    origin: Origin::Network,
                    detail: "",
                },
                NOW,
            ),
            End::Deadline => {}
            End::Cancel => {
                client.tell(Event::Cancel, NOW);
                assert!(client.ended, "goes on although it was cancelled");
            }
        }
    }
    if !client.ended {
        client.tell(Event::Deadline, DEADLINE);
    }
    assert!(client.ended, "no end at the deadline");
    Told {
        outcome: client.outcome.unwrap(),
        said: client.said,
        spoke: client.spoke,
    }
}

/// Holds a conversation byte by byte and in pieces, with an engine that keeps at most so many bytes
/// of what was said; both go alike if pieces do not matter.
///
/// A server that waits for its turn sends nothing more before it was answered, so a piece ends
/// wherever the engine spoke.
pub(super) fn compare(probe: &dyn Probe, plan: &Plan, limit: usize, pieces_matter: bool) -> Told {
    let single: Vec<usize> = (1..plan.stream.len()).collect();
    let reference = hold(probe, plan, &single, limit);
    let mut cuts = plan.cuts();
    let turns = reference.spoke.iter().copied();
    cuts.extend(turns.filter(|at| (1..plan.stream.len()).contains(at)));
    cuts.sort_unstable();
    cuts.dedup();
    let told = hold(probe, plan, &cuts, limit + 16 * 1024 + 128);
    if !pieces_matter {
        let short = |told: &Told| (told.outcome.code, told.outcome.phase, told.outcome.verdict);
        assert_eq!(short(&told), short(&reference), "{told:?}, {reference:?}");
        assert_eq!(told.said, reference.said);
        assert_eq!(told.outcome.weight, reference.outcome.weight);
        assert_eq!(told.outcome.admin, reference.outcome.admin);
    }
    reference
}
