//! Lines and what becomes of them, as seen with ipvsadm 1.31; the kernel is the one in memory.

use core::fmt::Write as _;
use std::io::{self, Read};

use lvs_ipvs::{MemoryKernel, Options};

use super::*;

fn client() -> Client {
    let mut client = Client::in_memory().unwrap();
    client.set_options(Options::default().without_validation());
    client
}

/// Status, standard output and the table in the end.
fn restore(input: impl Read) -> (u8, String, String) {
    let mut client = client();
    let mut out = Vec::new();
    let status = Restore::new(&mut client).run(&mut out, input);
    let table = client.snapshot().unwrap().text().to_string();
    (status, String::from_utf8(out).unwrap(), table)
}

/// Input that comes slowly.
struct ByteByByte<'a>(&'a [u8]);

impl Read for ByteByByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

const ONE: &str = "-A -t 1.1.1.1:80 -s wlc\n";
const TWO: &str = "-A -t 1.1.1.2:80 -s wlc\n";

#[test]
fn what_ends_a_run_and_what_does_not() {
    let both = format!("{ONE}{TWO}");
    // A line between two services.
    for (line, status, expected) in [
        ("", 0, both.as_str()),
        ("  \t\r", 0, &both),
        ("ipvsadm", 0, &both),
        // The kernel refuses it.
        ("-A -t 1.1.1.1:80", 0, &both),
        ("-d -t 1.1.1.1:80 -r 10.0.0.1", 0, &both),
        // Unknown options and missing values, too, are passed over.
        ("-A -t 1.1.1.9:80 --bad", 0, &both),
        ("-A -t 1.1.1.9:80 -s", 0, &both),
        ("-Z", 0, &both),
        ("-C", 0, TWO),
        ("-L -n", 0, &both),
        ("-S -n", 0, &both),
        ("--set 1 2 3", 0, &both),
        // All else that is wrong ends the run.
        ("-A -t bad", 2, ONE),
        ("-A -t 1.1.1.9:80 extra", 2, ONE),
        ("-A -t 1.1.1.9:80 -w 1", 2, ONE),
        ("/sbin/ipvsadm -A -t 1.1.1.9:80", 2, ONE),
        ("-A -t \"1.1.1.9:80\"", 2, ONE),
        ("foo", 255, ONE),
        ("# comment", 255, ONE),
        ("--bad", 255, ONE),
        ("-n", 255, ONE),
        ("-R", 255, ONE),
        ("--stop-daemon", 255, ONE),
        ("-L -n -t 9.9.9.9:80", 1, ONE),
        ("-h", 0, ONE),
        ("-v --bad", 0, ONE),
    ] {
        let input = format!("-A -t 1.1.1.1:80\n{line}\n-A -t 1.1.1.2:80");
        for (got, _, table) in [
            restore(input.as_bytes()),
            restore(ByteByByte(input.as_bytes())),
        ] {
            assert_eq!((got, table.as_str()), (status, expected), "{line}");
        }
    }
}

#[test]
fn the_status_is_that_of_the_last_line_that_was_run() {
    for (input, status) in [
        ("", 0),
        ("\n\n", 0),
        ("-A -f 1\n-A -f 1", 255),
        ("-A -f 1\n-A -f 1\n\nipvsadm\n", 255),
        ("-A -f 1\n-A -f 1\n-D -f 1\n", 0),
        ("-A -f 1 --bad\n", 255),
        ("-A -f 1 --bad\n-Z\n", 0),
        ("-D -f 1\n-S\n", 0),
        ("-D -f 1\n-h\n", 0),
        ("--stop-daemon master\n", 255),
        (
            "--start-daemon master --mcast-interface lo\n--stop-daemon master\n",
            0,
        ),
    ] {
        assert_eq!(restore(input.as_bytes()).0, status, "{input}");
    }
}

#[test]
fn what_is_listed_in_between_shows_what_came_before() {
    let input = "-A -t 1.1.1.1:80\n-Sn\n-E -t 1.1.1.1:80 -s rr\n-S -n\n--set 1 2 3\n-L --timeout";
    let (status, out, _) = restore(input.as_bytes());
    let expected = format!("{ONE}-A -t 1.1.1.1:80 -s rr\nTimeout (tcp tcpfin udp): 1 2 3\n");
    assert_eq!((status, out), (0, expected));
}

/// More than one batch, with a mistake in each, and thresholds.
#[test]
fn long_inputs_go_through_in_order() {
    let mut input = String::from("-A -t 192.0.2.10:80 -s rr\n");
    let mut expected = input.clone();
    for host in 0..3 * BATCH {
        let rule = format!(
            "-a -t 192.0.2.10:80 -r 10.0.{}.{}:80 -m -w 1 -x 9 -y 7",
            host / 256,
            host % 256
        );
        writeln!(input, "{rule}").unwrap();
        writeln!(expected, "{rule}").unwrap();
        if host % 100 == 0 {
            writeln!(input, "{rule}").unwrap();
        }
    }
    let mut client = client();
    let mut out = Vec::new();
    let status = Restore::new(&mut client).run(&mut out, input.as_bytes());
    let table = client.snapshot().unwrap().table();
    assert_eq!(status, 0);
    assert_eq!(table.text().with_thresholds().to_string(), expected);
}

/// Standard input that fails behind the first lines.
struct Broken(io::Cursor<&'static str>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::InvalidData.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn what_was_read_before_input_fails_is_done() {
    let input = Broken(io::Cursor::new("-A -t 1.1.1.1:80\n-A -t 1.1.1.2:80"));
    let (status, _, table) = restore(input);
    assert_eq!((status, table.as_str()), (1, ONE));
}

/// A program at the other end of a pipe that writes a line, sees what came of it, and goes on.
struct Dialogue {
    kernel: MemoryKernel,
    written: u8,
}

impl Read for Dialogue {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut other = Client::with_transport(self.kernel.socket()).unwrap();
        assert_eq!(other.services().unwrap().len(), usize::from(self.written));
        if self.written == 3 {
            return Ok(0);
        }
        self.written += 1;
        let line = format!("-A -t 1.1.1.{}:80\n", self.written);
        line.as_bytes().read(buffer)
    }
}

#[test]
fn a_line_is_done_before_the_next_one_is_waited_for() {
    let kernel = MemoryKernel::default();
    let mut client = Client::with_transport(kernel.socket()).unwrap();
    let dialogue = Dialogue { kernel, written: 0 };
    let status = Restore::new(&mut client).run(&mut Vec::new(), dialogue);
    assert_eq!(status, 0);
    assert_eq!(client.services().unwrap().len(), 3);
}
