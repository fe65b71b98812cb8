//! `ip_vs_stats` and `ip_vs_stats_percpu`.

use lvs_ipvs::CounterWidth;
use lvs_ipvs::procfs::{CpuTotals, Totals};

use super::{RELEASES, recorded};

#[test]
fn totals_are_hexadecimal() {
    for release in RELEASES {
        let stats = Totals::read(recorded(release, "ip_vs_stats").as_bytes())
            .unwrap()
            .stats;
        assert_eq!(stats.width, CounterWidth::Bits64);
        let counters = (stats.connections, stats.packets_in, stats.packets_out);
        assert_eq!(counters, (0xb, 0x11, 0xb));
        assert_eq!((stats.bytes_in, stats.bytes_out), (0x422, 0x29a));
        let rates = stats.rates;
        let packets = (rates.connections, rates.packets_in, rates.packets_out);
        assert_eq!(packets, (1, 2, 1));
        let bytes = match release {
            "6.1.176" => (0x63, 0x3e),
            _ => (0x84, 0x53),
        };
        assert_eq!((rates.bytes_in, rates.bytes_out), bytes);
    }
}

#[test]
fn each_cpu_has_its_own_and_their_sum_is_the_same_as_the_totals() {
    for release in RELEASES {
        let totals = Totals::read(recorded(release, "ip_vs_stats").as_bytes()).unwrap();
        let text = recorded(release, "ip_vs_stats_percpu");
        let read = CpuTotals::read(text.as_bytes()).unwrap();
        assert_eq!(read.total, totals.stats);
        let mut cpu = totals.stats;
        cpu.rates = Default::default();
        assert_eq!(read.cpus, [(0, cpu)]);
        // More CPUs than ten: their numbers are hexadecimal, too.
        let row = text.lines().nth(2).unwrap();
        let many: String = (0..=17)
            .map(|cpu| format!("{cpu:3X}{}\n", &row[3..]))
            .collect();
        let many = text.replace(&format!("{row}\n"), &many);
        let read = CpuTotals::read(many.as_bytes()).unwrap();
        let numbers: Vec<_> = read.cpus.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..=17).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_cut_short_is_an_error_that_says_where() {
    let text = recorded("6.1.176", "ip_vs_stats_percpu");
    let lines: Vec<_> = text.lines().collect();
    for end in 0..lines.len() {
        let error = CpuTotals::read(lines[..end].join("\n").as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains(" line missing: expected "),
            "{error}"
        );
    }
    let text = recorded("6.1.176", "ip_vs_stats");
    let lines: Vec<_> = text.lines().collect();
    for end in 0..lines.len() {
        Totals::read(lines[..end].join("\n").as_bytes()).unwrap_err();
    }
    let wrong = text.replace("422", "42G");
    let error = Totals::read(wrong.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, column 41: incoming bytes \"42G\": \
         expected a hexadecimal number of at most 64 bits"
    );
    let wrong = text.replace("29A", "29A 1");
    let error = Totals::read(wrong.as_bytes()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("rest \"1\": expected the end of the line"),
        "{error}"
    );
}
