//! The writer of documents.
//!
//! Nothing that is written needs escaping: names are known words, addresses and numbers.

use core::fmt;
use core::time::Duration;

use crate::flow::Protocol;
use crate::persistence::PersistenceMask;
use crate::scenario::event::{Change, Event};
use crate::scenario::kernel::Kernel;
use crate::scenario::{Scenario, Server};
use crate::semantics::Semantics;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{{\n  \"scheduler\": \"{}\",", self.algorithm())?;
        if let Some(flags) = Flags::of(self) {
            writeln!(f, "  \"flags\": {flags},")?;
        }
        if self.semantics() != Semantics::LINUX_6_1 {
            writeln!(f, "  \"kernel\": {},", Kernel(self.semantics()))?;
        }
        if self.protocol() != Protocol::Tcp {
            writeln!(f, "  \"protocol\": \"{}\",", name(self.protocol()))?;
        }
        writeln!(f, "  \"virtual\": \"{}\",", self.target())?;
        if let Some(persistence) = self.persistence() {
            writeln!(f, "  \"persistent\": {},", persistence.timeout().as_secs())?;
            match persistence.mask() {
                PersistenceMask::Client => {}
                PersistenceMask::Inet(mask) => writeln!(f, "  \"mask\": \"{mask}\",")?,
                PersistenceMask::Inet6(length) => writeln!(f, "  \"mask\": {length},")?,
            }
        }
        if self.seed() != 0 {
            writeln!(f, "  \"seed\": {},", self.seed())?;
        }
        f.write_str("  \"servers\": ")?;
        list(f, self.servers())?;
        f.write_str(",\n  \"events\": ")?;
        list(f, self.events())?;
        f.write_str("\n}\n")
    }
}

/// The name of a protocol in a document.
const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    let mut before = "[\n    ";
    for item in items {
        write!(f, "{before}{item}")?;
        before = ",\n    ";
    }
    f.write_str(if items.is_empty() { "[]" } else { "\n  ]" })
}

/// Displays the flags under the names that fit the scheduler.
struct Flags {
    scheduler: &'static str,
    fallback: bool,
    port: bool,
}

impl Flags {
    /// None if no flag is set. Other schedulers than mh get the names of sh.
    fn of(scenario: &Scenario) -> Option<Self> {
        let flags = scenario.flags();
        let (fallback, port) = (flags.fallback(), flags.port());
        (fallback || port).then(|| Self {
            scheduler: if scenario.algorithm().name() == "mh" {
                "mh"
            } else {
                "sh"
            },
            fallback,
            port,
        })
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheduler = self.scheduler;
        match (self.fallback, self.port) {
            (true, true) => write!(f, "[\"{scheduler}-fallback\", \"{scheduler}-port\"]"),
            (true, false) => write!(f, "[\"{scheduler}-fallback\"]"),
            (false, true) => write!(f, "[\"{scheduler}-port\"]"),
            (false, false) => f.write_str("[]"),
        }
    }
}

/// The server as an object of the document.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination();
        write!(
            f,
            "{{\"id\": {}, \"address\": \"{}\", \"weight\": {}",
            self.id(),
            destination.address(),
            destination.weight()
        )?;
        if destination.upper() != 0 {
            write!(f, ", \"upper\": {}", destination.upper())?;
        }
        if destination.lower() != 0 {
            write!(f, ", \"lower\": {}", destination.lower())?;
        }
        f.write_str("}")
    }
}

/// The event as an object of the document.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"op\": \"{}\"", self.op())?;
        match self {
            Self::Flow { client, to } => {
                write!(f, ", \"client\": \"{client}\"")?;
                if let Some(to) = to {
                    write!(f, ", \"to\": \"{to}\"")?;
                }
            }
            Self::Establish { flow } | Self::Close { flow } | Self::Expire { flow } => {
                write!(f, ", \"flow\": {flow}")?;
            }
            Self::Add(change) | Self::Edit(change) => fields(f, change)?,
            Self::Remove { id } => write!(f, ", \"id\": {id}")?,
            Self::Advance { by } => write!(f, ", \"seconds\": {}", Seconds(*by))?,
        }
        f.write_str("}")
    }
}

fn fields(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    write!(f, ", \"id\": {}", change.id())?;
    if let Some(address) = change.address() {
        write!(f, ", \"address\": \"{address}\"")?;
    }
    let numbers = [
        ("weight", change.weight()),
        ("upper", change.upper()),
        ("lower", change.lower()),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            write!(f, ", \"{name}\": {number}")?;
        }
    }
    Ok(())
}

/// Displays seconds with as many decimals as are needed.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fraction, mut digits) = (self.0.subsec_micros(), 6);
        write!(f, "{}", self.0.as_secs())?;
        if fraction == 0 {
            return Ok(());
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")
    }
}
