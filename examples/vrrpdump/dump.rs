//! From frames to lines.

use std::io::{self, Write};

use lvs_vrrp::receive::Meta;
use lvs_vrrp::{Family, InterfaceIndex, Vrid};

use crate::announcement::Announcement;
use crate::arguments::Arguments;
use crate::judge::Judge;
use crate::line;
use crate::link::{self, Frame, Link};
use crate::record::Record;
use crate::stats::Stats;

/// Shows frames and counts them.
pub(crate) struct Dump<'c> {
    arguments: &'c Arguments,
    judge: Judge<'c>,
    stats: Stats,
    lines: u64,
    /// The last link type that could not be read, and how many frames there were.
    skipped: Option<(u32, u64)>,
}

impl<'c> Dump<'c> {
    pub(crate) fn new(arguments: &'c Arguments) -> Self {
        let rules = arguments.profile.receive_rules();
        Self {
            arguments,
            judge: Judge::new(rules, &arguments.routers),
            stats: Stats::default(),
            lines: 0,
            skipped: None,
        }
    }

    /// Whether as many lines have been written.
    pub(crate) fn is_full(&self, count: Option<u64>) -> bool {
        count.is_some_and(|count| self.lines >= count)
    }

    /// The link type that could not be read, and how many frames there were of such.
    pub(crate) fn skipped(&self) -> Option<(u32, u64)> {
        self.skipped
    }

    /// Writes the counters.
    pub(crate) fn write_stats(&self, out: &mut dyn Write) -> io::Result<()> {
        self.stats.write(out, self.arguments.json)
    }

    /// Shows a frame, if it is one of those asked for.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.stats.frames += 1;
        if let Link::Other(number) = frame.link {
            let count = self.skipped.map_or(0, |(_, count)| count);
            self.skipped = Some((number, count + 1));
            return Ok(());
        }
        let packet = link::packet(frame.link, frame.bytes);
        let index = packet.and_then(|packet| packet.interface);
        let named = index.map(|index| format!("#{index}"));
        let interface = named.as_deref().unwrap_or(&frame.interface);
        if !self.is_shown(interface) {
            return Ok(());
        }
        match packet {
            Some(packet) if link::is_vrrp(&packet) => {
                let time = frame.time.unwrap_or_default();
                // The ladder only compares it with the one configured, which is done by name.
                let index = index.unwrap_or(InterfaceIndex::new(0));
                let meta = match packet.family {
                    Family::Ipv4 => Meta::ipv4(index, time),
                    Family::Ipv6 => Meta::ipv6(index, time),
                };
                self.packet(frame, &meta, interface, packet.bytes, out)
            }
            _ if self.arguments.announcements => self.announcement(frame, interface, out),
            _ => Ok(()),
        }
    }

    fn packet(
        &mut self,
        frame: &Frame<'_>,
        meta: &Meta,
        interface: &str,
        bytes: &[u8],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let result = self.judge.judge(meta, interface, bytes);
        let mut record = Record::new(meta, bytes, &result);
        let vrids = &self.arguments.vrids;
        if !vrids.is_empty()
            && !record
                .vrid
                .and_then(Vrid::new)
                .is_some_and(|id| vrids.contains(&id))
        {
            return Ok(());
        }
        self.stats.record(interface, meta.family(), &result);
        record.time = frame.time;
        record.interface = interface.to_owned();
        if frame.bytes.len() < frame.original_len {
            record.cut = Some((frame.bytes.len(), frame.original_len));
        }
        self.lines += 1;
        line::write_record(out, &record, self.arguments.json)
    }

    fn announcement(
        &mut self,
        frame: &Frame<'_>,
        interface: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(announcement) = Announcement::read(frame) else {
            return Ok(());
        };
        let vrids = &self.arguments.vrids;
        if !vrids.is_empty() && !vrids.contains(&announcement.vrid) {
            return Ok(());
        }
        self.stats.announcements += 1;
        self.lines += 1;
        let as_json = self.arguments.json;
        line::write_announcement(out, frame.time, interface, &announcement, as_json)
    }

    fn is_shown(&self, interface: &str) -> bool {
        let names = &self.arguments.interfaces;
        names.is_empty() || names.iter().any(|name| name == interface || name == "any")
    }
}
