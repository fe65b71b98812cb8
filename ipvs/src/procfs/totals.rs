//! `/proc/net/ip_vs_stats` and `/proc/net/ip_vs_stats_percpu`: the counters of the namespace.

use std::io::BufRead;

use super::error::{MalformedLine, ReadError};
use super::lines::{Line, Lines};
use super::open;
use super::words::{Word, Words};
use crate::error::Error;
use crate::stats::{CounterWidth, Rates, Stats};

/// What all services of the namespace have counted, those that are gone included: the content of
/// `/proc/net/ip_vs_stats`.
///
/// As everywhere, counters and rates are a copy that the kernel's estimator renews every 2 s.
/// `Client::zero` zeroes them, too.
///
/// ```
/// use lvs_ipvs::procfs::Totals;
///
/// let file = "   Total Incoming Outgoing         Incoming         Outgoing
///    Conns  Packets  Packets            Bytes            Bytes
///        B       11        B              422              29A
///
///  Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
///        1        2        1               63               3E
/// ";
/// let Totals { stats, .. } = Totals::read(file.as_bytes())?;
/// assert_eq!((stats.connections, stats.bytes_in, stats.rates.bytes_in), (11, 1058, 99));
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Totals {
    /// Counters and rates.
    pub stats: Stats,
}

impl Totals {
    /// Reads the file of the calling thread's network namespace. No privilege is needed.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when there is no such file, [`Error::Io`] when it cannot be read,
    /// [`Error::Malformed`] when it does not have its form.
    pub fn current() -> Result<Self, Error> {
        Ok(Self::read(open("ip_vs_stats")?)?)
    }

    /// Reads the file from any source.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: the file is of one piece, so what is malformed ends it.
    pub fn read(reader: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = Lines::new(reader);
        captions(&mut lines, 2)?;
        let mut stats = Stats::default();
        let mut words = Words::new(line(&mut lines, "the totals")?);
        counters(words.word(), &mut words, &mut stats)?;
        stats.rates = rates(&mut lines)?;
        Ok(Self { stats })
    }
}

/// The counters of each CPU: the content of `/proc/net/ip_vs_stats_percpu`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CpuTotals {
    /// What each possible CPU has counted, since the namespace exists: these are never zeroed,
    /// and not a copy but the present values. There are no rates of a CPU: they are 0.
    pub cpus: Vec<(u32, Stats)>,
    /// The same as in [`Totals`].
    pub total: Stats,
}

impl CpuTotals {
    /// Reads the file of the calling thread's network namespace. No privilege is needed.
    ///
    /// # Errors
    ///
    /// As [`Totals::current`].
    pub fn current() -> Result<Self, Error> {
        Ok(Self::read(open("ip_vs_stats_percpu")?)?)
    }

    /// Reads the file from any source.
    ///
    /// # Errors
    ///
    /// As [`Totals::read`].
    pub fn read(reader: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = Lines::new(reader);
        captions(&mut lines, 2)?;
        let mut cpus = Vec::new();
        let mut total = Stats::default();
        loop {
            let mut words = Words::new(line(&mut lines, "a CPU, or ~ for their sum")?);
            let word = words.word();
            if word.text == b"~" {
                counters(words.word(), &mut words, &mut total)?;
                break;
            }
            let number = word.hexadecimal("CPU")?.try_into();
            let number =
                number.map_err(|_| word.malformed("CPU", "a number of at most 32 bits"))?;
            let mut stats = Stats::default();
            counters(words.word(), &mut words, &mut stats)?;
            cpus.push((number, stats));
        }
        total.rates = rates(&mut lines)?;
        Ok(Self { cpus, total })
    }
}

/// The next line; the end of the file is an error.
fn line<'a, R: BufRead>(
    lines: &'a mut Lines<R>,
    expected: &'static str,
) -> Result<Line<'a>, ReadError> {
    match lines.advance() {
        Some(read) => read.map(|()| lines.line()),
        None => Err(MalformedLine::new(lines.line().number, 1, "line", b"", expected).into()),
    }
}

fn captions<R: BufRead>(lines: &mut Lines<R>, count: usize) -> Result<(), ReadError> {
    for _ in 0..count {
        line(lines, "captions")?;
    }
    Ok(())
}

fn counters(
    first: Word<'_>,
    words: &mut Words<'_>,
    stats: &mut Stats,
) -> Result<(), MalformedLine> {
    stats.connections = first.hexadecimal("connections")?;
    stats.packets_in = words.word().hexadecimal("incoming packets")?;
    stats.packets_out = words.word().hexadecimal("outgoing packets")?;
    stats.bytes_in = words.word().hexadecimal("incoming bytes")?;
    stats.bytes_out = words.word().hexadecimal("outgoing bytes")?;
    stats.width = CounterWidth::Bits64;
    words.end()
}

/// An empty line, a caption, and the rates.
fn rates<R: BufRead>(lines: &mut Lines<R>) -> Result<Rates, ReadError> {
    captions(lines, 2)?;
    let mut words = Words::new(line(lines, "the rates")?);
    let mut stats = Stats::default();
    counters(words.word(), &mut words, &mut stats)?;
    Ok(Rates {
        connections: stats.connections,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
    })
}
