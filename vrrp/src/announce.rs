//! Announcements: which frames are sent when, and how many at a time.
//!
//! A round goes over all addresses of a router as often as set, after it became Active; a second
//! round follows. [`Rounds`] says so for all routers of a node, or for one of them. A router with
//! unicast peers announces the address from which it advertises when it starts, since a peer that has
//! forgotten where that is could not reach it. Frames of an interface are spaced, so that a take-over
//! of a thousand addresses neither floods the link nor delays advertisements, which always go first.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::codec::{ArpOperation, ArpTarget};
use crate::timer::{NEVER, Timestamp};

/// So many frames may be sent at once by a driver that woke up late.
const BURST: u32 = 8;

/// How gratuitous ARP is sent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ArpStyle {
    /// As requests.
    #[default]
    Request,
    /// As replies: some networks learn from nothing else.
    Reply,
    /// As one of each.
    Both,
}

/// When the addresses of a virtual router are announced, and how often each (spec 3.5).
///
/// It announces after it became Active or installed further addresses; as an Active again after a
/// pause in which another may have taken over; and after an advertisement that loses, if
/// [`reannounce`](crate::profile::Switches::reannounce) is on.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::announce::Rounds;
///
/// let mut rounds = Rounds::default();
/// rounds.repeat = 1;
/// rounds.second_round = None;
/// rounds.refresh = Some(Duration::from_secs(60));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rounds {
    /// How often each address is announced in a round; 5. 0: there is none, but for a refresh.
    pub repeat: u8,
    /// After what time a second such round follows; 5 s. `None`: there is none.
    pub second_round: Option<Duration>,
    /// After what time an Active announces its addresses again and again; `None`, the default: not.
    pub refresh: Option<Duration>,
    /// How often each address is announced then; 1.
    pub refresh_repeat: u8,
    /// How often each address is announced when an advertisement that loses was heard by the router
    /// or another one of its group; 5. 0: not.
    pub losing_repeat: u8,
    /// After what time a second such round follows, counted from the last such advertisement that
    /// was followed by a round; 5 s. The other router may have announced them once more when it gave
    /// way, so it is to be longer than the interval. `None`: there is none.
    pub losing_second_round: Option<Duration>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            repeat: 5,
            second_round: Some(Duration::from_secs(5)),
            refresh: None,
            refresh_repeat: 1,
            losing_repeat: 5,
            losing_second_round: Some(Duration::from_secs(5)),
        }
    }
}

/// How addresses are announced.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnounceSettings {
    /// When, and how often each, for routers that have no
    /// [rounds of their own](crate::node::NodeRouter::with_rounds).
    pub rounds: Rounds,
    /// How gratuitous ARP is sent; as requests.
    pub arp: ArpStyle,
    /// The target hardware address of it; the virtual MAC.
    pub arp_target: ArpTarget,
    /// The space between two frames on an interface that has
    /// [none of its own](crate::node::InterfaceConfig::with_spacing); 0.2 ms.
    pub spacing: Duration,
}

impl Default for AnnounceSettings {
    fn default() -> Self {
        Self {
            rounds: Rounds::default(),
            arp: ArpStyle::Request,
            arp_target: ArpTarget::default(),
            spacing: Duration::from_micros(200),
        }
    }
}

/// What a round announces.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Topic {
    /// The virtual addresses of this router.
    Addresses(usize),
    /// The address from which this router advertises.
    Source(usize),
}

impl Topic {
    pub(crate) const fn key(self) -> usize {
        match self {
            Self::Addresses(key) | Self::Source(key) => key,
        }
    }
}

/// One round of one router: its addresses are looked up when their turn comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) topic: Topic,
    /// The next address.
    pub(crate) next: usize,
    /// The second frame of [`ArpStyle::Both`] is next.
    pub(crate) is_reply_next: bool,
    /// Passes over all addresses that are still to be made, this one included.
    pub(crate) passes: u8,
}

/// The rounds of one interface, spaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcer {
    /// By their turns.
    rounds: BTreeMap<u64, Round>,
    /// The turn of each.
    turns: BTreeMap<Topic, u64>,
    last_turn: u64,
    /// When the next frame may be sent.
    free_at: Timestamp,
}

impl Announcer {
    /// Another round; one that the router still has begins anew instead of being doubled.
    pub(crate) fn add(&mut self, topic: Topic, passes: u8) {
        let passes_left = self.cancel(topic).map_or(0, |round| round.passes);
        let passes = passes_left.max(passes);
        if passes > 0 {
            self.push(Round {
                topic,
                next: 0,
                is_reply_next: false,
                passes,
            });
        }
    }

    fn push(&mut self, round: Round) {
        self.last_turn = self.last_turn.saturating_add(1);
        self.turns.insert(round.topic, self.last_turn);
        self.rounds.insert(self.last_turn, round);
    }

    pub(crate) fn cancel(&mut self, topic: Topic) -> Option<Round> {
        let turn = self.turns.remove(&topic)?;
        self.rounds.remove(&turn)
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        if self.rounds.is_empty() {
            NEVER
        } else {
            self.free_at
        }
    }

    /// How many frames may be sent now; the space after them is taken.
    pub(crate) fn take_slots(&mut self, now: Timestamp, spacing: Duration) -> u32 {
        let mut slots = 0;
        // Slots that passed unused while nothing waited are lost.
        let earliest = now.saturating_sub(spacing.saturating_mul(BURST.saturating_sub(1)));
        let mut at = self.free_at.max(earliest);
        while at <= now && slots < BURST {
            slots = slots.saturating_add(1);
            at = at.saturating_add(spacing);
        }
        if slots > 0 {
            // Without spacing this is a round of frames each time.
            self.free_at = at;
        }
        slots
    }

    /// Sending begins now: what passed while nothing waited gives no right to a burst.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        if self.rounds.is_empty() {
            self.free_at = self.free_at.max(now);
        }
    }

    /// The round whose turn it is. Others get theirs between its passes.
    pub(crate) fn front(&mut self) -> Option<&mut Round> {
        self.rounds.values_mut().next()
    }

    /// A pass of the first round is over; says whether the round is.
    pub(crate) fn end_pass(&mut self) -> bool {
        let Some((_, mut round)) = self.rounds.pop_first() else {
            return false;
        };
        self.turns.remove(&round.topic);
        round.passes = round.passes.saturating_sub(1);
        round.next = 0;
        let is_over = round.passes == 0;
        if !is_over {
            self.push(round);
        }
        is_over
    }

    /// Whether frames of this are still to come.
    pub(crate) fn has(&self, topic: Topic) -> bool {
        self.turns.contains_key(&topic)
    }
}

impl Round {
    /// As what the next frame is sent; the address moves on after the last one for it.
    pub(crate) fn step(&mut self, style: ArpStyle) -> ArpOperation {
        let operation = match style {
            ArpStyle::Request => ArpOperation::Request,
            ArpStyle::Reply => ArpOperation::Reply,
            ArpStyle::Both if self.is_reply_next => ArpOperation::Reply,
            ArpStyle::Both => ArpOperation::Request,
        };
        self.is_reply_next = style == ArpStyle::Both && !self.is_reply_next;
        if !self.is_reply_next {
            self.next = self.next.saturating_add(1);
        }
        operation
    }
}
