//! Filling the table of mh: each destination goes its own way through the slots and takes the free
//! ones it meets.

use alloc::vec::Vec;

use super::hash::{skip_hash, slot_hash};
use super::modulus::Modulus;
use crate::gcd::gcd;
use crate::hash::fold_destination;
use crate::hash::slots::Slots;
use crate::scheduler::Addressed;
use crate::semantics::MhWord;

/// Fills tables; keeps its working memory from one to the next.
#[derive(Clone, Debug)]
pub(super) struct Builder {
    word: MhWord,
    slots: Modulus,
    /// One less than the number of slots.
    skips: Modulus,
    /// Weights are brought down to this many bits.
    weight_bits: u32,
    /// Who takes slots, in the order of a round.
    seats: Vec<Seat>,
    tours: Vec<Tour>,
    /// Hash input in the high half, index of the seat in the low one; to find equal inputs.
    order: Vec<u64>,
    /// One bit per slot.
    taken: Vec<u64>,
}

/// A destination that takes slots.
#[derive(Clone, Copy, Debug)]
struct Seat {
    index: u32,
    /// How many slots it takes in a round.
    turns: u32,
    /// Which of the tours it is on.
    tour: u32,
}

/// The way through the slots that a hash input leads.
///
/// Destinations of equal inputs (10.0.0.1:81 and 10.0.0.2:80) go the same way, and what one has
/// passed is taken for the others too. They share a tour, so that n of them do not walk over the
/// table n times.
#[derive(Clone, Copy, Debug)]
struct Tour {
    position: u32,
    skip: u32,
}

impl Builder {
    /// For tables of the size that `table_index` selects.
    pub(super) fn new(word: MhWord, table_index: u8) -> Self {
        let slots = Modulus::prime(table_index);
        Self {
            word,
            slots,
            skips: Modulus::new(slots.divisor() - 1),
            weight_bits: u32::from(table_index.clamp(8, 17)) / 2,
            seats: Vec::new(),
            tours: Vec::new(),
            order: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The number of slots.
    pub(super) const fn modulus(&self) -> Modulus {
        self.slots
    }

    /// Fills the table, unless there are more destinations than slots: then it stays as it is.
    /// Without any weight it has no slots.
    pub(super) fn fill<D: Addressed>(&mut self, list: &[D], ipv6: bool, table: &mut Slots) {
        let len = self.slots.divisor() as usize;
        if list.len() > len {
            return;
        }
        self.seat(list, ipv6);
        if self.seats.is_empty() {
            table.clear();
            return;
        }
        table.reset(len, list.len());
        self.taken.clear();
        self.taken.resize(len.div_ceil(64), 0);
        self.walk(table);
    }

    /// Finds out who takes how many slots in a round, and where each begins.
    fn seat<D: Addressed>(&mut self, list: &[D], ipv6: bool) {
        let weights = || list.iter().map(D::last_weight);
        let divisor = weights().fold(0, gcd).max(1);
        let highest = weights().max().unwrap_or(0) / divisor;
        let shift = (u32::BITS - highest.leading_zeros()).saturating_sub(self.weight_bits);

        self.seats.clear();
        self.order.clear();
        for (index, destination) in (0..list.len() as u32).zip(list).rev() {
            let weight = destination.last_weight();
            if weight > 0 {
                let address = destination.address();
                let folded = fold_destination(address.ip(), ipv6);
                let input = folded.wrapping_add(address.port().into());
                self.order
                    .push(u64::from(input) << 32 | self.seats.len() as u64);
                self.seats.push(Seat {
                    index,
                    turns: ((weight / divisor) >> shift).max(1),
                    tour: 0,
                });
            }
        }

        self.order.sort_unstable();
        self.tours.clear();
        let mut former = None;
        for &entry in &self.order {
            let (input, seat) = ((entry >> 32) as u32, entry as u32 as usize);
            if former != Some(input) {
                former = Some(input);
                self.tours.push(Tour {
                    position: self.slots.remainder(slot_hash(self.word, input)),
                    skip: self.skips.remainder(skip_hash(self.word, input)) + 1,
                });
            }
            if let Some(seat) = self.seats.get_mut(seat) {
                seat.tour = self.tours.len() as u32 - 1;
            }
        }
    }

    /// Lets everybody take its turns, round after round, until no slot is free.
    fn walk(&mut self, table: &mut Slots) {
        let mut free = self.slots.divisor();
        loop {
            for seat in &self.seats {
                let Some(tour) = self.tours.get_mut(seat.tour as usize) else {
                    return;
                };
                for _ in 0..seat.turns {
                    // Ends, for a slot is free and every tour visits all: the number of slots is
                    // prime, so that no skip divides it.
                    let mut position = tour.position;
                    while let Some(word) = self.taken.get_mut(position as usize / 64) {
                        let bit = 1 << (position % 64);
                        if *word & bit == 0 {
                            *word |= bit;
                            break;
                        }
                        position = self.slots.add(position, tour.skip);
                    }
                    tour.position = position;
                    table.set(position as usize, seat.index as usize);
                    free -= 1;
                    if free == 0 {
                        return;
                    }
                }
            }
        }
    }
}
