//! Any bytes as a file of `/proc/net`: all readers.

use std::io::BufReader;

use lvs_ipvs::procfs::{
    Applications, Connection, Connections, CpuTotals, ListedService, MalformedLine, Origin,
    ReadError, Services, ServicesRow, Status, Totals,
};
use lvs_ipvs::sysctl::CpuList;

/// Reads the bytes as each of the files. What was read is the same after it was written again,
/// and however the bytes come in.
pub(crate) fn check(bytes: &[u8]) {
    connections(bytes);
    services(bytes);
    let places = Places::of(bytes);
    for read in Applications::new(bytes) {
        places.check(read.map(drop));
    }
    places.check(Totals::read(bytes).map(drop));
    places.check(CpuTotals::read(bytes).map(drop));
    let status = Status::read(bytes).expect("memory can be read");
    assert!(status.lines.len() <= 256);
    if let Ok(cpus) = String::from_utf8_lossy(bytes).parse::<CpuList>() {
        assert_eq!(cpus.to_string().parse(), Ok(cpus));
    }
}

/// The lengths of the lines, to check where errors point.
struct Places {
    lengths: Vec<usize>,
}

impl Places {
    fn of(bytes: &[u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n');
        Self {
            lengths: lines.map(<[u8]>::len).collect(),
        }
    }

    fn check<T>(&self, read: Result<T, ReadError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(ReadError::Malformed(line)) => {
                self.check_place(&line);
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check_place(&self, error: &MalformedLine) {
        let number = usize::try_from(error.line()).expect("few lines");
        // A line that is missing is the one after the last.
        let length = self.lengths.get(number - 1).copied().unwrap_or_default();
        assert!(number <= self.lengths.len() + 1, "{error}");
        assert!((1..=length + 1).contains(&error.column()), "{error}");
        // At most four letters for each byte.
        assert!(
            error.text().len() <= 256 && error.text().is_ascii(),
            "{error}"
        );
        assert!(error.to_string().contains(error.expected()), "{error}");
        assert!(error.to_string().contains(error.field()), "{error}");
    }
}

fn connections(bytes: &[u8]) {
    let places = Places::of(bytes);
    let mut rows = Connections::new(bytes);
    // In pieces of three bytes, and as values.
    let mut in_pieces = Connections::new(BufReader::with_capacity(3, bytes));
    let mut count = 0;
    while let Some(row) = rows.next_row() {
        count += 1;
        assert!(count <= places.lengths.len());
        let other = in_pieces.next().expect("as many rows");
        let Some(row) = places.check(row) else {
            other.expect_err("the same");
            continue;
        };
        let connection = row.to_connection();
        assert_eq!(other.expect("the same"), connection);
        assert!(row.line.starts_with(row.protocol_text.as_bytes()) || row.line.starts_with(b" "));

        let text = written(row.protocol_text, &connection);
        let mut again = Connections::new(text.as_slice());
        let read = again.next().expect("a row").expect("what was read before");
        assert_eq!(read, connection);
        assert!(again.next().is_none());

        assert!(connection.is_to(&connection.destination));
        if let Some(key) = connection.service_key() {
            assert!(connection.is_of(&key));
            assert_eq!(connection.mark().is_some(), key.port().is_none());
        }
        assert!(connection.is_template() || !connection.is_invalidated());
    }
    assert!(in_pieces.next().is_none());
}

/// A line as the kernel writes it, but for the width of addresses of IPv6, which it does not
/// shorten either.
fn written(protocol: &str, connection: &Connection) -> Vec<u8> {
    let Connection {
        client,
        virtual_address,
        destination,
        state,
        expires_in,
        origin,
        engine,
        engine_data,
        ..
    } = connection;
    let address = |address| match address {
        core::net::IpAddr::V4(address) => format!("{:08X}", address.to_bits()),
        core::net::IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:04x}"));
            groups.join(":")
        }
    };
    let mut text = format!(
        "{protocol:<3} {} {:04X} {} {:04X} {} {:04X} {state:<11} ",
        address(client.ip()),
        client.port(),
        address(virtual_address.ip()),
        virtual_address.port(),
        address(destination.address),
        destination.port,
    );
    text += match origin {
        None => "",
        Some(Origin::Local) => "LOCAL  ",
        Some(Origin::Sync) => "SYNC   ",
    };
    text += &format!("{:>7}", expires_in.as_secs());
    let mut text = text.into_bytes();
    if let Some(engine) = engine {
        text.push(b' ');
        text.extend_from_slice(engine.as_bytes());
        text.push(b' ');
        text.extend_from_slice(engine_data);
    }
    text.push(b'\n');
    text
}

fn services(bytes: &[u8]) {
    let places = Places::of(bytes);
    let mut rows = Services::new(bytes);
    let mut row_services = Vec::<ListedService>::new();
    let (mut errors, mut orphans) = (0, 0);
    let mut has_service = false;
    while let Some(row) = rows.next_row() {
        match row {
            Ok(ServicesRow::Info(info)) => assert_eq!(rows.info(), Some(info)),
            Ok(ServicesRow::Service(service)) => {
                assert!(service.destinations.is_empty());
                row_services.push(service);
                has_service = true;
            }
            Ok(ServicesRow::Destination(destination)) => {
                match row_services.last_mut().filter(|_| has_service) {
                    Some(service) => service.destinations.push(destination),
                    None => orphans += 1,
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                errors += 1;
                let ReadError::Malformed(line) = &error else {
                    panic!("{error}")
                };
                let number = usize::try_from(line.line()).expect("few lines");
                let text = bytes.split(|byte| *byte == b'\n').nth(number - 1);
                has_service &= text.is_some_and(|text| text.starts_with(b"  -> "));
                places.check::<()>(Err(error));
            }
        }
    }
    // As values: the same services, whole, and an error for all that belongs to none.
    let mut services = Vec::new();
    let mut failures = 0;
    for service in Services::new(BufReader::with_capacity(3, bytes)) {
        match places.check(service) {
            Some(service) => services.push(service),
            None => failures += 1,
        }
    }
    assert_eq!(services, row_services);
    assert_eq!(failures, errors + orphans);
}
