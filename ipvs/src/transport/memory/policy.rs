//! Attribute policies: what the kernel checks before it looks at meaning.
//!
//! This is the kernel's "liberal" parser: unknown numbers are skipped, the last of equal numbers
//! counts, trailing bytes are noted and ignored, and integers may be longer than they need to be
//! (`ip_vs_ctl.c`).

use nix::libc::{EINVAL, ERANGE};

use super::Errno;
use super::netlink::ExtendedAck;

/// The text of the kernel's extended acknowledgement for a failed policy.
pub(super) const FAILED: &str = "Attribute failed policy validation";
const LEFTOVER: &str = "bytes leftover after parsing attributes";

const NLA_TYPE_MASK: u16 = 0x3fff;

/// What a payload must look like.
#[derive(Debug)]
pub(super) enum Kind {
    /// That many bytes or more.
    AtLeast(usize),
    U8,
    U16,
    U32,
    /// At most that many bytes before a NUL, which must be there.
    Text(usize),
    /// At most that many bytes.
    Binary(usize),
    /// Empty, or at least one attribute header.
    Nest,
}

/// The kinds by attribute number; number 0 is no attribute.
pub(super) type Policy<const N: usize> = [Kind; N];

const UNUSED: Kind = Kind::AtLeast(0);

/// Top level of the `IPVS` family.
pub(super) static TOP: Policy<7> = [
    UNUSED,
    Kind::Nest,
    Kind::Nest,
    Kind::Nest,
    Kind::U32,
    Kind::U32,
    Kind::U32,
];

/// `SERVICE`. The nest `STATS64` is not checked, unlike `STATS`.
pub(super) static SERVICE: Policy<13> = [
    UNUSED,
    Kind::U16,
    Kind::U16,
    Kind::Binary(16),
    Kind::U16,
    Kind::U32,
    Kind::Text(15),
    Kind::Binary(8),
    Kind::U32,
    Kind::U32,
    Kind::Nest,
    Kind::Text(16),
    UNUSED,
];

/// `DEST`.
pub(super) static DESTINATION: Policy<16> = [
    UNUSED,
    Kind::Binary(16),
    Kind::U16,
    Kind::U32,
    Kind::U32,
    Kind::U32,
    Kind::U32,
    Kind::U32,
    Kind::U32,
    Kind::U32,
    Kind::Nest,
    Kind::U16,
    UNUSED,
    Kind::U8,
    Kind::U16,
    Kind::U16,
];

/// `DAEMON`.
pub(super) static DAEMON: Policy<9> = [
    UNUSED,
    Kind::U32,
    Kind::Text(15),
    Kind::U32,
    Kind::U16,
    Kind::U32,
    Kind::AtLeast(16),
    Kind::U16,
    Kind::U8,
];

/// Top level of the `nlctrl` family, as far as `GETFAMILY` reads it.
pub(super) static CONTROL: Policy<3> = [UNUSED, Kind::U16, Kind::Text(15)];

impl Kind {
    fn check(&self, payload: &[u8]) -> Result<(), Errno> {
        let at_least = |length| {
            if payload.len() < length {
                Err(ERANGE)
            } else {
                Ok(())
            }
        };
        match self {
            Self::AtLeast(length) => at_least(*length),
            Self::U8 => at_least(1),
            Self::U16 => at_least(2),
            Self::U32 => at_least(4),
            Self::Text(max) => {
                // The NUL must come in time, and what follows it counts too.
                let window = payload.len().min(max.saturating_add(1));
                if !payload.iter().take(window).any(|byte| *byte == 0) {
                    return Err(EINVAL);
                }
                let length = match payload.split_last() {
                    Some((0, text)) => text.len(),
                    _ => payload.len(),
                };
                if length > *max { Err(ERANGE) } else { Ok(()) }
            }
            Self::Binary(max) if payload.len() > *max => Err(ERANGE),
            Self::Binary(_) => Ok(()),
            Self::Nest if payload.is_empty() => Ok(()),
            Self::Nest => at_least(4),
        }
    }
}

/// Payloads by attribute number, each with its offset within the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a, const N: usize>([Option<(&'a [u8], usize)>; N]);

impl<'a, const N: usize> Attributes<'a, N> {
    pub(super) fn place(&self, number: u16) -> Option<(&'a [u8], usize)> {
        self.0.get(usize::from(number)).copied().flatten()
    }

    pub(super) fn get(&self, number: u16) -> Option<&'a [u8]> {
        self.place(number).map(|(payload, _)| payload)
    }

    pub(super) fn has(&self, number: u16) -> bool {
        self.get(number).is_some()
    }

    pub(super) fn u8(&self, number: u16) -> Option<u8> {
        self.array(number).map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&self, number: u16) -> Option<u16> {
        self.array(number).map(u16::from_ne_bytes)
    }

    pub(super) fn be16(&self, number: u16) -> Option<u16> {
        self.array(number).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, number: u16) -> Option<u32> {
        self.array(number).map(u32::from_ne_bytes)
    }

    /// The first bytes of a payload that is long enough by its policy.
    pub(super) fn array<const L: usize>(&self, number: u16) -> Option<[u8; L]> {
        self.get(number)?.first_chunk().copied()
    }

    /// The payload, cut or filled up with zeros.
    pub(super) fn filled<const L: usize>(&self, number: u16) -> Option<[u8; L]> {
        let payload = self.get(number)?;
        let mut bytes = [0; L];
        for (slot, byte) in bytes.iter_mut().zip(payload) {
            *slot = *byte;
        }
        Some(bytes)
    }

    /// Text up to its NUL.
    pub(super) fn text(&self, number: u16) -> Option<&'a [u8]> {
        self.get(number)?.split(|byte| *byte == 0).next()
    }
}

