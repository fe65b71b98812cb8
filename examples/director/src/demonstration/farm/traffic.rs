//! Clients of the demonstration's own, so that there is traffic without typing.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::stats::Counters;

/// So many of them come in a second at most.
pub const MAX_RATE: u32 = 1_000;

/// So many may wait for their answer; while they do, no more come.
const MOST: usize = 200;

/// How long one waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: demonstration\r\nconnection: close\r\n\r\n";

/// Lets clients come, as many in a second as `rate` says, until nobody says any more.
pub(super) async fn run(
    address: SocketAddr,
    mut rate: watch::Receiver<u32>,
    counters: Arc<Counters>,
) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut next = Instant::now();
    loop {
        let per_second = *rate.borrow_and_update();
        let Some(space) = Duration::from_secs(1).checked_div(per_second) else {
            if rate.changed().await.is_err() {
                return;
            }
            next = Instant::now();
            continue;
        };
        // Those that could not come in time do not come all at once.
        next = Instant::now().max(next + space);
        sleep_until(next).await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let counters = Arc::clone(&counters);
        tokio::spawn(async move {
            let answer = timeout(PATIENCE, fetch(address)).await;
            let counter = match answer {
                Ok(Ok(true)) => &counters.clients_answered,
                _ => &counters.clients_failed,
            };
            counter.increment();
            drop(place);
        });
    }
}

/// Whether there was a whole answer.
async fn fetch(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    // A few lines; whoever answers at length is cut off.
    stream.take(4_096).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
