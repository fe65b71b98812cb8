//! mh, Maglev hashing: the client's address decides, and little changes when a destination leaves.

mod hash;
mod modulus;
mod table;

use crate::context::{Context, Timestamp};
use crate::explanation::{Choose, Hashed, Step, Tracer, Verdict, traced};
use crate::flags::SchedulerFlags;
use crate::flow::Flow;
use crate::hash::slots::{Found, Slots};
use crate::hash::{client_port, fold};
use crate::scheduler::{Addressed, Scheduler};
use crate::semantics::MhWord;
use hash::slot_hash;
use table::Builder;

/// Maglev hashing, as the kernel's `ip_vs_mh` (since 4.18).
///
/// The client's address is hashed to one of N slots, N a prime (4,093 unless the kernel was built
/// otherwise), and the slot's owner gets the connection. Two directors with the same list in the same
/// order send a client to the same destination without exchanging any state, and when a destination
/// comes or goes few of the other clients move: use it in front of servers that keep something per
/// client, and for directors that share the work.
///
/// # Table
///
/// Each destination has its own way through all slots, which follows from the hash of its address and
/// port. In rounds over the list, the destination added last first, each goes on along its way and
/// takes the next free slots: its *turns*. Turns are the weights divided by their greatest common
/// divisor and then halved until they fit into 6 bits (half the table index), but at least 1.
///
/// Every change builds the table anew, which costs about N · ln N steps: a list of thousands is
/// cheaper to [bind](Scheduler::bind) as a whole than to add one by one. More destinations than slots
/// leave the old table in force. (There the kernel would go on sending clients to a removed
/// destination; here its slots are nobody's.)
///
/// What counts is the last weight above 0. A destination that is quiesced (weight 0) or overloaded
/// therefore keeps its slots, and **their clients get nobody** unless the fallback is on.
///
/// # Shares
///
/// With R the sum of all turns, q = ⌊N / R⌋ rounds are complete, so that a destination with t turns
/// owns q·t to (q + 1)·t slots: off its exact share by less than t slots. Scaling down makes turns
/// differ from the weights: by less than one turn, and those of weights below a 63rd of the highest
/// are brought up to 1 where they would be less.
///
/// # Clients that move
///
/// When a destination leaves, its slots go to the others, and some others change hands too: a
/// destination that finds a slot free which was taken before does without one further on, which then
/// goes to another. With 4,093 slots and equal weights these were, of all slots, 3 % on average at
/// most (for 100 destinations; 0.2 % for 3) and never more than 1/n + 4 % in 140,000 random sets of
/// n destinations; with weights of 1 to 10, 5 % on average at most. With 131,071 slots and equal
/// weights it is 0.6 % on average at most. The rare bad cases are two destinations whose ways run
/// side by side, and a leaver whose weight alone kept the common divisor small or made all weights be
/// scaled down, for then the turns of all change.
///
/// # Flags
///
/// * [`port`](SchedulerFlags::with_port) (`mh-port`): the client's port is added to the hashed
///   address, so that the connections of one client are spread.
/// * [`fallback`](SchedulerFlags::with_fallback) (`mh-fallback`): a client whose slot belongs to a
///   quiesced or overloaded destination gets another one, found by up to N further hashes. These hit
///   any slots, some several times, so that the search is not bound to find a usable owner: if a
///   share u of the slots has one, it fails for about (1 − u)^N of the clients. For a destination
///   with one slot of 4,093 as the only usable one that is more than a third.
///
/// # Families
///
/// Destinations are hashed with the family of the *service*. A scheduler learns it from the first
/// flow; before that it counts as IPv6, which makes a difference only for destinations with IPv6
/// addresses.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, SchedulerFlags, Semantics};
/// use lvs_schedulers::VirtualService;
///
/// let mut service = VirtualService::new(Algorithm::Mh, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.0.0.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.0.0.2:80".parse()?))?;
/// let c = service.add(Destination::new("10.0.0.3:80".parse()?))?;
///
/// let flow = Flow::tcp("192.168.0.1:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// assert_eq!(service.schedule(&flow, &mut context), Some(b));
/// service.remove("10.0.0.3:80".parse()?)?;
/// assert_eq!(service.schedule(&flow, &mut context), Some(b), "not c's client");
///
/// service.edit(Destination::new("10.0.0.2:80".parse()?).with_weight(0))?;
/// assert_eq!(service.schedule(&flow, &mut context), None, "b keeps its slots");
/// service.set_flags(SchedulerFlags::NONE.with_fallback());
/// assert_eq!(service.schedule(&flow, &mut context), Some(a));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mh {
    slots: Slots,
    builder: Builder,
    word: MhWord,
    flags: SchedulerFlags,
    /// The family of the service; before the first flow it is not known.
    ipv6: Option<bool>,
}

