//! Several directors, each with its own table: the Active one's counts.

use core::net::SocketAddr;
use std::thread;

use director::demonstration::farm::{Config, Farm, FarmError};
use lvs_ipvs::{Destination, Scheduler, Table, VirtualService};

use crate::support::{alone, get, wait_for};

fn farm() -> Farm {
    let mut config = Config::default();
    config.directors = 2;
    Farm::start(&config).unwrap()
}

/// A table with one service and these destinations of weight 1.
fn table(farm: &Farm, scheduler: &str, destinations: &[SocketAddr]) -> Table {
    let scheduler: Scheduler = scheduler.parse().unwrap();
    let service = VirtualService::tcp(farm.address()).with_scheduler(scheduler);
    let mut table = Table::new();
    let destinations = destinations.iter();
    table.insert(service, destinations.map(|to| Destination::masquerade(*to)));
    table
}

#[test]
fn connections_wait_until_a_director_is_active_and_go_where_its_table_says() {
    let _turn = alone();
    let farm = farm();
    let [a, b, _] = [0, 1, 2].map(|place| farm.servers()[place].address);
    farm.table(0).follow(&table(&farm, "rr", &[a])).unwrap();
    farm.table(1).follow(&table(&farm, "rr", &[b])).unwrap();

    let address = farm.address();
    let client = thread::spawn(move || get(address, "/").unwrap());
    let stats = wait_for(&farm, |stats| stats.waiting == 1);
    assert_eq!((stats.active, stats.no_destination), (None, 0));
    farm.set_active(Some(1));
    assert_eq!(client.join().unwrap(), "server 2\n");
    farm.set_active(Some(0));
    assert_eq!(get(address, "/").unwrap(), "server 1\n");

    // A director that comes back has no table yet.
    farm.table(0).clear();
    assert_eq!(farm.table(0).destinations(), []);
    assert!(get(address, "/").is_err());
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.waiting, stats.no_destination), (0, 1));
    assert_eq!((stats.picked[&a], stats.picked[&b]), (1, 1));
    farm.shutdown();
}

#[test]
fn every_scheduler_of_the_kernel_may_be_in_a_table_and_no_other() {
    let _turn = alone();
    let farm = farm();
    farm.set_active(Some(0));
    let servers: Vec<_> = farm.servers().iter().map(|server| server.address).collect();
    for algorithm in lvs_schedulers::Algorithm::ALL {
        let table = table(&farm, algorithm.name(), &servers);
        farm.table(0).follow(&table).unwrap();
        assert_eq!(farm.stats().algorithm, Some(*algorithm));
        assert!(get(farm.address(), "/").unwrap().starts_with("server "));
    }
    let refused = farm.table(0).follow(&table(&farm, "best", &servers));
    assert!(
        matches!(refused, Err(FarmError::Scheduler(_))),
        "{refused:?}"
    );
    // A table without the service has no destinations.
    farm.table(0).follow(&Table::new()).unwrap();
    assert!(get(farm.address(), "/").is_err());
    farm.shutdown();
}
