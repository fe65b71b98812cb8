//! Command lines and what becomes of them, as seen with ipvsadm 1.31.

use lvs_ipvs::text::parse::NumbersOnly;

use super::*;

/// What a command line comes to, or the exit status.
fn read(line: &str) -> Result<String, u8> {
    // Split by hand: the empty word matters here.
    let words: Vec<&str> = line.split(' ').collect();
    match Command::read(words.into_iter(), &mut NumbersOnly) {
        Ok(Command::Change(change)) => Ok(change.to_string()),
        Ok(other) => Ok(format!("{other:?}")),
        Err(failure) => Err(failure.status()),
    }
}

fn assert_reads_as(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let expected = Ok((*expected).to_owned());
        assert_eq!(read(line), expected, "{line}");
    }
}

fn assert_refused(status: u8, lines: &[&str]) {
    for line in lines {
        assert_eq!(read(line), Err(status), "{line}");
    }
}

#[test]
fn services() {
    assert_reads_as(&[
        ("-A -t 1.2.3.4:80", "ipvsadm -A -t 1.2.3.4:80 -s wlc"),
        ("-At1.2.3.4:80 -srr", "ipvsadm -A -t 1.2.3.4:80 -s rr"),
        (
            "--add-service --tcp-service=1.2.3.4:80 --scheduler rr",
            "ipvsadm -A -t 1.2.3.4:80 -s rr",
        ),
        ("-A -t 1.2.3.4:80 -s ", "ipvsadm -A -t 1.2.3.4:80 -s wlc"),
        (
            "-A -t 1.2.3.4:80 -p",
            "ipvsadm -A -t 1.2.3.4:80 -s wlc -p 360",
        ),
        (
            "-A -t 1.2.3.4:80 -p --",
            "ipvsadm -A -t 1.2.3.4:80 -s wlc -p 360",
        ),
        (
            "-A -t 1.2.3.4 -p5 -M 255.255.0.0",
            "ipvsadm -A -t 1.2.3.4:0 -s wlc -p 5 -M 255.255.0.0",
        ),
        (
            "-A -M 255.255.0.0 -t 1.2.3.4:80 -p",
            "ipvsadm -A -t 1.2.3.4:80 -s wlc -p 360 -M 255.255.0.0",
        ),
        // A mask read before the service turned out to be IPv6 does not count.
        (
            "-A -M 0.0.0.64 -t [fd00::1]:80 -p",
            "ipvsadm -A -t [fd00::1]:80 -s wlc -p 360",
        ),
        (
            "-A -t [fd00::1]:80 -p -M 064",
            "ipvsadm -A -t [fd00::1]:80 -s wlc -p 360 -M 64",
        ),
        ("-A -f 010", "ipvsadm -A -f 10 -s wlc"),
        ("-A -f 4294967295 -6", "ipvsadm -A -f 4294967295 -6 -s wlc"),
        ("-A -f 5 -6 -6", "ipvsadm -A -f 5 -6 -s wlc"),
        (
            "-A -f 5 -p -M 255.255.255.0 -6",
            "ipvsadm -A -f 5 -6 -s wlc -p 360",
        ),
        ("-A -f 1 -o", "ipvsadm -A -f 1 -s wlc -o"),
        (
            "-A -u 1.2.3.4:53 -osrr --pe sip -p",
            "ipvsadm -A -u 1.2.3.4:53 -s rr -p 360 --pe sip -o",
        ),
        ("-A -t 1.2.3.4:80 --pe ", "ipvsadm -A -t 1.2.3.4:80 -s wlc"),
        (
            "-A -t 1.2.3.4:80 -b sh-port,,sh-fallback, -s sh",
            "ipvsadm -A -t 1.2.3.4:80 -s sh -b sh-fallback,sh-port",
        ),
        (
            "-A -t 1.2.3.4:80 -b flag-1 -s mh",
            "ipvsadm -A -t 1.2.3.4:80 -s mh -b mh-fallback",
        ),
        ("-A -t 1.2.3.4:80 -b ", "ipvsadm -A -t 1.2.3.4:80 -s wlc"),
        (
            "-E --sctp-service 1.2.3.4:80 --sort",
            "ipvsadm -E --sctp-service 1.2.3.4:80 -s wlc",
        ),
        ("-D -t 1.2.3.4", "ipvsadm -D -t 1.2.3.4:0"),
        ("-Z", "ipvsadm -Z"),
        ("-Z -f 5", "ipvsadm -Z -f 5"),
        ("-C", "ipvsadm -C"),
    ]);
    assert_refused(
        2,
        &[
            "-A",
            "-A -s rr",
            "-A ",
            "-A -t ",
            "-A -t 1.2.3.4",
            "-A -t 1.2.3.4:80 extra",
            "-A extra -t 1.2.3.4:80",
            "-A -- -t 1.2.3.4:80",
            "-A -t 1.2.3.4:80 -t 1.2.3.5:80",
            "-A -t 1.2.3.4:80 -f 5",
            "-A -t 1.2.3.4:80 -s rr -s wrr",
            "-A -t 1.2.3.4:80 -A",
            "-A -t 1.2.3.4:80 -h",
            "-A -t 1.2.3.4:80 -p ",
            "-A -t 1.2.3.4:80 -p 0",
            "-A -t 1.2.3.4:80 -p=-5",
            "-A -t 1.2.3.4:80 -p 2678401",
            "-A -t 1.2.3.4:80 -o",
            "-A --sctp-service 1.2.3.4:80 -o",
            "-A -t 1.2.3.4:80 -6",
            "-A -6 -f 5",
            "-A -f 0",
            "-A -f -1",
            "-A -f 4294967296",
            "-A -f 5 -6 -p -M 129",
            "-A -t 1.2.3.4:80 -M 255.255.255.0/24",
            "-A -t 1.2.3.4:80 -b flag-4",
            "-A -t 1.2.3.4:80 -b sh-port",
            "-A -t 1.2.3.4:80 -s mh -b sh-port",
            "-A -t 1.2.3.4:80 -s sh -b sh-port,mh-port",
            "-A -t 1.2.3.4:80 -w 1",
            "-A -t 1.2.3.4:80 -n",
            "-A -t 1.2.3.4:80 -r 10.0.0.1",
            "-D -t 1.2.3.4:80 -s rr",
            "-D",
            "-C -t 1.2.3.4:80",
            "-Z -s rr",
            "-Z x",
        ],
    );
}

