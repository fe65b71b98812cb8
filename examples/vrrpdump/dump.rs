//! From frames to lines.

use std::io::{self, Write};

use lvs_vrrp::receive::Meta;
use lvs_vrrp::{Family, InterfaceIndex, Vrid};

use crate::announcement::Announcement;
use crate::arguments::Arguments;
use crate::judge::Judge;
use crate::line::{self, Place};
use crate::link::{self, Carried, Frame, Link};
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
        let carried = link::carried(frame.link, frame.bytes);
        let index = carried.as_ref().and_then(|carried| carried.interface);
        let named = index.map(|index| format!("#{index}"));
        let interface = named.as_deref().unwrap_or(&frame.interface);
        let Some(carried) = carried.filter(|_| self.is_shown(interface)) else {
            return Ok(());
        };
        match carried.family() {
            Some(family) if link::is_vrrp(family, carried.bytes) => {
                let time = frame.time.unwrap_or_default();
                // The ladder only compares it with the one configured, which is done by name.
                let index = index.unwrap_or(InterfaceIndex::new(0));
                let meta = match family {
                    Family::Ipv4 => Meta::ipv4(index, time),
                    Family::Ipv6 => Meta::ipv6(index, time),
                };
                self.packet(frame, &meta, interface, &carried, out)
            }
            _ if self.arguments.announcements => self.announcement(frame, interface, &carried, out),
            _ => Ok(()),
        }
    }

    fn packet(
        &mut self,
        frame: &Frame<'_>,
        meta: &Meta,
        interface: &str,
        carried: &Carried<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let result = self.judge.judge(meta, interface, carried.bytes);
        let mut record = Record::new(meta, carried.bytes, &result);
        let vrids = &self.arguments.vrids;
        if !vrids.is_empty()
            && !record
                .vrid
                .and_then(Vrid::new)
                .is_some_and(|id| vrids.contains(&id))
        {
            return Ok(());
        }
        let family = meta.family();
        self.stats
            .record(interface, &carried.vlans, family, &result);
        record.time = frame.time;
        record.interface = interface.to_owned();
        record.vlans.clone_from(&carried.vlans);
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
        carried: &Carried<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(announcement) = Announcement::read(carried) else {
            return Ok(());
        };
        let vrids = &self.arguments.vrids;
        if !vrids.is_empty() && !vrids.contains(&announcement.vrid) {
            return Ok(());
        }
        self.stats.announcements += 1;
        self.lines += 1;
        let place = Place {
            time: frame.time,
            interface,
            vlans: &carried.vlans,
        };
        line::write_announcement(out, &place, &announcement, self.arguments.json)
    }

    fn is_shown(&self, interface: &str) -> bool {
        let names = &self.arguments.interfaces;
        names.is_empty() || names.iter().any(|name| name == interface || name == "any")
    }
}
