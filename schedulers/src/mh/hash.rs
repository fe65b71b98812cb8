//! The hash of mh: a folded address, a port and an offset, under one of two keys.

use crate::hash::siphash::{halfsiphash_1_3, siphash_1_3};
use crate::semantics::MhWord;

/// The key of slots and offsets.
const KEY_1: u32 = 2_654_435_761;
/// The key of skips.
const KEY_2: u32 = 2_654_446_892;

/// The hash that finds the slot of a client, and of a destination the slot it begins with.
#[inline]
pub(super) const fn slot_hash(word: MhWord, input: u32) -> u32 {
    hash(word, KEY_1, input)
}

/// The hash that says by how many slots a destination goes on.
pub(super) const fn skip_hash(word: MhWord, input: u32) -> u32 {
    hash(word, KEY_2, input)
}

#[inline(always)]
const fn hash(word: MhWord, key: u32, input: u32) -> u32 {
    match word {
        MhWord::Bits64 => siphash_1_3([key as u64; 2], input) as u32,
        MhWord::Bits32 => halfsiphash_1_3([key; 2], input),
        // The hash reads the four bytes as a little-endian number wherever it runs.
        MhWord::Bits64BigEndian => siphash_1_3([key as u64; 2], input.swap_bytes()) as u32,
        MhWord::Bits32BigEndian => halfsiphash_1_3([key; 2], input.swap_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec §12, check values: both keys, inputs 0 and 1, both word sizes.
    #[test]
    fn section_12_check_values() {
        for (word, key1, key2) in [
            (
                MhWord::Bits64,
                [492_468_162, 384_591_538],
                [4_169_286_463, 2_182_130_385],
            ),
            (
                MhWord::Bits32,
                [2_460_476_291, 1_829_384_593],
                [1_853_887_180, 3_418_152_785],
            ),
        ] {
            assert_eq!([0, 1].map(|input| slot_hash(word, input)), key1, "{word:?}");
            assert_eq!([0, 1].map(|input| skip_hash(word, input)), key2, "{word:?}");
        }
    }

    /// Spec §12: on big endian the value's bytes are read as little endian.
    #[test]
    fn big_endian_kernels_hash_the_bytes_in_reverse() {
        for (little, big) in [
            (MhWord::Bits64, MhWord::Bits64BigEndian),
            (MhWord::Bits32, MhWord::Bits32BigEndian),
        ] {
            assert_eq!(slot_hash(big, 0x0a00_0051), slot_hash(little, 0x5100_000a));
            assert_eq!(skip_hash(big, 0x0a00_0051), skip_hash(little, 0x5100_000a));
            assert_ne!(slot_hash(big, 1), slot_hash(little, 1));
        }
    }
}
