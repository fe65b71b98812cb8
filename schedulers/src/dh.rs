//! dh, destination hashing: the address the client sent to decides.

use crate::context::{Context, Timestamp};
use crate::explanation::{Choose, Hashed, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::hash::fold;
use crate::hash::slots::{Found, Slots};
use crate::scheduler::{Candidate, Scheduler};
use crate::semantics::AddressHash;

/// Destination hashing, as the kernel's `ip_vs_dh`.
///
/// The address the client sent to (not its port) is hashed to one of 256 slots, and the slot's owner
/// gets the connection. It is meant for services by firewall mark in front of caches, where one
/// service has many destination addresses; a service with a single address has a single slot and
/// therefore a single destination.
///
/// The slots go round the list from its head, the destination added last: slot i belongs to element
/// i mod n. **Weights have no influence on the share**: of n destinations each owns ⌊256/n⌋ or
/// ⌈256/n⌉ slots, those beyond the first 256 of the list none. An owner that is quiesced (weight 0)
/// or overloaded keeps its slots, and clients of these get nobody: there is no fallback, and there
/// are no flags.
///
/// An addition or removal fills all slots anew and moves most addresses to another destination; an
/// edit moves none. For little movement use [`Mh`](crate::Mh) or [`Lblc`](crate::Lblc).
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Dh, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:3128".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:3128".parse()?).with_weight(9))?;
/// let c = service.add(Destination::new("10.2.1.3:3128".parse()?))?;
///
/// let mut context = Context::new(Default::default());
/// let client = "192.0.2.7:40000".parse()?;
/// let mut pick = |site: &str| Ok::<_, std::net::AddrParseError>(
///     service.schedule(&Flow::tcp(client, site.parse()?), &mut context)
/// );
/// assert_eq!(pick("203.0.113.1:80")?, Some(a));
/// assert_eq!(pick("203.0.113.1:443")?, Some(a));
/// assert_eq!(pick("203.0.113.2:80")?, Some(c));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dh {
    slots: Slots,
    hash: AddressHash,
}

/// `IP_VS_DH_TAB_BITS`, which no kernel configuration offers to change.
const TABLE_BITS: u32 = 8;

impl Dh {
    /// The kernel's name for it.
    pub const NAME: &'static str = "dh";

    /// A scheduler for an empty list, with the hash of the kernel's generation;
    /// [`bind`](Scheduler::bind) it to another list.
    pub const fn new(hash: AddressHash) -> Self {
        Self {
            slots: Slots::new(),
            hash,
        }
    }

    /// The owners of all slots: indices of the list as it was at the last addition or removal.
    /// No slots if the list was empty.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.slots.owners()
    }

    fn fill<D>(&mut self, list: &[D]) {
        if list.is_empty() {
            self.slots.clear();
            return;
        }
        let len = 1 << TABLE_BITS;
        self.slots.reset(len, list.len());
        for (slot, index) in (0..list.len()).rev().cycle().take(len).enumerate() {
            self.slots.set(slot, index);
        }
    }
}

impl<D: Candidate> Scheduler<D> for Dh {
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

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Dh {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        flow: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let address = flow.virtual_address().ip();
        let input = fold(address);
        let slot = self.hash.slot(input, TABLE_BITS);
        trace.step(|| Hashed::new(address, input, slot, &self.slots).into());
        let excluded = |d: &D| {
            let removed = (!d.is_available()).then_some(Verdict::Unavailable);
            removed.or_else(|| Verdict::of(d))
        };
        match self.slots.probe(list, slot, None, excluded, trace) {
            Found::Usable(index) => Some(index),
            Found::Unusable | Found::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::hash::slots::tests::Server;

    fn bound(list: &[Server]) -> Dh {
        let mut dh = Dh::new(AddressHash::HighBits);
        dh.bind(list, Timestamp::ZERO);
        dh
    }

    fn pick(dh: &mut Dh, list: &[Server], address: &str) -> Option<usize> {
        let to = core::net::SocketAddr::new(address.parse().unwrap(), 80);
        let flow = Flow::tcp(([192, 0, 2, 7], 40000).into(), to);
        dh.pick(list, &flow, &mut Context::new(Timestamp::ZERO))
    }

    /// Spec §10: the example.
    #[test]
    fn section_10_example() {
        let list = [1, 1, 1].map(Server::new);
        let mut dh = bound(&list);
        for (address, slot, name) in [
            ("203.0.113.1", 50, 'A'),
            ("203.0.113.2", 147, 'C'),
            ("203.0.113.3", 245, 'A'),
            ("198.51.100.7", 171, 'C'),
            ("2001:db8::1", 63, 'C'),
        ] {
            let hashed = AddressHash::HighBits.slot(fold(address.parse().unwrap()), 8);
            assert_eq!(hashed, slot, "{address}");
            let index = pick(&mut dh, &list, address);
            assert_eq!(
                index.map(|index| ['A', 'B', 'C'][index]),
                Some(name),
                "{address}"
            );
        }
    }

    /// Spec §10: slot i = element (i mod n), head first, whatever the weights.
    #[test]
    fn slots_go_round_the_list_from_its_head_whatever_the_weights() {
        let dh = bound(&[5, 0, 1].map(Server::new));
        let owners: Vec<_> = dh.owners().flatten().collect();
        assert_eq!(owners.len(), 256);
        for (slot, owner) in owners.into_iter().enumerate() {
            assert_eq!(owner, 2 - slot % 3);
        }
    }

    #[test]
    fn only_the_first_256_of_a_long_list_own_slots() {
        for count in [256, 300, 70_000] {
            let dh = bound(&std::vec![Server::new(1); count]);
            let owners: Vec<_> = dh.owners().flatten().collect();
            let expected: Vec<_> = (0..count).rev().take(256).collect();
            assert_eq!(owners, expected);
        }
    }

    /// Spec §10: used iff available, weight above 0, not overloaded; no fallback.
    #[test]
    fn an_unusable_owner_is_not_replaced() {
        let mut list = [1, 1, 1].map(Server::new);
        let mut dh = bound(&list);
        let address = "203.0.113.1";
        for spoil in [
            |server: &mut Server| server.weight = 0,
            |server: &mut Server| server.overloaded = true,
            |server: &mut Server| server.available = false,
        ] {
            assert_eq!(pick(&mut dh, &list, address), Some(0));
            let usable = list[0];
            spoil(&mut list[0]);
            assert_eq!(pick(&mut dh, &list, address), None);
            list[0] = usable;
        }
    }

    /// Spec §1.7: additions and removals fill the table anew, edits do not.
    #[test]
    fn an_edit_fills_nothing() {
        let list = [1, 1, 1].map(Server::new);
        let mut dh = bound(&list);
        let before: Vec<_> = dh.owners().collect();
        Scheduler::edited(&mut dh, &list[..2], 0);
        assert!(dh.owners().eq(before));
        dh.removed(&list[..2], 2);
        assert!(dh.owners().eq(bound(&list[..2]).owners()));
        dh.added(&list, 2);
        assert!(dh.owners().eq(bound(&list).owners()));
        dh.removed(&list[..0], 0);
        assert_eq!(dh.owners().len(), 0);
        assert_eq!(pick(&mut dh, &list[..0], "203.0.113.1"), None);
    }

    #[test]
    fn forgotten_hooks_do_not_panic() {
        let list = [1, 1, 1].map(Server::new);
        let mut dh = bound(&list);
        assert_eq!(pick(&mut dh, &list[..1], "203.0.113.2"), None);
        assert_eq!(pick(&mut dh, &[], "203.0.113.1"), None);
    }
}