impl Mh {
    /// The kernel's name for it.
    pub const NAME: &'static str = "mh";

    /// A scheduler for an empty list, with the hash of the kernel's word size and a table of the
    /// size that `table_index` selects (see [`Semantics`](crate::Semantics::mh_table_index)).
    pub fn new(word: MhWord, table_index: u8) -> Self {
        Self {
            slots: Slots::new(),
            builder: Builder::new(word, table_index),
            word,
            flags: SchedulerFlags::NONE,
            ipv6: None,
        }
    }

    /// The owners of all slots: indices of the list as it was at the last change of it.
    /// No slots if no destination ever had a weight.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.slots.owners()
    }

    fn fill<D: Addressed>(&mut self, list: &[D]) {
        let ipv6 = self.ipv6.unwrap_or(true);
        self.builder.fill(list, ipv6, &mut self.slots);
    }

    /// The family of the service is known now. It matters for destinations that have IPv6 addresses.
    #[cold]
    fn learn_family<D: Addressed>(&mut self, ipv6: bool, list: &[D]) {
        self.ipv6 = Some(ipv6);
        // Before it counted as IPv6.
        if !ipv6 && list.iter().any(|d| d.address().is_ipv6()) {
            self.fill(list);
        }
    }

    /// Looks for a usable owner, with a new hash for each try.
    #[cold]
    fn fall_back<D: Addressed>(
        &self,
        list: &[D],
        input: u32,
        slot: u32,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let modulus = self.builder.modulus();
        for number in 0..modulus.divisor() {
            // Only so that a hopeless search ends early: it would find nobody anyway.
            if number as usize == list.len() && !list.iter().any(|d| Verdict::of(d).is_none()) {
                trace.step(|| Step::NobodyLeft { probes: number });
                return None;
            }
            let offset = modulus.add(slot, number);
            let value = slot_hash(self.word, input.wrapping_add(offset));
            let probed = modulus.remainder(value);
            if let Found::Usable(index) =
                self.slots
                    .probe(list, probed, Some(number), Verdict::of, trace)
            {
                return Some(index);
            }
        }
        None
    }
}

impl<D: Addressed> Scheduler<D> for Mh {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn bind(&mut self, list: &[D], _: Timestamp) {
        self.slots.clear();
        self.fill(list);
    }

    fn added(&mut self, list: &[D], _: usize) {
        self.fill(list);
    }

    fn added_all(&mut self, list: &[D], from: usize) {
        // With more destinations than slots, the table of the last list that fitted stays.
        let slots = self.builder.modulus().divisor() as usize;
        if from < slots.min(list.len()) {
            self.fill(list.get(..slots).unwrap_or(list));
        }
    }

    fn removed(&mut self, list: &[D], index: usize) {
        if list.len() > self.builder.modulus().divisor() as usize {
            // The old table stays and has to follow the indices of the list.
            self.slots.forget(index);
        }
        self.fill(list);
    }

    fn edited(&mut self, list: &[D], _: usize) {
        self.fill(list);
    }

    fn set_flags(&mut self, flags: SchedulerFlags) {
        self.flags = flags;
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Addressed> Choose<D> for Mh {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        flow: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let address = flow.client().ip();
        if self.ipv6.is_none() {
            self.learn_family(address.is_ipv6(), list);
        }
        let port = client_port(flow, self.flags);
        let input = fold(address).wrapping_add(port.into());
        let value = slot_hash(self.word, input);
        let slot = self.builder.modulus().remainder(value);
        trace.step(|| {
            Hashed {
                port,
                value,
                ..Hashed::new(address, input, slot, &self.slots)
            }
            .into()
        });
        match self.slots.probe(list, slot, None, Verdict::of, trace) {
            Found::Usable(index) => Some(index),
            // A whole table without owners is that of a list without weights.
            Found::Unusable | Found::Nobody if self.flags.fallback() && self.slots.len() > 0 => {
                self.fall_back(list, input, slot, trace)
            }
            Found::Unusable | Found::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests;
