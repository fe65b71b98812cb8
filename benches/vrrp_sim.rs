//! A simulated network of many virtual routers: `cargo bench -p benches --bench vrrp_sim`.
//!
//! Two hosts with 250 virtual routers each advertise ten times a second: each advertisement is
//! encoded, goes up the receive ladder of the other host and into its machine. The floor is real
//! time; the ratio to it is printed.

use core::error::Error;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_vrrp::sim::{Lan, Link, RouterHost};
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, Vrid};

const ROUTERS: u8 = 250;
const SECOND: Duration = Duration::from_secs(1);

/// Two hosts, of which one is Active for every router, for two seconds.
fn network() -> Result<Lan<RouterHost>, Box<dyn Error>> {
    let mut lan = Lan::new(1);
    let link = Link::default().with_delay(Duration::from_micros(100));
    lan.set_link(link.with_jitter(Duration::from_micros(100)));
    let mut hosts = Vec::new();
    for (priority, source) in [(200, "192.0.2.1"), (100, "192.0.2.2")] {
        let mut host = RouterHost::new();
        for number in 1..=ROUTERS {
            let addresses = AddressList::new([[198, 51, 100, number].into()])?;
            let config = RouterConfig::new(Vrid::try_from(number)?, addresses)
                .with_priority(Priority::new(priority))
                .with_interval(Interval::from_centiseconds(10)?);
            host = host.with_router(config, source.parse()?)?;
        }
        hosts.push(lan.add(host));
    }
    // Both at once, or the one that is to be Backup would become Active first.
    for host in hosts {
        lan.start(host);
    }
    lan.run_for(SECOND.saturating_mul(2));
    Ok(lan)
}

fn simulation(criterion: &mut Criterion) {
    let mut lan = match network() {
        Ok(lan) => lan,
        Err(error) => {
            eprintln!("{error}");
            return;
        }
    };
    let (mut ratio, mut adverts) = (0.0_f64, 0);
    let mut group = criterion.benchmark_group("vrrp simulation");
    group.throughput(Throughput::Elements(u64::from(ROUTERS).saturating_mul(10)));
    group.bench_function(
        "a second of 250 routers x 2 nodes x 10 adverts/s",
        |bencher| {
            bencher.iter_custom(|seconds| {
                let before = lan.packets();
                let begin = Instant::now();
                lan.run_for(SECOND.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX)));
                let took = black_box(begin.elapsed());
                #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
                let simulated = seconds as f64;
                ratio = simulated / took.as_secs_f64();
                adverts = lan
                    .packets()
                    .saturating_sub(before)
                    .checked_div(seconds)
                    .unwrap_or(0);
                took
            });
        },
    );
    group.finish();
    eprintln!("{adverts} advertisements in a second of it; {ratio:.0} x faster than real time");
}

criterion_group!(benches, simulation);
criterion_main!(benches);
