//! sh, source hashing: the client's address decides.

use crate::context::{Context, Timestamp};
use crate::explanation::{Choose, Hashed, Step, Tracer, Verdict, traced};
use crate::flags::SchedulerFlags;
use crate::flow::Flow;
use crate::hash::slots::{Found, Slots};
use crate::hash::{client_port, fold};
use crate::scheduler::{Candidate, Scheduler};
use crate::semantics::AddressHash;

/// Source hashing, as the kernel's `ip_vs_sh` since about 3.11.
///
/// The client's address is hashed to one of 2^b slots (b = 8 unless the kernel was built otherwise),
/// and the slot's owner gets the connection: each client keeps its destination as long as the list
/// does not change, without any state per client.
///
/// # Shares
///
/// The slots go round the list from its head, the destination added last. In each round a
/// destination takes as many consecutive slots as its weight says; one with weight 0 takes one, and
/// **the clients of that slot get nobody**. With W the sum of the weights (0 counting as 1) and
/// q = ⌊2^b / W⌋, a destination of weight w therefore owns q·w to (q + 1)·w slots: off its exact
/// share by less than w slots. If W is above 2^b, one round is more than the table, and the
/// destinations added first get less than their weight or nothing.
///
/// Every change of the list or of a weight fills all slots anew and moves most clients to another
/// destination; where that hurts, use [`Mh`](crate::Mh).
///
/// # Flags
///
/// * [`port`](SchedulerFlags::with_port) (`sh-port`): the client's port is added to the hashed
///   address, so that the connections of one client are spread.
/// * [`fallback`](SchedulerFlags::with_fallback) (`sh-fallback`): a client whose slot belongs to a
///   quiesced or overloaded destination gets another one. The kernel looks through all slots, from
///   the slot of twice the hash on. So somebody is found whenever any destination that owns a slot is
///   usable; nobody only if all of these are not, even if one without a slot is.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, SchedulerFlags, Semantics};
/// use lvs_schedulers::VirtualService;
///
/// let mut service = VirtualService::new(Algorithm::Sh, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(1))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(3))?;
/// let c = service.add(Destination::new("10.2.1.3:80".parse()?).with_weight(2))?;
///
/// let flow = Flow::tcp("192.168.0.2:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// assert_eq!(service.schedule(&flow, &mut context), Some(b));
///
/// service.edit(Destination::new("10.2.1.2:80".parse()?).with_weight(0))?;
/// assert_eq!(service.schedule(&flow, &mut context), None, "b keeps a slot in each round");
/// service.set_flags(SchedulerFlags::NONE.with_fallback());
/// assert_eq!(service.schedule(&flow, &mut context), Some(c));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sh {
    slots: Slots,
    bits: u32,
    hash: AddressHash,
    flags: SchedulerFlags,
}

impl Sh {
    /// The kernel's name for it.
    pub const NAME: &'static str = "sh";

    /// A scheduler for an empty list, with the hash of the kernel's generation and a table of
    /// 2^`table_bits` slots; 4 to 20, values outside count as the nearest.
    pub fn new(hash: AddressHash, table_bits: u8) -> Self {
        Self {
            slots: Slots::new(),
            bits: table_bits.clamp(4, 20).into(),
            hash,
            flags: SchedulerFlags::NONE,
        }
    }

    /// The owners of all slots: indices of the list as it was at the last change of it.
    /// No slots if the list was empty.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.slots.owners()
    }

    fn fill<D: Candidate>(&mut self, list: &[D]) {
        if list.is_empty() {
            self.slots.clear();
            return;
        }
        let len = 1 << self.bits;
        self.slots.reset(len, list.len());
        let mut start = 0;
        for (index, destination) in list.iter().enumerate().rev().cycle() {
            let weight = usize::try_from(destination.weight()).unwrap_or(len);
            let run = weight.clamp(1, len - start);
            self.slots.set_run(start, run, index);
            start += run;
            if start == len {
                break;
            }
        }
    }

    /// Looks for a usable owner from slot (2 · `slot`) on: the kernel adds the hash as an offset to
    /// itself.
    #[cold]
    fn fall_back<D: Candidate>(
        &self,
        list: &[D],
        slot: u32,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let mask = (1 << self.bits) - 1;
        for number in 0..=mask {
            // Only so that a hopeless search ends early: it would find nobody anyway.
            if number as usize == list.len() && !list.iter().any(|d| Verdict::of(d).is_none()) {
                trace.step(|| Step::NobodyLeft { probes: number });
                return None;
            }
            let probed = (2 * slot + number) & mask;
            match self
                .slots
                .probe(list, probed, Some(number), Verdict::of, trace)
            {
                Found::Usable(index) => return Some(index),
                Found::Unusable => {}
                Found::Nobody => return None,
            }
        }
        None
    }
}

impl<D: Candidate> Scheduler<D> for Sh {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn bind(&mut self, list: &[D], _: Timestamp) {
        self.fill(list);
    }

    fn added(&mut self, list: &[D], _: usize) {
        self.fill(list);
    }

    fn added_all(&mut self, list: &[D], from: usize) {
        if from < list.len() {
            self.fill(list);
        }
    }

    fn removed(&mut self, list: &[D], _: usize) {
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

impl<D: Candidate> Choose<D> for Sh {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        flow: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let address = flow.client().ip();
        let port = client_port(flow, self.flags);
        let input = fold(address).wrapping_add(port.into());
        let slot = self.hash.slot(input, self.bits);
        trace.step(|| {
            Hashed {
                port,
                ..Hashed::new(address, input, slot, &self.slots)
            }
            .into()
        });
        match self.slots.probe(list, slot, None, Verdict::of, trace) {
            Found::Usable(index) => Some(index),
            Found::Unusable if self.flags.fallback() => self.fall_back(list, slot, trace),
            Found::Unusable | Found::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests;
