//! The statistics nests.

use super::generation::Generation;
use super::netlink::Writer;
use crate::stats::Stats;
use crate::wire::attributes::stats;

/// Appends `STATS` and, where the kernel has it, `STATS64`.
pub(super) fn put_stats(
    writer: &mut Writer<'_>,
    generation: &Generation,
    (narrow, wide): (u16, u16),
    values: &Stats,
) {
    let counters = [
        (stats::CONNS, values.connections),
        (stats::INPKTS, values.packets_in),
        (stats::OUTPKTS, values.packets_out),
    ];
    let bytes = [
        (stats::INBYTES, values.bytes_in),
        (stats::OUTBYTES, values.bytes_out),
    ];
    let rates = [
        (stats::CPS, values.rates.connections),
        (stats::INPPS, values.rates.packets_in),
        (stats::OUTPPS, values.rates.packets_out),
        (stats::INBPS, values.rates.bytes_in),
        (stats::OUTBPS, values.rates.bytes_out),
    ];
    writer.nest(narrow, |writer| {
        for (number, value) in counters {
            writer.put_u32(number, low(value));
        }
        for (number, value) in bytes {
            writer.put_u64(number, value, stats::PAD);
        }
        for (number, value) in rates {
            writer.put_u32(number, low(value));
        }
    });
    if generation.stats64 {
        writer.nest(wide, |writer| {
            for (number, value) in counters.into_iter().chain(bytes).chain(rates) {
                writer.put_u64(number, value, stats::PAD);
            }
        });
    }
}

/// The low 32 bits: what the narrow nest keeps of a counter.
fn low(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_counters_wrap() {
        assert_eq!(low(0x1_2345_6789), 0x2345_6789);
        assert_eq!(low(u64::MAX), u32::MAX);
    }
}
