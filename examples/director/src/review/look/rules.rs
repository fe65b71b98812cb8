//! Firewall marks, as rules of nftables, iptables and traffic control set them.

use super::super::host::Marks;

/// Takes the rules of `nft list ruleset`.
pub(super) fn nftables(text: &str, marks: &mut Marks) {
    for line in text.lines() {
        let Some((_, value)) = line.split_once("mark set ") else {
            continue;
        };
        let mut words = value.split_whitespace();
        match words.next().and_then(number) {
            // A number, not the beginning of a calculation.
            Some(mark) if !matches!(words.next(), Some("|" | "&" | "^" | "<<" | ">>")) => {
                marks.set.insert(mark);
            }
            _ => of_expression(value, marks),
        }
    }
}

/// A map, a hash, or the mark of before with some bits changed.
fn of_expression(value: &str, marks: &mut Marks) {
    let words = value.split(|character: char| !character.is_ascii_alphanumeric());
    let numbers = words
        .filter(|word| word.starts_with("0x"))
        .filter_map(number);
    if value.starts_with("meta mark") || value.starts_with("ct mark &") {
        marks.partly.extend(numbers);
    } else {
        marks.set.extend(numbers);
        marks.has_others = true;
    }
}

/// Takes the rules of `iptables-save` or `ip6tables-save`.
pub(super) fn iptables(text: &str, marks: &mut Marks) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if !words.any(|word| matches!(word, "--set-xmark" | "--set-mark")) {
            continue;
        }
        if let Some(value) = words.next() {
            of_value(value, marks);
        }
    }
}

/// `0x3` or `0x3/0xff`
fn of_value(value: &str, marks: &mut Marks) {
    let (mark, mask) = value.split_once('/').unwrap_or((value, "0xffffffff"));
    match (number(mark), number(mask)) {
        (Some(mark), Some(u32::MAX)) => {
            marks.set.insert(mark);
        }
        (Some(mark), _) => {
            marks.partly.insert(mark);
        }
        _ => {}
    }
}

/// Takes the filters of `tc filter show`.
pub(super) fn traffic_control(text: &str, marks: &mut Marks) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        // A program may set any mark.
        if line.contains(" bpf ") {
            marks.has_others = true;
        }
        if words.any(|word| word == "skbedit")
            && words.any(|word| word == "mark")
            && let Some(value) = words.next()
        {
            of_value(value, marks);
        }
    }
}

/// `0x3` or `3`
fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured with `nft list ruleset`, nftables 1.0.6.
    #[test]
    fn marks_of_nftables() {
        let text = "table inet lvs {\n\tchain prerouting {\n\
                    \t\ttype filter hook prerouting priority mangle; policy accept;\n\
                    \t\tip daddr 192.0.2.1 tcp dport 80 meta mark set 0x00000003\n\
                    \t\tip daddr 192.0.2.1 tcp dport 81 meta mark set meta mark | 0x00000010\n\
                    \t\tmeta mark 0x00000063 accept\n\t}\n}\n";
        let mut marks = Marks::default();
        nftables(text, &mut marks);
        assert_eq!((marks.set, marks.has_others), ([3].into(), false));
        assert_eq!(marks.partly, [16].into());
        let text = "\t\tmeta mark set tcp dport map { 80 : 0x00000005, 81 : 0x00000006 }\n\
                    \t\tmeta mark set jhash ip saddr mod 2 offset 8\n";
        let mut marks = Marks::default();
        nftables(text, &mut marks);
        assert_eq!((marks.set, marks.has_others), ([5, 6].into(), true));
    }

    /// In the form of `iptables-save`.
    #[test]
    fn marks_of_iptables() {
        let text = "*mangle\n:PREROUTING ACCEPT [0:0]\n\
                    -A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark \
                    0x3/0xffffffff\n\
                    -A PREROUTING -d 192.0.2.1/32 -j MARK --set-xmark 0x10/0xff\n\
                    -A PREROUTING -m mark --mark 0x63 -j ACCEPT\nCOMMIT\n";
        let mut marks = Marks::default();
        iptables(text, &mut marks);
        assert_eq!(marks.set, [3].into());
        assert_eq!(marks.partly, [16].into());
        assert!(!marks.has_others);
    }

    /// Captured with `tc filter show dev va ingress`, iproute2 6.1.
    #[test]
    fn marks_of_traffic_control() {
        let text = "filter protocol ip pref 49152 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 \
                    terminal flowid not_in_hw\n  match c0000201/ffffffff at 16\n\
                    \taction order 1: skbedit  mark 3 pipe\n\t index 1 ref 1 bind 1\n\
                    \taction order 1: skbedit  mark 16/0xff pipe\n\
                    \taction order 1: skbedit  priority :7 pipe\n";
        let mut marks = Marks::default();
        traffic_control(text, &mut marks);
        assert_eq!((marks.set, marks.partly), ([3].into(), [16].into()));
        assert!(!marks.has_others);
        let text = "filter protocol all pref 1 bpf chain 0 handle 0x1 mark.o:[tc] direct-action\n";
        let mut marks = Marks::default();
        traffic_control(text, &mut marks);
        assert!(marks.has_others);
    }
}
