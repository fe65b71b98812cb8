//! Small HTTP servers that say who they are, and that can be stopped and restarted.
//!
//! | Path | Answer |
//! |---|---|
//! | `/` | `server 2` and a line end |
//! | `/health` | `healthy` and a line end; not counted among the requests |
//! | `/size/N` | N bytes, at most [`MAX_SIZE`] |
//! | `/slow/N` | as `/`, after N milliseconds, at most [`MAX_SLOW_MILLIS`] |

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::str::FromStr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::FarmError;
use super::listen::listen;
use super::stats::Counter;

/// Bytes that `/size/N` answers at most, as each answer is held in memory.
const MAX_SIZE: usize = 16 * 1024 * 1024;

/// Milliseconds that `/slow/N` waits at most.
const MAX_SLOW_MILLIS: u64 = 60_000;

/// What is known of a server.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WebServer {
    /// Its number, from 1, as in its answers.
    pub number: usize,
    /// The address it is on; the same after a restart.
    pub address: SocketAddr,
    /// Whether it accepts connections.
    pub running: bool,
    /// Requests answered, but for those of checks.
    pub requests: u64,
}

/// One server: its address and, while it runs, its tasks.
#[derive(Debug)]
pub(super) struct Server {
    shared: Arc<Shared>,
    running: Option<Running>,
}

/// Reads a server's status from any thread.
#[derive(Clone, Debug)]
pub(super) struct ServerHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    number: usize,
    address: SocketAddr,
    running: AtomicBool,
    requests: Counter,
}

#[derive(Debug)]
struct Running {
    /// Accepts connections; each runs as a task of its own that ends when `stop` says so.
    accepting: JoinHandle<io::Result<()>>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Binds `address` and starts serving; to be called on the event loop.
    pub(super) fn bind(number: usize, address: SocketAddr) -> Result<Self, FarmError> {
        let refused = |source| FarmError::Bind {
            role: role(number),
            address,
            source,
        };
        let listener = listen(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (running, requests) = (AtomicBool::new(false), Counter::default());
        let shared = Arc::new(Shared {
            number,
            address,
            running,
            requests,
        });
        let mut server = Self {
            shared,
            running: None,
        };
        server.serve(listener);
        Ok(server)
    }

    pub(super) fn handle(&self) -> ServerHandle {
        ServerHandle(Arc::clone(&self.shared))
    }

    /// Binds the former address again; `false` if the server is running.
    pub(super) fn start(&mut self) -> Result<bool, FarmError> {
        if self.running.is_some() {
            return Ok(false);
        }
        let Shared {
            number, address, ..
        } = *self.shared;
        let refused = |source| FarmError::Bind {
            role: role(number),
            address,
            source,
        };
        let listener = listen(address).map_err(refused)?;
        self.serve(listener);
        Ok(true)
    }

    /// Closes the listener and all connections; `false` if the server is not running.
    pub(super) async fn stop(&mut self) -> bool {
        let Some(Running { accepting, stop }) = self.running.take() else {
            return false;
        };
        self.shared.running.store(false, Ordering::Relaxed);
        accepting.abort();
        // Cancelled, as just asked for; the listener is closed by now.
        let _ = accepting.await;
        stop.send_replace(true);
        // Every connection has a receiver and drops it when it is closed.
        stop.closed().await;
        true
    }

    fn serve(&mut self, listener: TcpListener) {
        let (stop, stopped) = watch::channel(false);
        let router = router(Arc::clone(&self.shared));
        let listener = StoppableListener { listener, stopped };
        let accepting = tokio::spawn(async move { axum::serve(listener, router).await });
        self.shared.running.store(true, Ordering::Relaxed);
        self.running = Some(Running { accepting, stop });
    }
}

impl ServerHandle {
    pub(super) fn status(&self) -> WebServer {
        let Shared {
            number,
            address,
            running,
            requests,
        } = &*self.0;
        WebServer {
            number: *number,
            address: *address,
            running: running.load(Ordering::Relaxed),
            requests: requests.get(),
        }
    }
}

fn role(number: usize) -> String {
    format!("server {number}")
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(name))
        .route("/health", get(async || "healthy\n"))
        .route("/size/{bytes}", get(sized))
        .route("/slow/{milliseconds}", get(slow))
        .with_state(shared)
}

async fn name(State(shared): State<Arc<Shared>>) -> String {
    shared.requests.increment();
    format!("server {}\n", shared.number)
}

async fn sized(
    State(shared): State<Arc<Shared>>,
    Path(bytes): Path<String>,
) -> Result<Vec<u8>, (StatusCode, String)> {
    let bytes = at_most("size", &bytes, MAX_SIZE)?;
    shared.requests.increment();
    Ok(vec![b'x'; bytes])
}

async fn slow(
    state: State<Arc<Shared>>,
    Path(milliseconds): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let milliseconds = at_most("milliseconds", &milliseconds, MAX_SLOW_MILLIS)?;
    sleep(Duration::from_millis(milliseconds)).await;
    Ok(name(state).await)
}

fn at_most<T>(what: &str, text: &str, limit: T) -> Result<T, (StatusCode, String)>
where
    T: core::fmt::Display + FromStr + PartialOrd,
{
    let value = text.parse().ok().filter(|value| *value <= limit);
    let refusal = || format!("{what} {text:?} is not a number from 0 to {limit}\n");
    value.ok_or_else(|| (StatusCode::BAD_REQUEST, refusal()))
}

/// A listener whose connections end when the server is stopped.
#[derive(Debug)]
struct StoppableListener {
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
}

impl Listener for StoppableListener {
    type Io = StoppableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let mut stopped = self.stopped.clone();
        let stopped = Box::pin(async move {
            // An error means that the sender is gone, which ends the server as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        (
            StoppableStream {
                stream,
                stopped: Some(stopped),
            },
            peer,
        )
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails as soon as the server is stopped, as if the process had died.
struct StoppableStream {
    stream: TcpStream,
    /// `None` once it has happened.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl StoppableStream {
    /// The stream, unless the server is stopped; the task is woken when it is.
    fn running(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        if let Some(stopped) = &mut self.stopped
            && stopped.as_mut().poll(context).is_pending()
        {
            return Ok(Pin::new(&mut self.stream));
        }
        self.stopped = None;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for StoppableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.running(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for StoppableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.running(context)?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.running(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.running(context)?.poll_shutdown(context)
    }
}
