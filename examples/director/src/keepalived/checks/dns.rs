//! `DNS_CHECK`: a query to a name server.

use super::super::ast::Statement;
use super::super::diagnostic::Report;
use super::super::values;
use super::{Connection, ConnectionDraft, Outer};

/// A query over UDP (keepalived.conf(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DnsCheck {
    /// The server asked.
    pub connection: Connection,
    /// `type` of the records asked for. Default SOA.
    pub record_type: DnsType,
    /// `name` asked for. Default `.`, the root.
    pub name: String,
}

/// Record types that keepalived asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the record types")]
#[non_exhaustive]
pub enum DnsType {
    A,
    Ns,
    Cname,
    #[default]
    Soa,
    Mx,
    Txt,
    Aaaa,
    Rrsig,
    Dnskey,
}

/// Each type with its name and its number.
const TYPES: [(DnsType, &str, u16); 9] = [
    (DnsType::A, "A", 1),
    (DnsType::Ns, "NS", 2),
    (DnsType::Cname, "CNAME", 5),
    (DnsType::Soa, "SOA", 6),
    (DnsType::Mx, "MX", 15),
    (DnsType::Txt, "TXT", 16),
    (DnsType::Aaaa, "AAAA", 28),
    (DnsType::Rrsig, "RRSIG", 46),
    (DnsType::Dnskey, "DNSKEY", 48),
];

impl DnsType {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        TYPES
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(6, |&(.., code)| code)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    connection: ConnectionDraft,
    record_type: DnsType,
    name: Option<String>,
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "type" => {
                let expected = "one of A, NS, CNAME, SOA, MX, TXT, AAAA, RRSIG, DNSKEY";
                let found = values::word(statement, expected, report, |word| {
                    TYPES
                        .iter()
                        .find(|(_, name, _)| word.eq_ignore_ascii_case(name))
                });
                self.record_type = found.map_or(self.record_type, |&(kind, ..)| kind);
            }
            "name" => values::set(&mut self.name, values::text(statement, report)),
            _ => return self.connection.read(statement, report),
        }
        true
    }

    pub(super) fn finish(
        &self,
        outer: &Outer<'_>,
        statement: &Statement,
        report: &mut Report,
    ) -> DnsCheck {
        DnsCheck {
            connection: self.connection.finish(outer, true, statement, report),
            record_type: self.record_type,
            name: self.name.clone().unwrap_or_else(|| ".".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::{check, clean};
    use super::*;

    fn dns(text: &str) -> (DnsCheck, u32) {
        let check = clean(text);
        let CheckKind::Dns(dns) = check.kind else {
            panic!("dns")
        };
        (dns, check.timing.retry)
    }

    #[test]
    fn asks_for_the_root_zone_three_times_over_by_default() {
        let (check, retry) = dns("DNS_CHECK { }");
        assert_eq!(
            (check.record_type, check.name.as_str(), retry),
            (DnsType::Soa, ".", 3)
        );
        assert_eq!(check.record_type.code(), 6);
    }

    #[test]
    fn types_in_any_case() {
        let (check, _) = dns("DNS_CHECK {\n type mx\n name example.org\n}");
        assert_eq!(
            (check.record_type.code(), check.name.as_str()),
            (15, "example.org")
        );
    }

    #[test]
    fn other_types_are_refused() {
        let (_, messages) = check("DNS_CHECK {\n type CAA\n}");
        assert!(
            messages[0].contains("type: 'CAA' is not one of A, NS"),
            "{messages:?}"
        );
    }
}
