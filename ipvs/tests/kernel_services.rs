//! The first path through everything: a service and a destination on a real kernel.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_services-… --include-ignored`.

use lvs_ipvs::{Client, Destination, Scheduler, VirtualService};

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_service_with_a_destination_reads_back_as_written() {
    let mut ipvs = Client::connect().unwrap();
    let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap()).with_scheduler(Scheduler::Rr);
    ipvs.add_service(&web).unwrap();
    let server = Destination::masquerade("127.0.0.1:8080".parse().unwrap()).with_weight(3);
    ipvs.add_destination(web.key(), &server).unwrap();

    assert_eq!(ipvs.service(web.key()).unwrap().service, web);
    let read = ipvs.destinations(web.key()).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].destination, server);
    assert_eq!(
        ipvs.snapshot().unwrap().table().destinations(&web.key()),
        [server]
    );
    assert!(ipvs.add_service(&web).unwrap_err().is_exists());
    ipvs.flush().unwrap();
    assert!(ipvs.services().unwrap().is_empty());
}
