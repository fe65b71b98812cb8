//! Our messages through genetlink, which resolves the family and carries the bytes.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_genetlink-… --include-ignored`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use core::time::Duration;

use futures_util::StreamExt;
use genetlink::GenetlinkHandle;
use lvs_ipvs::packet_traits::IpvsMessage;
use lvs_ipvs::{Change, Client, Destination, Query, Request, Scheduler, Timeouts, VirtualService};
use netlink_packet_core::NetlinkPayload;

/// Sends a request and collects what it is answered; the errno of a refusal, positive.
async fn ask(
    handle: &mut GenetlinkHandle,
    request: impl Into<Request>,
) -> Result<Vec<IpvsMessage>, i32> {
    let mut replies = handle.request(IpvsMessage::request(request)).await.unwrap();
    let mut messages = Vec::new();
    while let Some(reply) = replies.next().await {
        match reply.unwrap().payload {
            NetlinkPayload::InnerMessage(message) => messages.push(message.into_parts().1),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(-error.raw_code());
            }
            // An acknowledgement, or the end of a dump.
            NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => {}
            other => panic!("{other:?}"),
        }
    }
    Ok(messages)
}

async fn administer(handle: &mut GenetlinkHandle) {
    let mut client = Client::connect().unwrap();

    let info = client.info().unwrap();
    let answer = ask(handle, Query::Info).await.unwrap();
    assert_eq!(answer, [IpvsMessage::Info(info)]);

    let services: Vec<_> = (1..=100)
        .map(|host| {
            VirtualService::tcp(([192, 0, 2, host], 80).into()).with_scheduler(Scheduler::Wrr)
        })
        .collect();
    for service in &services {
        let add = Change::AddService(service.clone());
        assert_eq!(ask(handle, add.clone()).await, Ok(vec![]));
        assert_eq!(ask(handle, add).await, Err(17)); // EEXIST
    }
    let web = services.first().unwrap();
    for host in 1..=10 {
        let server = Destination::masquerade(([10, 0, 0, host], 80).into()).with_weight(3);
        let add = Change::AddDestination(web.key(), server);
        assert_eq!(ask(handle, add).await, Ok(vec![]));
    }

    // What genetlink reads back is what the client reads.
    let read = ask(handle, Query::Services).await.unwrap();
    let expected = client.services().unwrap();
    assert_eq!(expected.len(), 100);
    let expected: Vec<_> = expected.into_iter().map(IpvsMessage::Service).collect();
    assert_eq!(read, expected);
    let read = ask(handle, Query::Destinations(web.key())).await.unwrap();
    let expected = client.destinations(web.key()).unwrap();
    assert_eq!(expected.len(), 10);
    let expected = expected.into_iter().map(IpvsMessage::Destination);
    assert_eq!(read, expected.collect::<Vec<_>>());

    let timeouts = Timeouts {
        tcp_secs: Some(600),
        ..Timeouts::default()
    };
    assert_eq!(ask(handle, Change::SetTimeouts(timeouts)).await, Ok(vec![]));
    let timeouts = client.timeouts().unwrap();
    assert_eq!(timeouts.tcp_secs, Some(600));
    let read = ask(handle, Query::Timeouts).await.unwrap();
    assert_eq!(read, [IpvsMessage::Timeouts(timeouts)]);

    assert_eq!(ask(handle, Change::Flush).await, Ok(vec![]));
    assert_eq!(ask(handle, Query::Services).await, Ok(vec![]));
    let gone = Query::Service(web.key());
    assert_eq!(ask(handle, gone).await, Err(3)); // ESRCH
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn genetlink_administers_ipvs_with_our_messages() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (connection, mut handle, _) = genetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let work = tokio::time::timeout(Duration::from_secs(60), administer(&mut handle));
        work.await.unwrap();
    });
}
