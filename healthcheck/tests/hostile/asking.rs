//! A user's own function, as simple as they are: connects, reads a line, has few limits.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read};
use std::net::TcpStream;

use lvs_healthcheck::{Attempt, Code, Outcome, Phase};

/// The longest line it puts up with.
const LINE: usize = 1000;

/// Blocks, and gives up a while after it is too late.
pub(super) fn blocking(at: SocketAddr, attempt: &Attempt) -> Outcome {
    let limit = attempt.deadline - attempt.started + Duration::from_millis(300);
    let heard = || {
        let mut stream = TcpStream::connect_timeout(&at, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let mut heard = Vec::new();
        while more(&heard) {
            let mut buffer = [0; 100];
            match stream.read(&mut buffer)? {
                0 => break,
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(heard)
    };
    judge(heard())
}

#[cfg(feature = "tokio")]
pub(super) async fn waiting(at: SocketAddr) -> Outcome {
    let heard = async {
        let stream = tokio::net::TcpStream::connect(at).await?;
        let mut heard = Vec::new();
        while more(&heard) {
            stream.readable().await?;
            let mut buffer = [0; 100];
            match stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(heard)
    };
    judge(heard.await)
}

fn more(heard: &[u8]) -> bool {
    !heard.contains(&b'\n') && heard.len() <= LINE
}

fn judge(heard: io::Result<Vec<u8>>) -> Outcome {
    let heard = match heard {
        Ok(heard) => heard,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            return Outcome::new(Code::Reset, Phase::Recv);
        }
        Err(error) => {
            return Outcome::new(Code::LocalSocket, Phase::Recv).with_detail(&error.to_string());
        }
    };
    let code = match heard.iter().position(|byte| *byte == b'\n') {
        Some(end) if &heard[..end] == b"READY" => Code::Ok,
        Some(_) => Code::Content,
        None if more(&heard) => Code::EofEarly,
        None => Code::Proto,
    };
    Outcome::new(code, Phase::Match)
}
