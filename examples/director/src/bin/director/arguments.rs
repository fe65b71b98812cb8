//! The command line.

use core::time::Duration;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use director::director::StandbyTable;
use director::time;

#[cfg(feature = "demonstration")]
use crate::demonstration_view;

const EXPLANATION: &str = "\
Signals:
  SIGHUP             read FILE again; what is as it was goes on undisturbed, and a FILE with errors
                     changes nothing
  SIGUSR1            print how things are
  SIGTERM, SIGINT    resign, remove the virtual addresses, then put the table as it should be left

Exit status: 0, 1 if something cannot be run or the system refuses it, 2 for a wrong command line or a
FILE with errors.";

/// Runs a keepalived.conf: health checks and virtual routers in, IPVS table out.
///
#[cfg_attr(
    feature = "demonstration",
    doc = "Without FILE a demonstration: three web servers on loopback, two directors that check them \
           and elect the Active one, with connections carried as the kernel's scheduler would. It \
           needs neither privileges nor IPVS."
)]
#[derive(Debug, clap::Parser)]
#[command(name = "director", version, disable_version_flag = true, after_help = EXPLANATION)]
#[command(group = clap::ArgGroup::new("file").multiple(false))]
pub(crate) struct Arguments {
    /// The keepalived.conf to run; needs CAP_NET_ADMIN, CAP_NET_RAW for virtual routers, and a kernel
    /// with IPVS or --memory
    #[arg(value_name = "FILE", group = "file")]
    path: Option<PathBuf>,

    /// The same, as keepalived takes it
    #[arg(
        short = 'f',
        long = "use-file",
        value_name = "FILE",
        group = "file",
        id = "use-file"
    )]
    use_file: Option<PathBuf>,

    /// Which @ID lines of FILE count [default: the first label of the host's name]
    #[arg(short = 'i', long, value_name = "ID", requires = "file")]
    pub(crate) config_id: Option<String>,

    /// Only virtual routers (vrrp_instance), no virtual servers
    #[arg(short = 'P', long = "vrrp", requires = "file")]
    vrrp: bool,

    /// Only virtual servers and their checks, no virtual routers
    #[arg(short = 'C', long = "checkers", requires = "file")]
    checkers: bool,

    /// Say what is wrong with FILE, what of it is not run yet and what of it will not work on this
    /// host, each with a fix, then end; with exit code 1 if something will not work at all. With
    /// --memory this host is not looked at. All of it goes to LOG, if that is given
    #[arg(
        short = 't',
        long,
        visible_alias = "config-test",
        value_name = "LOG",
        num_args = 0..=1,
        require_equals = true,
        requires = "file"
    )]
    check: Option<Option<PathBuf>>,

    /// Refuse a FILE that asks for anything that is corrected, unknown or not run
    #[arg(long, requires = "file")]
    pub(crate) strict: bool,

    /// Run what is left of FILE when parts of it are wrong
    #[arg(long, requires = "file", conflicts_with = "strict")]
    pub(crate) ignore_errors: bool,

    /// As JSON, an object a line: everything that happens; with --check what will not work
    #[arg(long)]
    pub(crate) json: bool,

    /// Print what is about to be run: services as ipvsadm -S prints them, virtual routers
    #[arg(short = 'd', long = "dump-conf", requires = "file")]
    pub(crate) dump: bool,

    /// Tell of everything, also of advertisements that are refused and of scripts that run
    #[arg(short = 'D', long = "log-detail", requires = "file")]
    pub(crate) detail: bool,

    /// Change nothing on this host: the table is kept in memory, and only virtual servers are run (but
    /// -P and -C together run virtual routers, too, which take their addresses)
    #[arg(long, requires = "file")]
    pub(crate) memory: bool,

    /// What the table holds while another director has the addresses: what it has as Active (ready),
    /// or nothing (empty)
    #[arg(long, value_name = "TABLE", value_enum, default_value = "ready")]
    pub(crate) standby_table: Standby,

    /// Remember in this file what is ours in the table: after a crash, what is left of the last run
    /// and not in FILE any more is removed
    #[arg(
        long,
        value_name = "PATH",
        requires = "file",
        conflicts_with = "memory"
    )]
    pub(crate) ledger: Option<PathBuf>,

    /// At the end, and where the last run put what FILE does not name, let connections finish for
    /// at most this time; a second signal ends it
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "file")]
    pub(crate) drain: Option<Duration>,

    /// Leave the virtual addresses at the end, and do not resign: they go once their lifetime is over
    #[arg(short = 'V', long, requires = "file")]
    pub(crate) dont_release_vrrp: bool,

    /// Leave the table as it is at the end
    #[arg(short = 'I', long, requires = "file", conflicts_with = "drain")]
    pub(crate) dont_release_ipvs: bool,

    /// Accepted for the sake of scripts that start keepalived: the director stays in the foreground
    /// (-n) and prints what happens (-l), not to syslog (-G)
    #[arg(short = 'n', long = "dont-fork", hide_short_help = true)]
    _foreground: bool,

    /// See -n
    #[arg(short = 'l', long = "log-console", hide_short_help = true)]
    _console: bool,

    /// See -n
    #[arg(short = 'G', long = "no-syslog", hide_short_help = true)]
    _no_syslog: bool,

    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    _version: Option<bool>,

    /// End after this time, such as 500ms, 20s or 5m, with a summary
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub(crate) time: Option<Duration>,

    #[cfg(feature = "demonstration")]
    #[command(flatten)]
    pub(crate) demonstration: demonstration_view::Options,
}