#[test]
fn destinations() {
    let service = "-t 1.2.3.4:80";
    for (options, expected) in [
        ("-r 10.0.0.1", "10.0.0.1:80 -g -w 1"),
        ("-r 10.0.0.1:8080", "10.0.0.1:80 -g -w 1"),
        ("-r 10.0.0.1:8080 -i", "10.0.0.1:80 -i -w 1"),
        ("-r 10.0.0.1:8080 -m", "10.0.0.1:8080 -m -w 1"),
        ("-r 10.0.0.1:0 -m", "10.0.0.1:0 -m -w 1"),
        ("-mw5 -r 10.0.0.1", "10.0.0.1:80 -m -w 5"),
        ("-r [fd00::1]:90 -i", "[fd00::1]:80 -i -w 1"),
        (
            "-r 10.0.0.1 -x 7 -y +3 -w 0",
            "10.0.0.1:80 -g -w 0 -x 7 -y 3",
        ),
        // What only the kernel refuses.
        ("-r 10.0.0.1 -y 5", "10.0.0.1:80 -g -w 1 -y 5"),
        (
            "-r 10.0.0.1 --tun-port 6080 --tun-type gue -i",
            "10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
        (
            "-i -r 10.0.0.1 --tun-type=gre --tun-csum",
            "10.0.0.1:80 -i -w 1 --tun-type gre --tun-csum",
        ),
    ] {
        let line = format!("-a {service} {options}");
        let expected = format!("ipvsadm -a {service} -r {expected}");
        assert_eq!(read(&line), Ok(expected), "{line}");
    }
    assert_reads_as(&[
        // The port of the service is not known yet.
        (
            "-a -r 10.0.0.1 -t 1.2.3.4:80 -m",
            "ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1:0 -m -w 1",
        ),
        (
            "-e -f 7 -r 10.0.0.1:80",
            "ipvsadm -e -f 7 -r 10.0.0.1:80 -g -w 1",
        ),
        (
            "-d -t 1.2.3.4:80 -r 10.0.0.1:81",
            "ipvsadm -d -t 1.2.3.4:80 -r 10.0.0.1:81",
        ),
        (
            "-d -t 1.2.3.4:80 -r fd00::1",
            "ipvsadm -d -t 1.2.3.4:80 -r [fd00::1]:80",
        ),
    ]);
    for options in [
        "",
        "-r ",
        "-r :80",
        "-r 10.0.0.1 -g -m",
        "-r 10.0.0.1 -gm",
        "-r 10.0.0.1 -g -g",
        "-r 10.0.0.1 -r 10.0.0.2",
        "-r 10.0.0.1 -w 2147483648",
        "-r 10.0.0.1 -w -1",
        "-r 10.0.0.1 -w 3x",
        "-r 10.0.0.1 -x ",
        "-r 10.0.0.1 -y 2147483648",
        "-r fd00::1",
        "-r fd00::1 -m",
        "-r 10.0.0.1 -p",
        "-r 10.0.0.1 --tun-info",
        "-r 10.0.0.1 --tun-type gre",
        "-r 10.0.0.1 -m --tun-csum",
        "-r 10.0.0.1 -i --tun-type GRE",
        "-r 10.0.0.1 -i --tun-type gue",
        "-r 10.0.0.1 -i --tun-type gue --tun-port 0",
        "-r 10.0.0.1 -i --tun-type gue --tun-port 5 --tun-csum --tun-nocsum",
        "-r 10.0.0.1 -i --tun-type gue --tun-port 5 --tun-csum --tun-csum",
        "-r 10.0.0.1 -i --tun-type gre --tun-remcsum",
        "-r 10.0.0.1 -i --tun-type gre --tun-port 5",
        "-r 10.0.0.1 -i --tun-port 5",
        "-r 10.0.0.1 -i --tun-nocsum",
    ] {
        assert_refused(2, &[&format!("-a {service} {options}")]);
    }
    assert_refused(
        2,
        &[
            "-a -r 10.0.0.1",
            "-d -t 1.2.3.4:80",
            "-d -t 1.2.3.4:80 -r 10.0.0.1 -m",
            "-d -t 1.2.3.4:80 -r 10.0.0.1 -w 1",
        ],
    );
}

#[test]
fn timeouts_and_daemons() {
    assert_reads_as(&[
        ("--set 1 2 3", "ipvsadm --set 1 2 3"),
        ("--set 1 --sort +2 -- 03", "ipvsadm --set 1 2 3"),
        ("--set 0 0 2678400", "ipvsadm --set 0 0 2678400"),
        (
            "--start-daemon master",
            "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 0",
        ),
        (
            "--start-daemon=backup --mcast-interface a-name-of-sixteen --syncid 255 \
             --sync-maxlen 65507 --mcast-group ff02::1 --mcast-port 1 --mcast-ttl 255",
            "ipvsadm --start-daemon backup --mcast-interface a-name-of-sixte --syncid 255 \
             --sync-maxlen 65507 --mcast-group ff02::1 --mcast-port 1 --mcast-ttl 255",
        ),
        (
            "--stop-daemon master --syncid 5",
            "ipvsadm --stop-daemon master",
        ),
    ]);
    assert_refused(
        2,
        &[
            "--set",
            "--set 1 2",
            "--set 1 2 3 4",
            "--set abc 1 1",
            "--set 1 2678401 1",
            "--set 1 2 ",
            "--set 1 2 3 -n",
            "--start-daemon foo",
            "--start-daemon master backup",
            "--start-daemon master --syncid 256",
            "--start-daemon master --sync-maxlen 0",
            "--start-daemon master --sync-maxlen 65508",
            "--start-daemon master --mcast-port 0",
            "--start-daemon master --mcast-ttl 256",
            "--start-daemon master --mcast-group 1.2.3.4",
            "--start-daemon master --mcast-group 240.0.0.1",
            "--start-daemon master --mcast-group 224.0.1",
            "--start-daemon master --mcast-group fd00::1",
            "--start-daemon master --mcast-group ",
            "--start-daemon master -t 1.2.3.4:80",
            "--stop-daemon foo",
            "--stop-daemon master --mcast-ttl 5",
        ],
    );
    assert_refused(
        255,
        &[
            "--set -1 2 3",
            "--set 1 2 -3",
            "--set abc 1 --bad",
            "--set=1 2 3",
            "--start-daemon",
            "--stop-daemon",
        ],
    );
}

#[test]
fn what_is_no_command() {
    assert_refused(
        255,
        &[
            "",
            "foo",
            "-",
            "--",
            "-- -A -t 1.2.3.4:80",
            "-n",
            "-nL",
            "-t 1.2.3.4:80 -A",
            "--bad",
            "-x 5",
            "--A -t 1.2.3.4:80",
            "--list=5",
            "-L5",
        ],
    );
    // Behind the command, what comes first decides.
    assert_refused(
        255,
        &[
            "-A -t",
            "-A -t 1.2.3.4:80 -s",
            "-A --bad -t bad",
            "-A extra --bad",
            "-A -t 1.2.3.4:80 --sched rr",
            "-A -t 1.2.3.4:80 --ops=x",
            "-A -t 1.2.3.4:80 -p -5",
            "-L --bad",
        ],
    );
    assert_refused(2, &["-A -t bad --bad"]);
}

fn table(line: &str) -> Request {
    let words: Vec<&str> = line.split(' ').collect();
    match Command::read(words.into_iter(), &mut NumbersOnly) {
        Ok(Command::Table(request)) => request,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn listings() {
    let plain = table("-L");
    assert!(plain.service.is_none() && plain.sort && !plain.numeric && !plain.exact);
    assert_eq!(plain.format, Format::Default);
    assert!(table("-Ln").numeric);
    assert!(table("-lXn").exact);
    assert!(!table("--list --nosort --sort").sort);
    let one = table("-Lnt1.2.3.4:80 --rate --syncid 5");
    assert_eq!(one.service.unwrap().to_string(), "TCP 1.2.3.4:80");
    for (options, format) in [
        ("--tun-info", Format::TunnelInfo),
        ("--persistent-conn", Format::PersistentConnections),
        ("--persistent-conn --thresholds", Format::Thresholds),
        ("--thresholds --rate", Format::Rate),
        ("--tun-info --rate --stats", Format::Stats),
    ] {
        assert_eq!(table(&format!("-L {options}")).format, format, "{options}");
    }
    assert_reads_as(&[
        ("-L --timeout -n --exact --tun-info", "Timeouts"),
        ("-L --daemon --nosort", "Daemons"),
        (
            "-Lcn --tun-info",
            "Connections { numeric: true, persistent: false }",
        ),
        (
            "-L --persistent-conn --connection",
            "Connections { numeric: false, persistent: true }",
        ),
        ("-S", "Save { numeric: false, with_thresholds: false }"),
        (
            "--save --numeric --with-thresholds",
            "Save { numeric: true, with_thresholds: true }",
        ),
        ("-R", "Restore"),
        ("-h --bad", "Help"),
        ("--help x", "Help"),
        ("-v --bad", "Version"),
    ]);
    let refused = [
        "-L foo",
        "-L -A",
        "-L --list",
        "-L -v",
        "-L -6",
        "-L -s rr",
        "-L -r 10.0.0.1",
        "-L --syncid 300",
        "-L --with-thresholds",
        "-Lnn",
        "-L --stats --stats",
        "-L --nosort --nosort",
        "-S foo",
        "-S --stats",
        "-S -t 1.2.3.4:80",
        "-R -n",
        "-R foo",
        "-R -t 1.2.3.4:80",
    ];
    assert_refused(2, &refused);
    for other in ["-c", "--timeout", "--daemon"] {
        for with in [
            "--stats",
            "--rate",
            "--thresholds",
            "-c",
            "--timeout",
            "--daemon",
            "-t 1.2.3.4:80",
        ] {
            assert_refused(
                2,
                &[&format!("-L {other} {with}"), &format!("-L {with} {other}")],
            );
        }
    }
    assert_refused(
        2,
        &[
            "-L --timeout --persistent-conn",
            "-L --persistent-conn --daemon",
        ],
    );
}

#[test]
fn messages_name_option_value_and_limit() {
    for (line, message) in [
        (
            "-a -t 1.2.3.4:80 -r 10.0.0.1 -w 3x",
            "-w `3x`: must be a number from 0 to 2147483647",
        ),
        (
            "-A -t 1.2.3.4:80 -s rr --scheduler wrr",
            "-s is given more than once",
        ),
        ("-A", "-A needs a service (-t, -u, --sctp-service or -f)"),
        ("-D -t 1.2.3.4:80 -w 1", "-D takes no -w"),
        ("-S --stats", "-S takes no --stats"),
        (
            "-L -c --stats",
            "--stats: is no format for -c, --timeout or --daemon",
        ),
        (
            "-A -t 1.2.3.4",
            "port 0: means every port and needs persistence (-p)",
        ),
        ("-x", "`-x`: value missing (see ipvsadm --help)"),
        (
            "# x",
            "the first option must be a command such as -A, not `#` (see ipvsadm --help)",
        ),
        ("-A -t 1.2.3.4:80 a\nb", "unexpected argument `a\\nb`"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let failure = Command::read(words.into_iter(), &mut NumbersOnly).unwrap_err();
        assert_eq!(failure.to_string(), message, "{line}");
    }
}
