//! Carries the bytes of one connection, both ways, until both sides have ended it.
//!
//! Each direction has one buffer of fixed size and reads only when that is empty, so a slow reader
//! slows down its sender and nothing piles up in between. When one side ends its direction, only that
//! direction is ended towards the other side; the other direction goes on (half-close).
//!
//! A connection that breaks must not look complete: unless the direction towards a side ended in
//! order, that side is reset.

use core::future::Future;
use core::pin::{Pin, pin};
use core::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::stats::{Counter, Counters, Gauge, Stats};

/// How one direction ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// The sender ended it, and the receiver was told.
    Complete,
    /// The sender broke off.
    SenderLost,
    /// The receiver takes no more.
    ReceiverLost,
}

/// Carries everything between `client` and `server` and closes both. Returns whether both directions
/// ended in order.
///
/// Dropping the future closes both sides at once.
pub(super) async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    counters: &Counters,
) -> bool {
    let (to_server, to_client) = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let gauge = &counters.buffered;
        let up = pin!(copy(
            client_read,
            server_write,
            &counters.bytes_to_servers,
            gauge
        ));
        let down = pin!(copy(
            server_read,
            client_write,
            &counters.bytes_to_clients,
            gauge
        ));
        both(up, down).await
    };
    let (server_ok, client_ok) = (
        to_server == Some(End::Complete),
        to_client == Some(End::Complete),
    );
    if !server_ok {
        reset(&server);
    }
    if !client_ok {
        reset(&client);
    }
    server_ok && client_ok
}

/// Runs both directions to their ends; `None` for one that was given up because the other's sender
/// broke off. A lost *receiver* ends only its own direction: what that side has sent before is still
/// to be delivered, and then its own direction shows how it ended.
async fn both(
    mut up: Pin<&mut impl Future<Output = End>>,
    mut down: Pin<&mut impl Future<Output = End>>,
) -> (Option<End>, Option<End>) {
    let (mut up_end, mut down_end) = (None, None);
    while up_end.is_none() || down_end.is_none() {
        tokio::select! {
            end = up.as_mut(), if up_end.is_none() => up_end = Some(end),
            end = down.as_mut(), if down_end.is_none() => down_end = Some(end),
        }
        if [up_end, down_end].contains(&Some(End::SenderLost)) {
            break;
        }
    }
    (up_end, down_end)
}

async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    carried: &Counter,
    buffered: &Gauge,
) -> End {
    let mut buffer = vec![0; Stats::BUFFER_BYTES];
    loop {
        let mut rest = match from.read(&mut buffer).await {
            Ok(0) => {
                return match to.shutdown().await {
                    Ok(()) => End::Complete,
                    Err(_) => End::ReceiverLost,
                };
            }
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(_) => return End::SenderLost,
        };
        let mut held = buffered.hold(rest.len());
        while !rest.is_empty() {
            let Ok(count @ 1..) = to.write(rest).await else {
                return End::ReceiverLost;
            };
            rest = rest.get(count..).unwrap_or_default();
            held.release(count);
            carried.add(count);
        }
    }
}

/// Makes the closing of `stream` a reset, which the peer cannot mistake for a regular end.
pub(super) fn reset(stream: &TcpStream) {
    // It can only fail on a socket that is dead already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
