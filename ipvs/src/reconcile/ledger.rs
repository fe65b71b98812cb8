//! Which services are ours: IPVS entries carry no owner, so it is kept beside them (`OP-20`).

use core::fmt;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use crate::destination::DestinationKey;
use crate::service::ServiceKey;

/// Ends the line of a service that is not ours alone.
const SHARED: &str = " shared";

/// The services somebody created or adopted.
///
/// A [`Reconciler`](crate::Reconciler) keeps one and removes nothing that is not in it. It enters
/// a service when it makes the plan that creates it, so writing the ledger down before applying
/// the plan leaves no moment at which a crash makes a service ownerless; see
/// [`LedgerFile`](crate::LedgerFile).
///
/// `Display` and `FromStr` are a text of one line per service, followed by one for each
/// destination that is ours where others are not.
///
/// ```
/// use lvs_ipvs::{Ledger, ServiceKey};
///
/// let ledger: Ledger = "TCP 192.0.2.10:80\nfwmark 7 IPv6\n".parse()?;
/// assert!(ledger.contains(&ServiceKey::tcp("192.0.2.10:80".parse().unwrap())));
/// assert_eq!(ledger.to_string(), "TCP 192.0.2.10:80\nfwmark 7 IPv6\n");
/// # Ok::<(), lvs_ipvs::LedgerError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    services: BTreeMap<ServiceKey, Ownership>,
}

/// What of a service is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Ownership {
    /// All of it.
    Whole,
    /// It was there before; of its destinations these are ours.
    Shared(BTreeSet<DestinationKey>),
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            services: BTreeMap::new(),
        }
    }

    /// Whether the service, or some of it, is ours.
    #[must_use]
    pub fn contains(&self, service: &ServiceKey) -> bool {
        self.services.contains_key(service)
    }

    /// The services, sorted.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &ServiceKey> + '_ {
        self.services.keys()
    }

    /// Whether only some destinations of the service are ours, because it was merged with what
    /// was there ([`Adoption::Merge`](crate::Adoption::Merge)).
    #[must_use]
    pub fn is_shared(&self, service: &ServiceKey) -> bool {
        matches!(self.services.get(service), Some(Ownership::Shared(_)))
    }

    pub(crate) fn has_shared(&self) -> bool {
        let mut all = self.services.values();
        all.any(|ownership| matches!(ownership, Ownership::Shared(_)))
    }

    /// Of a shared service the destinations that are ours, sorted; none for others.
    pub fn own_destinations(
        &self,
        service: &ServiceKey,
    ) -> impl Iterator<Item = &DestinationKey> + '_ {
        let own = match self.services.get(service) {
            Some(Ownership::Shared(own)) => Some(own),
            _ => None,
        };
        own.into_iter().flatten()
    }

    /// Whether that destination is ours to remove.
    #[must_use]
    pub fn owns(&self, service: &ServiceKey, destination: &DestinationKey) -> bool {
        match self.services.get(service) {
            Some(Ownership::Whole) => true,
            Some(Ownership::Shared(own)) => own.contains(destination),
            None => false,
        }
    }

    /// Enters a service with all its destinations, present and future.
    pub fn insert(&mut self, service: ServiceKey) {
        self.services.insert(service, Ownership::Whole);
    }

    /// Enters a service of whose destinations none is ours yet, unless it is there already.
    pub fn insert_shared(&mut self, service: ServiceKey) {
        let empty = || Ownership::Shared(BTreeSet::new());
        self.services.entry(service).or_insert_with(empty);
    }

    /// Enters a destination of a shared service; those of others need no entry.
    pub fn insert_destination(&mut self, service: &ServiceKey, destination: DestinationKey) {
        if let Some(Ownership::Shared(own)) = self.services.get_mut(service) {
            own.insert(destination);
        }
    }

    /// Takes a service out.
    pub fn remove(&mut self, service: &ServiceKey) {
        self.services.remove(service);
    }

    /// Takes a destination of a shared service out.
    pub fn remove_destination(&mut self, service: &ServiceKey, destination: &DestinationKey) {
        if let Some(Ownership::Shared(own)) = self.services.get_mut(service) {
            own.remove(destination);
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&ServiceKey) -> bool) {
        self.services.retain(|service, _| keep(service));
    }

    pub(crate) fn retain_destinations(
        &mut self,
        mut keep: impl FnMut(&ServiceKey, &DestinationKey) -> bool,
    ) {
        for (service, ownership) in &mut self.services {
            if let Ownership::Shared(own) = ownership {
                own.retain(|destination| keep(service, destination));
            }
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, ownership) in &self.services {
            match ownership {
                Ownership::Whole => writeln!(f, "{service}")?,
                Ownership::Shared(own) => {
                    writeln!(f, "{service}{SHARED}")?;
                    own.iter().try_for_each(|key| writeln!(f, "  {key}"))?;
                }
            }
        }
        Ok(())
    }
}