impl Arguments {
    /// The configuration, if it is not the demonstration.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.path.as_deref().or(self.use_file.as_deref())
    }

    /// Whether FILE is only looked at.
    pub(crate) const fn checks(&self) -> bool {
        self.check.is_some()
    }

    /// Where what is said goes, if not to standard output and standard error.
    pub(crate) fn log(&self) -> Option<&Path> {
        self.check.as_ref()?.as_deref()
    }

    /// Whether virtual servers are run; with `-P` and `-C` both are.
    pub(crate) const fn runs_checkers(&self) -> bool {
        self.checkers || !self.vrrp
    }

    /// Whether virtual routers are run; where the table is not the kernel's only if asked for, because
    /// they would take addresses all the same.
    pub(crate) const fn runs_vrrp(&self) -> bool {
        self.vrrp || (!self.checkers && (!self.memory || self.checks()))
    }
}

/// What a standby's table holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Standby {
    /// The same as an Active's.
    Ready,
    /// Nothing.
    Empty,
}

impl From<Standby> for StandbyTable {
    fn from(standby: Standby) -> Self {
        match standby {
            Standby::Ready => Self::Ready,
            Standby::Empty => Self::Empty,
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    time::parse(text)
        .ok_or_else(|| "expected a whole number and ms, s or m, such as 20s".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("5m"), Ok(Duration::from_secs(300)));
        for bad in [
            "",
            "20",
            "s",
            "-1s",
            "1.5s",
            "1h",
            "99999999999999999999s",
            "18446744073709551615m",
        ] {
            assert!(
                parse_time(bad).unwrap_err().contains("such as 20s"),
                "{bad}"
            );
        }
    }

    #[test]
    fn options_of_the_demonstration_and_of_a_file_exclude_each_other() {
        for bad in [
            ["--check", "--memory"],
            ["f.conf", "-fg.conf"],
            ["-P", "--for=1s"],
            ["f.conf", "--script=at 1s stop 1"],
            ["-ff.conf", "--script=at 1s stop 1"],
            ["--ledger=x", "--for=1s"],
            ["--drain=1s", "--for=1s"],
        ] {
            assert!(
                Arguments::try_parse_from(["director"].iter().chain(&bad)).is_err(),
                "{bad:?}"
            );
        }
    }

    /// As distributions start keepalived.
    #[test]
    fn the_flags_of_keepalived_are_understood() {
        let parse = |line: &str| Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let all =
            parse("director -n -l -G -D -d -V -I -t -i node1 -f /etc/keepalived/keepalived.conf");
        let file = Path::new("/etc/keepalived/keepalived.conf");
        assert_eq!(all.file(), Some(file));
        assert!(all.detail && all.dump && all.checks());
        assert!(all.dont_release_vrrp && all.dont_release_ipvs);
        assert_eq!(all.config_id.as_deref(), Some("node1"));
        for (flags, vrrp, checkers) in [
            ("", true, true),
            ("-P", true, false),
            ("-C", false, true),
            ("-P -C", true, true),
            ("--vrrp", true, false),
        ] {
            let it = parse(&format!("director --use-file x.conf {flags}"));
            assert_eq!(
                (it.runs_vrrp(), it.runs_checkers()),
                (vrrp, checkers),
                "{flags}"
            );
        }
        for (flag, log) in [
            ("--config-test", None),
            ("--config-test=log", Some(Path::new("log"))),
            ("-t=log", Some(Path::new("log"))),
        ] {
            let it = parse(&format!("director {flag} x.conf"));
            assert_eq!((it.checks(), it.log()), (true, log), "{flag}");
            assert_eq!(it.file(), Some(Path::new("x.conf")), "{flag}");
        }
    }
}
