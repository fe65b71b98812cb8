//! The HTTP servers, and the life of the demonstration.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use director::demonstration::farm::{Config, Farm, FarmError};
use lvs_schedulers::Algorithm;

use crate::support::{MEGABYTE, PATIENCE, alone, connect, farm, get, lazy_client, request};

/// What the longest answer takes.
const SLOW: Duration = Duration::from_secs(60);

#[test]
fn stopping_a_server_ends_its_connections_even_in_the_middle_of_an_answer() {
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 2);
    let server = farm.servers()[0];
    farm.set_destinations(&[(server.address, 1)]).unwrap();

    let mut idle = connect(farm.address());
    idle.write_all(b"GET / HTTP/1.1\r\nhost: farm\r\n\r\n")
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).unwrap();
    let slow = format!("/slow/{}", SLOW.as_millis());
    let mut waiting = connect(farm.address());
    waiting.write_all(request(&slow).as_bytes()).unwrap();
    let mut direct = connect(server.address);
    direct.write_all(request(&slow).as_bytes()).unwrap();
    let mut unread = lazy_client(farm.address());
    unread
        .write_all(request("/size/16777216").as_bytes())
        .unwrap();
    unread.read_exact(&mut byte).unwrap();

    let start = Instant::now();
    assert!(farm.stop_server(1).unwrap());
    let took = start.elapsed();
    println!("stopped after {took:?}");
    assert!(took < SLOW, "it waited for an answer");
    let rest = |stream: &mut TcpStream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        String::from_utf8(rest).unwrap()
    };
    assert!(rest(&mut idle).ends_with("server 1\n"));
    assert_eq!(rest(&mut waiting), "");
    assert_eq!(rest(&mut direct), "");
    assert!(rest(&mut unread).len() < 16 * MEGABYTE);
    assert_eq!(
        get(farm.servers()[1].address, "/").unwrap(),
        "server 2\n",
        "the other is unharmed"
    );
    farm.shutdown();
}

#[test]
fn dropping_ends_the_demonstration_too() {
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 1);
    let (front, server) = (farm.address(), farm.servers()[0].address);
    let mut client = connect(front);
    drop(farm);
    let mut byte = [0];
    assert!(matches!(client.read(&mut byte), Ok(0) | Err(_)));
    let start = Instant::now();
    for address in [front, server] {
        while TcpStream::connect(address).is_ok() {
            assert!(start.elapsed() < PATIENCE, "{address} is still served");
        }
    }
}

#[test]
fn servers_answer_as_documented() {
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 3);
    for server in farm.servers() {
        assert!(server.running && server.requests == 0);
        assert_eq!(
            get(server.address, "/").unwrap(),
            format!("server {}\n", server.number)
        );
        assert_eq!(
            get(server.address, "/slow/1").unwrap(),
            format!("server {}\n", server.number)
        );
        assert_eq!(
            get(server.address, "/size/100000").unwrap(),
            "x".repeat(100_000)
        );
        assert_eq!(get(server.address, "/elsewhere").unwrap(), "");
    }
    let address = farm.servers()[0].address;
    assert_eq!(
        get(address, "/size/16777217").unwrap(),
        "size \"16777217\" is not a number from 0 to 16777216\n"
    );
    assert_eq!(
        get(address, "/slow/soon").unwrap(),
        "milliseconds \"soon\" is not a number from 0 to 60000\n"
    );
    assert_eq!(farm.servers()[0].requests, 3, "refusals are no answers");
    farm.shutdown();
}

#[test]
fn errors_name_the_address_and_the_number() {
    let _turn = alone();
    let taken = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let _holder = TcpListener::bind(taken).unwrap();
    let mut config = Config::default();
    config.listen = taken;
    let error = Farm::start(&config).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {taken} for the forwarder")
    );
    let mut config = Config::default();
    config.servers[1] = taken;
    let error = Farm::start(&config).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {taken} for server 2")
    );

    let farm = farm(Algorithm::Rr, 3);
    for number in [0, 4] {
        let error = farm.stop_server(number).unwrap_err();
        let text = format!("there is no server {number}: servers are numbered from 1 to 3");
        assert_eq!(error.to_string(), text);
        assert!(matches!(
            farm.start_server(number),
            Err(FarmError::NoSuchServer { .. })
        ));
    }
    farm.stop_server(3).unwrap();
    let holder = TcpListener::bind(farm.servers()[2].address).unwrap();
    assert!(matches!(farm.start_server(3), Err(FarmError::Bind { .. })));
    drop(holder);
    assert!(farm.start_server(3).unwrap());
    farm.shutdown();
}
