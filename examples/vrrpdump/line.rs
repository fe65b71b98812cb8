//! One line for each packet, for people or as JSON.

use core::fmt;
use core::time::Duration;
use std::io::{self, Write};

use lvs_vrrp::codec::ArpOperation;
use serde_json::{Map, Value, json};

use crate::announcement::Announcement;
use crate::record::Record;

/// Writes a packet of VRRP.
pub(crate) fn write_record(out: &mut dyn Write, record: &Record, as_json: bool) -> io::Result<()> {
    if as_json {
        writeln!(out, "{}", record_as_json(record))
    } else {
        writeln!(out, "{}", Text(record))
    }
}

/// Writes an announcement.
pub(crate) fn write_announcement(
    out: &mut dyn Write,
    place: &Place<'_>,
    announcement: &Announcement,
    as_json: bool,
) -> io::Result<()> {
    let Announcement {
        vrid,
        address,
        mac,
        operation,
    } = announcement;
    if as_json {
        let mut object = json!({
            "kind": if operation.is_some() { "arp" } else { "na" },
            "time": place.time.map(seconds),
            "interface": named(place.interface),
            "vrid": vrid.get(),
            "addresses": [address],
            "mac": mac.to_string(),
        });
        if let Some(map) = object.as_object_mut() {
            insert_vlans(map, place.vlans);
        }
        return writeln!(out, "{object}");
    }
    let kind = match operation {
        Some(ArpOperation::Request) => "gratuitous ARP request",
        Some(ArpOperation::Reply) => "gratuitous ARP reply",
        None => "unsolicited neighbour advertisement",
    };
    writeln!(out, "{place}{kind}: {address} is at {mac}, vrid {vrid}")
}

fn record_as_json(record: &Record) -> Value {
    let observations = record.observations.iter();
    let mut object = json!({
        "kind": "vrrp",
        "time": record.time.map(seconds),
        "interface": named(&record.interface),
        "ok": record.rejection.is_none(),
        "reason": record.reason(),
        "row": record.rejection.map(lvs_vrrp::Rejection::row),
        "observations": observations.map(|seen| seen.as_str()).collect::<Vec<_>>(),
        "version": record.version,
        "vrid": record.vrid,
        "priority": record.priority,
        "interval_cs": record.interval,
        "auth_type": record.auth_type,
        "checksum_form": record.checksum.map(|form| form.as_str()),
        "addresses": record.addresses,
        "src": record.ends.map(|ends| ends.source),
        "dst": record.ends.map(|ends| ends.destination),
        "ttl": record.ends.map(|ends| ends.ttl),
    });
    // Only where there is something to say.
    if let Some(map) = object.as_object_mut() {
        insert_vlans(map, &record.vlans);
        if let Some(sequence) = record.sequence {
            map.insert("sequence".into(), sequence.into());
        }
        if let Some((captured, original)) = record.cut {
            map.insert("captured".into(), captured.into());
            map.insert("length".into(), original.into());
        }
    }
    object
}

fn named(interface: &str) -> Option<&str> {
    (!interface.is_empty()).then_some(interface)
}

/// Seconds since 1970, to the microsecond: more a number of JSON cannot hold.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

/// Adds the innermost VLAN, and those around it, if there are any.
pub(crate) fn insert_vlans(map: &mut Map<String, Value>, vlans: &[u16]) {
    if let Some((vlan, outer)) = vlans.split_last() {
        map.insert("vlan".into(), (*vlan).into());
        if !outer.is_empty() {
            map.insert("outer_vlans".into(), outer.into());
        }
    }
}

/// When and where: the time of the day in UTC, the interface, VLANs.
pub(crate) struct Place<'a> {
    pub(crate) time: Option<Duration>,
    pub(crate) interface: &'a str,
    pub(crate) vlans: &'a [u16],
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.time {
            let second = time.as_secs() % 86_400;
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let micros = time.subsec_micros();
            write!(f, "{hour:02}:{minute:02}:{second:02}.{micros:06} ")?;
        }
        if !self.interface.is_empty() {
            write!(f, "{} ", self.interface)?;
        }
        self.vlans
            .iter()
            .try_for_each(|vlan| write!(f, "vlan {vlan} "))
    }
}

/// A packet of VRRP in words.
struct Text<'a>(&'a Record);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let place = Place {
            time: record.time,
            interface: &record.interface,
            vlans: &record.vlans,
        };
        place.fmt(f)?;
        if let Some(ends) = record.ends {
            write!(f, "{} > {}: ", ends.source, ends.destination)?;
        }
        f.write_str("VRRP")?;
        if let Some(version) = record.version {
            write!(f, "v{version}")?;
        }
        if let Some(vrid) = record.vrid {
            write!(f, " vrid {vrid}")?;
        }
        match record.priority {
            Some(0) => f.write_str(" prio 0 (resigns)")?,
            Some(255) => f.write_str(" prio 255 (owner)")?,
            Some(priority) => write!(f, " prio {priority}")?,
            None => {}
        }
        match (record.interval, record.version) {
            (Some(interval), Some(2)) => write!(f, " every {} s", interval / 100)?,
            (Some(interval), _) => write!(f, " every {interval} cs")?,
            (None, _) => {}
        }
        if let Some(ends) = record.ends {
            write!(f, " ttl {}", ends.ttl)?;
        }
        match record.auth_type {
            None | Some(0) => {}
            Some(1) => f.write_str(" auth simple")?,
            Some(2) => f.write_str(" auth header")?,
            Some(other) => write!(f, " auth {other}")?,
        }
        if let Some(sequence) = record.sequence {
            write!(f, " seq {sequence}")?;
        }
        if let Some(form) = record.checksum {
            write!(f, " checksum {form}")?;
        }
        for (place, address) in record.addresses.iter().enumerate() {
            let before = if place == 0 { " addrs " } else { "," };
            write!(f, "{before}{address}")?;
        }
        for observation in &record.observations {
            write!(f, " [{observation}]")?;
        }
        if let Some(rejection) = record.rejection {
            write!(
                f,
                " REFUSED {} (row {})",
                rejection.reason(),
                rejection.row()
            )?;
        }
        match record.cut {
            Some((captured, original)) => {
                write!(f, " ({captured} of {original} bytes captured)")
            }
            None => Ok(()),
        }
    }
}
