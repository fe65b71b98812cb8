//! Which destination a connection gets, and what happens when it gets none.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpStream;

use director::demonstration::farm::{Config, Farm, FarmError};
use lvs_schedulers::Algorithm;
use socket2::{Domain, Socket, Type};

use crate::support::{alone, connect, farm, get, wait_for};

#[test]
fn stopped_server_refuses_until_it_is_no_destination_and_returns_on_its_address() {
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 3);
    let servers = farm.servers();
    let all: Vec<_> = servers.iter().map(|s| (s.address, 1)).collect();
    farm.set_destinations(&all).unwrap();
    let round = || -> Vec<String> {
        let mut answers: Vec<_> = (0..3)
            .map(|_| get(farm.address(), "/").unwrap_or_else(|e| e.kind().to_string()))
            .collect();
        answers.sort();
        answers
    };
    let whole = ["server 1\n", "server 2\n", "server 3\n"];
    assert_eq!(round(), whole);

    assert!(farm.stop_server(2).unwrap());
    assert!(!farm.stop_server(2).unwrap(), "stopped already");
    assert!(!farm.servers()[1].running);
    assert!(
        TcpStream::connect(servers[1].address).is_err(),
        "not listening"
    );
    assert_eq!(round(), ["connection reset", "server 1\n", "server 3\n"]);
    assert_eq!(farm.stats().refused, 1);

    farm.set_destinations(&[all[0], all[2]]).unwrap();
    for _ in 0..2 {
        let answers = round();
        assert!(
            !answers
                .iter()
                .any(|answer| answer == whole[1] || answer == "connection reset")
        );
    }
    assert_eq!(farm.stats().refused, 1);

    assert!(farm.start_server(2).unwrap());
    assert!(!farm.start_server(2).unwrap(), "started already");
    assert_eq!(farm.servers()[1].address, servers[1].address);
    farm.set_destinations(&all).unwrap();
    assert_eq!(round(), whole);
    farm.shutdown();
}

#[test]
fn nobody_to_pick_means_reset() {
    let _turn = alone();
    let farm = farm(Algorithm::Wrr, 1);
    assert_eq!(
        get(farm.address(), "/").unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    farm.set_destinations(&[(farm.servers()[0].address, 0)])
        .unwrap();
    assert_eq!(
        get(farm.address(), "/").unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!(
        (stats.accepted, stats.no_destination, stats.refused),
        (2, 2, 0)
    );
    farm.set_destinations(&[(farm.servers()[0].address, 1)])
        .unwrap();
    assert_eq!(get(farm.address(), "/").unwrap(), "server 1\n");
    farm.shutdown();
}

#[test]
fn server_that_does_not_answer_is_given_up_after_the_timeout() {
    let _turn = alone();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // One waits to be accepted and fills the queue; the kernel ignores the others.
    let _queued = connect(address);

    let mut config = Config::default();
    config.servers.clear();
    config.connect_timeout = Duration::from_millis(50);
    let farm = Farm::start(&config).unwrap();
    farm.set_destinations(&[(address, 1)]).unwrap();
    assert_eq!(
        get(farm.address(), "/").unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.unanswered, stats.refused), (1, 0));
    farm.shutdown();
}

/// The difference is applied, so that the scheduler picks as after the same commands of a user.
#[test]
fn changed_destinations_keep_the_state_of_the_scheduler() {
    let _turn = alone();
    let farm = farm(Algorithm::Wrr, 3);
    let [a, b, c] = [0, 1, 2].map(|index| farm.servers()[index].address);
    let names = BTreeMap::from([
        ("server 1\n", 'A'),
        ("server 2\n", 'B'),
        ("server 3\n", 'C'),
    ]);
    let picks = |count| -> String {
        (0..count)
            .map(|_| names[get(farm.address(), "/").unwrap().as_str()])
            .collect()
    };
    farm.set_destinations(&[(a, 4), (b, 3), (c, 2)]).unwrap();
    assert_eq!(picks(5), "CBAAB");
    farm.set_destinations(&[(c, 2), (a, 4), (b, 3)]).unwrap();
    assert_eq!(
        picks(13),
        "ACBACBAABACBA",
        "the same destinations change nothing"
    );
    farm.set_destinations(&[(a, 8), (b, 3), (c, 2)]).unwrap();
    assert_eq!(picks(13), "CBACBAAAAAABA");
    farm.set_destinations(&[(b, 3)]).unwrap();
    assert_eq!(picks(3), "BBB");
    farm.set_destinations(&[(b, 3), (a, 3)]).unwrap();
    assert_eq!(picks(4), "ABAB", "the newest comes first");

    let refused = farm.set_destinations(&[(c, 1), (c, 2)]).unwrap_err();
    assert!(
        matches!(refused, FarmError::Destinations(lvs_schedulers::Error::Exists { address }) if address == c)
    );
    let refused = farm
        .set_destinations(&[(c, 1), (a, 2_147_483_648)])
        .unwrap_err();
    assert!(matches!(
        refused,
        FarmError::Destinations(lvs_schedulers::Error::Weight { .. })
    ));
    assert_eq!(picks(4), "ABAB", "a refusal changes nothing");
    let weights: Vec<_> = farm
        .stats()
        .destinations
        .iter()
        .map(|d| (d.address, d.weight))
        .collect();
    assert_eq!(weights, [(b, 3), (a, 3)]);
    farm.shutdown();
}