/// A text that is no [`Ledger`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("ledger line {line} `{text}`: {limit}")]
pub struct LedgerError {
    line: usize,
    text: String,
    limit: &'static str,
}

impl LedgerError {
    /// The line, counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }
}

impl FromStr for Ledger {
    type Err = LedgerError;

    /// Reads what `Display` wrote. Empty lines and lines that start with `#` are skipped.
    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let mut ledger = Self::new();
        let mut last = None;
        for (line, content) in (1..).zip(text.lines()) {
            if content.trim().is_empty() || content.starts_with('#') {
                continue;
            }
            let limit = match content.strip_prefix("  ") {
                Some(destination) => {
                    let read = ledger.read_destination(last, destination);
                    read.ok_or("must be ADDRESS:PORT below a shared service")
                }
                None => {
                    last = ledger.read_service(content);
                    let read = last.map(|_| ());
                    read.ok_or("must be a service as it is printed, and shared if it is")
                }
            };
            limit.map_err(|limit| LedgerError {
                line,
                text: content.to_owned(),
                limit,
            })?;
        }
        Ok(ledger)
    }
}

impl Ledger {
    fn read_service(&mut self, text: &str) -> Option<ServiceKey> {
        let shared = text.strip_suffix(SHARED);
        let key = shared.unwrap_or(text).parse().ok()?;
        match shared {
            Some(_) => self.insert_shared(key),
            None => self.insert(key),
        }
        Some(key)
    }

    fn read_destination(&mut self, service: Option<ServiceKey>, text: &str) -> Option<()> {
        let service = service.filter(|service| self.is_shared(service))?;
        self.insert_destination(&service, text.parse().ok()?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;
    use crate::address::Family;
    use crate::service::Protocol;

    fn key(number: u8) -> ServiceKey {
        ServiceKey::tcp(([192, 0, 2, number], 80).into())
    }

    fn server(host: u8) -> DestinationKey {
        SocketAddr::from(([10, 0, 0, host], 80)).into()
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut ledger = Ledger::new();
        ledger.insert(key(1));
        ledger.insert(ServiceKey::udp("[2001:db8::1]:53".parse().unwrap()));
        ledger.insert(ServiceKey::sctp("192.0.2.1:5060".parse().unwrap()));
        ledger.insert(ServiceKey::Address {
            protocol: Protocol::from_number(50),
            address: "192.0.2.1".parse().unwrap(),
            port: 0,
        });
        ledger.insert(ServiceKey::firewall_mark(Family::Inet, u32::MAX));
        ledger.insert(ServiceKey::firewall_mark(Family::Inet6, 1));
        ledger.insert_shared(key(2));
        ledger.insert_destination(&key(2), server(9));
        ledger.insert_destination(
            &key(2),
            "[2001:db8::9]:80".parse::<SocketAddr>().unwrap().into(),
        );
        ledger.insert_shared(key(3));
        let text = ledger.to_string();
        assert_eq!(text.parse(), Ok(ledger), "{text}");
        assert!(text.contains("TCP 192.0.2.2:80 shared\n  10.0.0.9:80\n  [2001:db8::9]:80\n"));
    }

    #[test]
    fn a_shared_service_does_not_become_ours_by_being_shared_again() {
        let mut ledger = Ledger::new();
        ledger.insert(key(1));
        ledger.insert_shared(key(1));
        assert!(!ledger.is_shared(&key(1)));
        ledger.insert_shared(key(2));
        ledger.insert_destination(&key(2), server(1));
        ledger.insert_shared(key(2));
        assert!(ledger.owns(&key(2), &server(1)));
        assert!(!ledger.owns(&key(2), &server(2)));
        assert!(ledger.owns(&key(1), &server(2)));
        assert!(!ledger.owns(&key(3), &server(1)));
    }

    #[test]
    fn other_texts_are_refused_with_their_line() {
        for (text, line) in [
            ("TCP 192.0.2.1", 1),
            ("TCP", 1),
            ("\n# a comment\nICMP 192.0.2.1:80", 3),
            ("fwmark x", 1),
            ("fwmark 7 inet", 1),
            ("TCP 192.0.2.1:80 whole", 1),
            ("TCP 192.0.2.1:80 shared 1", 1),
            ("  10.0.0.1:80", 1),
            ("TCP 192.0.2.1:80\n  10.0.0.1:80", 2),
            ("TCP 192.0.2.1:80 shared\n  10.0.0.1", 2),
            ("protocol 70000 192.0.2.1:80", 1),
        ] {
            let error = text.parse::<Ledger>().unwrap_err();
            assert_eq!(error.line(), line, "{text}: {error}");
        }
        assert_eq!(
            "TCP 192.0.2.1:80\n  10.0.0.1:80"
                .parse::<Ledger>()
                .unwrap_err()
                .to_string(),
            "ledger line 2 `  10.0.0.1:80`: must be ADDRESS:PORT below a shared service"
        );
    }
}
