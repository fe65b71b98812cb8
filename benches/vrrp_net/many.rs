//! 2,000 virtual routers on 8 interfaces: whether an advertisement is ever missing.

use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;

use crate::Result;
use crate::figures::judge;
use crate::host::Host;
use crate::layout::{Layout, Maker};
use crate::usage;
use crate::watch::{Addresses, Advert, Capture, Frame, Kind};

const LAYOUT: Layout = Layout {
    interfaces: 8,
    routers: 250,
    interval_cs: 100,
};
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it is watched.
const DURATION: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() -> Result<()> {
    let hosts = [Host::new("many-one")?, Host::new("many-other")?];
    for (number, name) in LAYOUT.names().enumerate() {
        hosts[0].connect(&name, &hosts[1], &name)?;
        for (host, own) in hosts.iter().zip([1, 2]) {
            host.ip(&format!("address add 172.16.{number}.{own}/24 dev {name}"))?;
        }
    }
    let total = LAYOUT.total();
    let folder = tempfile::tempdir()?;
    let _active = Maker::We.start(&hosts[0], LAYOUT, 200, folder.path())?;
    Addresses::of(&hosts[0])?.wait_for(total, PATIENCE)?;
    let _backup = Maker::We.start(&hosts[1], LAYOUT, 100, folder.path())?;
    thread::sleep(Duration::from_secs(5));
    let at_backup = Capture::start(&hosts[1], Kind::Ipv4)?;
    // Whatever comes here is of one that has promoted itself.
    let at_active = Capture::start(&hosts[0], Kind::Ipv4)?;
    thread::sleep(DURATION);
    let (heard, promoted) = (at_backup.end()?, at_active.end()?);
    let promoted = promoted.iter().filter_map(Frame::advert).count();
    let adverts: Vec<_> = heard.iter().filter_map(Frame::advert).collect();
    let mut last: BTreeMap<(usize, u8), Advert> = BTreeMap::new();
    let (mut longest, mut missing) = (Duration::ZERO, 0_u32);
    for advert in &adverts {
        if let Some(before) = last.insert((advert.interface, advert.vrid), *advert) {
            let gap = advert.at - before.at;
            longest = longest.max(gap);
            missing += u32::from(gap > INTERVAL * 3 / 2);
        }
    }
    let held = Addresses::of(&hosts[1])?.wait_for(0, Duration::ZERO);
    println!(
        "{} virtual routers on {} interfaces × 1 advert/s, {DURATION:?}: {} adverts of {} routers, \
         longest gap {:.1} ms, {promoted} adverts of Backups; load of the machine {}",
        total,
        LAYOUT.interfaces,
        adverts.len(),
        last.len(),
        longest.as_secs_f64() * 1000.0,
        usage::load()
    );
    held?;
    if last.len() != total {
        return Err(format!("{} of {total} routers were heard", last.len()).into());
    }
    judge("adverts missing", f64::from(missing), 0.0);
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    judge("adverts of Backups", promoted as f64, 0.0);
    Ok(())
}
