//! Where kernel generations differ, as single switches.
//!
//! Stable updates carry some changes back, so that a kernel's version number does not tell which
//! behaviour it has: 6.1.192 differs from 6.1.176. Each difference is therefore a switch of its
//! own; the presets say which release they were observed on.

/// Which of the kernel's behaviours to reproduce.
///
/// ```
/// use lvs_schedulers::{Overhead, Semantics, ThresholdEdits};
///
/// let mut semantics = Semantics::LINUX_6_1;
/// semantics.threshold_edits = ThresholdEdits::Recompute; // as the stable update 6.1.192 does
/// semantics.overhead = Overhead::ActiveAndTotal;
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Semantics {
    /// What an edit of a destination's thresholds does to its overload mark.
    pub threshold_edits: ThresholdEdits,
    /// Whether persistence templates that come and go have the thresholds looked at.
    pub template_thresholds: TemplateThresholds,
    /// How a destination's connections add up for lc, wlc, lblc, lblcr and twos.
    pub overhead: Overhead,
    /// Which hash dh, sh, lblc and lblcr apply to addresses.
    pub address_hash: AddressHash,
    /// Which TCP states count as active.
    pub tcp_active: TcpActive,
    /// What lblc and lblcr do when their cache is full.
    pub cache_limit: CacheLimit,
    /// The word size and byte order of the kernel, which decide the hash of mh.
    pub mh_word: MhWord,
    /// Binary logarithm of the number of slots of sh: 4 to 20, values outside count as the nearest
    /// (`CONFIG_IP_VS_SH_TAB_BITS`, default 8).
    pub sh_table_bits: u8,
    /// Which prime number of slots mh has: 8 (251) to 17 (131,071), values outside count as the
    /// nearest (`CONFIG_IP_VS_MH_TAB_INDEX`, default 12: 4,093).
    pub mh_table_index: u8,
}

impl Semantics {
    /// Linux 6.1, as observed on 6.1.176.
    pub const LINUX_6_1: Self = Self {
        threshold_edits: ThresholdEdits::ClearOnRaise,
        template_thresholds: TemplateThresholds::Evaluate,
        overhead: Overhead::ActiveAndInactive,
        address_hash: AddressHash::HighBits,
        tcp_active: TcpActive::FromSyn,
        cache_limit: CacheLimit::Soft,
        mh_word: MhWord::Bits64,
        sh_table_bits: 8,
        mh_table_index: 12,
    };

    /// Linux 6.12, as observed on 6.12.95.
    pub const LINUX_6_12: Self = Self::LINUX_6_1;

    /// Linux 7.2, as observed on 7.2.7, with the cache limit of 7.2.13.
    pub const LINUX_7_2: Self = Self {
        threshold_edits: ThresholdEdits::Recompute,
        template_thresholds: TemplateThresholds::Ignore,
        overhead: Overhead::ActiveAndTotal,
        cache_limit: CacheLimit::Hard,
        ..Self::LINUX_6_1
    };
}

/// What an edit of a destination's thresholds does to its overload mark.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ThresholdEdits {
    /// An upper threshold of 0, or one above the former, clears the mark even if there are more
    /// connections than the new one allows; any other edit keeps it (6.1.176, 6.12.95).
    ClearOnRaise,
    /// A changed threshold marks or clears as the present connections demand and keeps the mark in
    /// between (7.2.7, 6.1.192).
    Recompute,
}

/// Whether persistence templates that come and go have the thresholds looked at. Templates never
/// count as connections themselves.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TemplateThresholds {
    /// The rules are applied to the present connections then too (6.1.176, 6.12.95).
    Evaluate,
    /// Only connections matter (7.2.7, 6.1.192).
    Ignore,
}

/// How a destination's connections add up for lc, wlc, lblc, lblcr and twos.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Overhead {
    /// 256 × active + inactive (6.1.176, 6.12.95 and before).
    ActiveAndInactive,
    /// 256 × active + all connections, which is 257 × active + inactive (7.2.7, 6.1.192).
    ActiveAndTotal,
}

impl Overhead {
    /// The overhead of a destination with these connections.
    pub const fn of(self, active: u32, inactive: u32) -> u64 {
        // Wide enough for any counts; the kernel's own 32 bits hold what fits into its memory.
        // Constant factors become shifts: a multiplication less for each destination of a walk.
        let (active, inactive) = (active as u64, inactive as u64);
        match self {
            Self::ActiveAndInactive => 256 * active + inactive,
            Self::ActiveAndTotal => 257 * active + inactive,
        }
    }
}

/// Which hash dh, sh, lblc and lblcr apply to addresses.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AddressHash {
    /// The low bits of a product with 2,654,435,761 (about 4.17 and before): of a network whose
    /// addresses differ in a few bits, few slots are used.
    LowBits,
    /// The high bits of a product with 0x61C88647 (since about 4.18).
    HighBits,
}

/// Which TCP states count as active.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TcpActive {
    /// ESTABLISHED only (about 4.7 and before).
    Established,
    /// Also those of the handshake: a SYN makes a connection active (since about 4.8).
    FromSyn,
}

/// What lblc and lblcr do when their cache is full.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CacheLimit {
    /// Go on; the next collection makes room. When lblc moves an address to another destination it
    /// counts the entry once more, and after enough moves makes room all the time (6.1.176, 6.12.95
    /// and before).
    Soft,
    /// Make no new entry when there are one and a half times as many as wanted, 24,576, and count
    /// them right (7.2.13, 6.1.192).
    Hard,
}

/// The word size and byte order of the kernel, which decide the hash of mh. Directors whose kernels
/// differ here send a client to different destinations.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MhWord {
    /// HalfSipHash-1-3 (32-bit Arm and x86).
    Bits32,
    /// HalfSipHash-1-3 on a big-endian machine (32-bit PowerPC and MIPS).
    Bits32BigEndian,
    /// SipHash-1-3, its low half (x86-64, 64-bit Arm and RISC-V).
    Bits64,
    /// SipHash-1-3, its low half, on a big-endian machine (s390x).
    Bits64BigEndian,
}
