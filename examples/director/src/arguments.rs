//! The command line.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use director::demo::script::parse_time;
use lvs_schedulers::Algorithm;

/// Runs a keepalived.conf: health checks in, IPVS table out.
///
/// Without FILE a demonstration: three web servers on loopback, checked, with connections carried
/// to them as the kernel's scheduler would. It needs neither privileges nor IPVS.
#[derive(Debug, clap::Parser)]
#[command(name = "director", version)]
pub(crate) struct Arguments {
    /// The keepalived.conf to run; needs CAP_NET_ADMIN and a kernel with IPVS, or --memory
    pub(crate) file: Option<String>,

    /// Say what is wrong with FILE and what of it is not run yet, then end
    #[arg(long, requires = "file")]
    pub(crate) check: bool,

    /// Keep the table in memory instead of the kernel
    #[arg(long, requires = "file")]
    pub(crate) memory: bool,

    /// Run what is left of FILE when parts of it are wrong
    #[arg(long, requires = "file")]
    pub(crate) ignore_errors: bool,

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
    #[arg(long, value_name = "TIME", value_parser = time, requires = "file")]
    pub(crate) drain: Option<Duration>,

    /// End after this time, such as 500ms, 20s or 5m, with a summary
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) time: Option<Duration>,

    /// What happens to the demonstration's servers, or a file with it: 'at 3s stop 2, at 6s start 2,
    /// at 8s weight 1 5'
    #[arg(long, value_name = "SCRIPT", conflicts_with = "file")]
    pub(crate) script: Option<String>,

    /// The demonstration's scheduler: rr or wrr
    #[arg(
        long,
        value_name = "NAME",
        default_value = "wrr",
        conflicts_with = "file"
    )]
    pub(crate) scheduler: Algorithm,

    /// Where the demonstration accepts connections [default: 127.0.0.10 and a free port]
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "file")]
    pub(crate) listen: Option<SocketAddr>,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_time(text).ok_or_else(|| "expected a whole number and ms, s or m, such as 20s".to_owned())
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
        assert_eq!(time("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
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
            assert!(time(bad).unwrap_err().contains("such as 20s"), "{bad}");
        }
    }

    #[test]
    fn options_of_the_demonstration_and_of_a_file_exclude_each_other() {
        for bad in [
            ["--check", "--memory"],
            ["f.conf", "--script=at 1s stop 1"],
            ["--ledger=x", "--for=1s"],
            ["--drain=1s", "--for=1s"],
        ] {
            assert!(
                Arguments::try_parse_from(["director"].iter().chain(&bad)).is_err(),
                "{bad:?}"
            );
        }
    }
}
