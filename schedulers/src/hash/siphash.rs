//! The keyed hashes of mh, for messages of exactly four bytes: SipHash-1-3, of which 64-bit kernels
//! take the low half, and HalfSipHash-1-3, which 32-bit kernels use.
//!
//! The kernel's `hsiphash` is one or the other, by its word size. mh hashes one 32-bit number with
//! two keys that are constants, not secrets; both words of a key are equal.
//!
//! ```
//! use lvs_schedulers::hash::siphash::{halfsiphash_1_3, siphash_1_3};
//!
//! assert_eq!(siphash_1_3([2_654_435_761; 2], 1) as u32, 384_591_538);
//! assert_eq!(halfsiphash_1_3([2_654_435_761; 2], 1), 1_829_384_593);
//! ```
//!
//! Algorithm: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with one compression
//! and three finalization rounds; the half-width variant is by the same authors.

/// SipHash-1-3 of the four little-endian bytes of `message`.
#[inline]
pub const fn siphash_1_3(key: [u64; 2], message: u32) -> u64 {
    let [k0, k1] = key;
    let state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    // The only word: the bytes, padding, and the length in the highest byte.
    let word = (4 << 56) | message as u64;
    let [v0, v1, v2, v3] = round([state[0], state[1], state[2], state[3] ^ word]);
    let [v0, v1, v2, v3] = round(round(round([v0 ^ word, v1, v2 ^ 0xff, v3])));
    v0 ^ v1 ^ v2 ^ v3
}

const fn round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v2 = v2.wrapping_add(v3);
    v1 = v1.rotate_left(13) ^ v0;
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v1);
    v0 = v0.wrapping_add(v3);
    v1 = v1.rotate_left(17) ^ v2;
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

/// HalfSipHash-1-3 of the four little-endian bytes of `message`.
#[inline]
pub const fn halfsiphash_1_3(key: [u32; 2], message: u32) -> u32 {
    let [k0, k1] = key;
    let state = [k0, k1, k0 ^ 0x6c79_6765, k1 ^ 0x7465_6462];
    let [v0, v1, v2, v3] = half_round([state[0], state[1], state[2], state[3] ^ message]);
    // The second word has no bytes left, only the length in the highest byte.
    let length = 4 << 24;
    let [v0, v1, v2, v3] = half_round([v0 ^ message, v1, v2, v3 ^ length]);
    let [_, v1, _, v3] = half_round(half_round(half_round([v0 ^ length, v1, v2 ^ 0xff, v3])));
    v1 ^ v3
}

const fn half_round([mut v0, mut v1, mut v2, mut v3]: [u32; 4]) -> [u32; 4] {
    v0 = v0.wrapping_add(v1);
    v2 = v2.wrapping_add(v3);
    v1 = v1.rotate_left(5) ^ v0;
    v3 = v3.rotate_left(8) ^ v2;
    v0 = v0.rotate_left(16);
    v2 = v2.wrapping_add(v1);
    v0 = v0.wrapping_add(v3);
    v1 = v1.rotate_left(13) ^ v2;
    v3 = v3.rotate_left(7) ^ v0;
    v2 = v2.rotate_left(16);
    [v0, v1, v2, v3]
}

#[cfg(test)]
mod tests {
    use core::hash::Hasher;
    use std::collections::hash_map::DefaultHasher;

    use super::*;

    /// Spec §12, check values: both keys, inputs 0 and 1, both word sizes.
    #[test]
    fn section_12_check_values() {
        let (key1, key2) = (2_654_435_761, 2_654_446_892);
        for (key, message, word64, word32) in [
            (key1, 0, 492_468_162, 2_460_476_291),
            (key1, 1, 384_591_538, 1_829_384_593),
            (key2, 0, 4_169_286_463, 1_853_887_180),
            (key2, 1, 2_182_130_385, 3_418_152_785),
        ] {
            assert_eq!(siphash_1_3([key.into(); 2], message) as u32, word64);
            assert_eq!(halfsiphash_1_3([key; 2], message), word32);
        }
    }

    /// The standard library's default hasher is SipHash-1-3 with a key of zeros.
    #[test]
    fn agrees_with_the_standard_library() {
        for message in [0, 1, 0xc0a8_0001, 0x0102_0304, u32::MAX] {
            let mut hasher = DefaultHasher::new();
            hasher.write(&message.to_le_bytes());
            assert_eq!(siphash_1_3([0; 2], message), hasher.finish(), "{message:x}");
        }
    }
}