/// Parses attributes as the kernel does.
///
/// `known` is the highest number this kernel knows; `offset` is where `bytes` start within the
/// request. `ack` hears about failures and leftovers where the kernel passes one on.
pub(super) fn parse<'a, const N: usize>(
    mut bytes: &'a [u8],
    policy: &'static Policy<N>,
    known: impl Fn(u16) -> bool,
    mut offset: usize,
    ack: &mut ExtendedAck,
) -> Result<Attributes<'a, N>, Errno> {
    let mut found = [None; N];
    while let Some((payload, number, rest)) = next(bytes) {
        let length = bytes.len().saturating_sub(rest.len());
        let slot = found.get_mut(usize::from(number));
        let kind = policy.get(usize::from(number));
        if let (Some(slot), Some(kind), true) = (slot, kind, number != 0 && known(number)) {
            if let Err(errno) = kind.check(payload) {
                *ack = ExtendedAck {
                    message: Some(FAILED),
                    offset: Some(offset),
                    kind: Some(kind),
                };
                return Err(errno);
            }
            *slot = Some((payload, offset.saturating_add(4)));
        }
        bytes = rest;
        offset = offset.saturating_add(length);
    }
    if !bytes.is_empty() {
        ack.message = Some(LEFTOVER);
    }
    Ok(Attributes(found))
}

/// The next attribute: payload, number, what follows.
fn next(bytes: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let [l0, l1, t0, t1] = *bytes.first_chunk::<4>()?;
    let length = usize::from(u16::from_ne_bytes([l0, l1]));
    let payload = bytes.get(4..length)?;
    let number = u16::from_ne_bytes([t0, t1]) & NLA_TYPE_MASK;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((payload, number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(number: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), number.to_ne_bytes()].concat();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Which payload lengths pass, of zeros: the table seen on 6.1.176.
    fn passes(kind: &Kind) -> Vec<usize> {
        (0..19)
            .filter(|length| kind.check(&vec![0; *length]).is_ok())
            .collect()
    }

    #[test]
    fn lengths_are_the_kernels() {
        let from = |first: usize| (first..19).collect::<Vec<_>>();
        assert_eq!(passes(&Kind::U8), from(1));
        assert_eq!(passes(&Kind::U16), from(2));
        assert_eq!(passes(&Kind::U32), from(4));
        assert_eq!(passes(&Kind::AtLeast(16)), from(16));
        assert_eq!(passes(&Kind::Binary(16)), (0..=16).collect::<Vec<_>>());
        assert_eq!(passes(&Kind::Binary(8)), (0..=8).collect::<Vec<_>>());
        assert_eq!(passes(&Kind::Text(15)), (1..=16).collect::<Vec<_>>());
        assert_eq!(passes(&Kind::Text(16)), (1..=17).collect::<Vec<_>>());
        let nest: Vec<_> = [0].into_iter().chain(4..19).collect();
        assert_eq!(passes(&Kind::Nest), nest);
    }

    #[test]
    fn text_needs_its_nul_in_time_and_nothing_much_behind_it() {
        let text = Kind::Text(15);
        assert_eq!(text.check(b"wlc"), Err(EINVAL));
        assert_eq!(text.check(b"wlc\0"), Ok(()));
        assert_eq!(text.check(b"wlc\0junk"), Ok(()));
        assert_eq!(text.check(b"aaaaaaaaaaaaaaaa\0"), Err(EINVAL));
        // 2 + 13 = 15 bytes pass, one more does not, unless it is a NUL.
        assert_eq!(text.check(b"w\0wwwwwwwwwwwww"), Ok(()));
        assert_eq!(text.check(b"w\0wwwwwwwwwwwwww"), Err(ERANGE));
        assert_eq!(text.check(b"w\0wwwwwwwwwwwww\0"), Ok(()));
    }

    #[test]
    fn unknown_numbers_are_skipped_and_the_last_of_equal_ones_counts() {
        let bytes = [
            attribute(99, b"x"),
            attribute(0, b"x"),
            attribute(4 | 0xc000, &1_u32.to_ne_bytes()),
            attribute(4, &2_u32.to_ne_bytes()),
            attribute(5, &3_u32.to_ne_bytes()),
        ]
        .concat();
        let mut ack = ExtendedAck::default();
        let found = parse(&bytes, &TOP, |number| number != 5, 20, &mut ack).unwrap();
        assert_eq!(found.u32(4), Some(2));
        assert!(!found.has(5), "a number this kernel does not know");
        assert!(ack.message.is_none());
    }

    #[test]
    fn failures_name_offset_and_kind() {
        let bytes = [attribute(6, &[0; 4]), attribute(5, b"a")].concat();
        let mut ack = ExtendedAck::default();
        let error = parse(&bytes, &TOP, |_| true, 20, &mut ack).unwrap_err();
        assert_eq!(error, ERANGE);
        assert_eq!(ack.offset, Some(28));
        assert!(matches!(ack.kind, Some(Kind::U32)));
    }

    #[test]
    fn leftovers_are_noted_and_ignored() {
        for tail in [&b"abc"[..], &[2, 0, 4, 0][..], &[200, 0, 4, 0, 1][..]] {
            let bytes = [&attribute(4, &7_u32.to_ne_bytes()), tail].concat();
            let mut ack = ExtendedAck::default();
            let found = parse(&bytes, &TOP, |_| true, 20, &mut ack).unwrap();
            assert_eq!(found.u32(4), Some(7));
            assert_eq!(ack.message, Some(LEFTOVER));
            assert_eq!(ack.offset, None);
        }
    }
}
