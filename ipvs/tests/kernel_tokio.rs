//! The asynchronous client on a real kernel.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_tokio-… --include-ignored`.

use lvs_ipvs::tokio::Client;
use lvs_ipvs::{Destination, Scheduler, VirtualService};

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn a_service_with_a_destination_reads_back_as_written() {
    let mut ipvs = Client::connect().await.unwrap();
    let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap()).with_scheduler(Scheduler::Rr);
    ipvs.add_service(&web).await.unwrap();
    let server = Destination::masquerade("127.0.0.1:8080".parse().unwrap()).with_weight(3);
    ipvs.add_destination(web.key(), &server).await.unwrap();

    assert_eq!(ipvs.service(web.key()).await.unwrap().service, web);
    let read = ipvs.destinations(web.key()).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].destination, server);
    let snapshot = ipvs.snapshot().await.unwrap();
    assert_eq!(snapshot.table().destinations(&web.key()), [server]);
    assert!(ipvs.add_service(&web).await.unwrap_err().is_exists());
    ipvs.flush().await.unwrap();
    assert!(ipvs.services().await.unwrap().is_empty());
}
