//! What happens inside the guest.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::namespace::Namespace;
use crate::process::Program;
use crate::report::{Rounds, Target, judge};
use crate::table::{self, RULES};
use crate::{Result, floor};

/// The original, from the package `ipvsadm`.
const ORIGINAL: &str = "/sbin/ipvsadm";
const RESTORE: &[&str] = &["-R"];
const LIST: &[&str] = &["-Ln", "--stats"];

/// What a table is loaded into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Before {
    /// Nothing has ever been there.
    Nothing,
    /// The same table, which was flushed.
    Flushed,
}

/// Everything that is run, and where it reads and writes.
#[derive(Debug)]
struct Bench {
    tool: PathBuf,
    own: PathBuf,
    rules: PathBuf,
    requests: String,
    family: String,
    output: PathBuf,
}

/// Figures of one task.
#[derive(Debug, Default)]
struct Figures {
    original: Rounds,
    tool: Rounds,
    floor: Rounds,
    // The floor between its first byte and its last.
    floor_inside: Rounds,
    // The floor that reads many answers at a time.
    floor_together: Rounds,
}

/// Measures the tool of that path for that many rounds and prints everything.
pub(crate) fn measure(arguments: &[OsString]) -> Result<()> {
    let [tool, rounds] = arguments else {
        return Err("the guest wants a tool and a number of rounds".into());
    };
    let rounds: usize = rounds.to_str().unwrap_or_default().parse()?;
    // Files in memory, so that no disk takes part.
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let place = |name| folder.path().join(name);
    let family = floor::family()?;
    let bench = Bench {
        tool: tool.into(),
        own: env::current_exe()?,
        rules: place("rules"),
        requests: place("requests").display().to_string(),
        family: family.number().to_string(),
        output: place("output"),
    };
    fs::write(&bench.rules, table::text())?;
    fs::write(&bench.requests, table::requests(family))?;

    // Programs come from the host's disk the first time.
    bench.load(&mut Figures::default(), Before::Nothing)?;
    bench.read(&mut Figures::default())?;
    let (mut first, mut again, mut read) = <(Figures, Figures, Figures)>::default();
    for _ in 0..rounds {
        bench.load(&mut first, Before::Nothing)?;
        bench.load(&mut again, Before::Flushed)?;
        bench.read(&mut read)?;
    }
    println!("median (min–max) of {rounds} rounds in ms, {RULES} entries");
    first.print("load into an unused namespace");
    again.print("load after a flush");
    read.print("read with counters");
    first.judge("load", Some(12.0), 1.10);
    // Here most of the time is the kernel's search, whoever asks: the floor bounds everything.
    again.judge("load after a flush", None, 1.10);
    read.judge("read", Some(4.0), 1.3);
    bench.memory()
}

impl Bench {
    fn original(&self, arguments: &'static [&'static str]) -> Program<'_> {
        self.program(Path::new(ORIGINAL), arguments)
    }

    fn tool(&self, arguments: &'static [&'static str]) -> Program<'_> {
        self.program(&self.tool, arguments)
    }

    /// The text of the rules is the input of all: who does not want it does not look.
    fn program<'a>(&'a self, path: &'a Path, arguments: &'a [&'a str]) -> Program<'a> {
        Program {
            path,
            arguments,
            input: &self.rules,
            output: &self.output,
        }
    }

    /// A round of loading.
    fn load(&self, figures: &mut Figures, before: Before) -> Result<()> {
        let time = |program: Program<'_>, figure: &mut Rounds| -> Result<()> {
            let mut namespace = Namespace::enter()?;
            if before == Before::Flushed {
                self.fill()?;
                namespace.flush()?;
            }
            figure.add(program.time()?);
            namespace.flush()
        };
        time(self.original(RESTORE), &mut figures.original)?;
        time(self.tool(RESTORE), &mut figures.tool)?;
        let each = ["floor-load", &self.requests];
        time(self.program(&self.own, &each), &mut figures.floor)?;
        figures.floor_inside.add_number(self.millis()?);
        let together = ["floor-load-together", &self.requests];
        time(
            self.program(&self.own, &together),
            &mut figures.floor_together,
        )
    }

    /// A round of reading.
    fn read(&self, figures: &mut Figures) -> Result<()> {
        let mut namespace = Namespace::enter()?;
        self.fill()?;
        figures.original.add(self.original(LIST).time()?);
        let expected = fs::read(&self.output)?;
        figures.tool.add(self.tool(LIST).time()?);
        if fs::read(&self.output)? != expected {
            return Err("the tool lists something else than the original".into());
        }
        let arguments = ["floor-read", &self.family];
        figures
            .floor
            .add(self.program(&self.own, &arguments).time()?);
        figures.floor_inside.add_number(self.millis()?);
        namespace.flush()
    }

    /// Measures peak memory, and prints it.
    fn memory(&self) -> Result<()> {
        let peak = |program: Program<'_>, fill: bool| -> Result<u64> {
            let mut namespace = Namespace::enter()?;
            if fill {
                self.fill()?;
            }
            let peak = program.peak_memory()?;
            namespace.flush()?;
            Ok(peak)
        };
        for (task, arguments, fill) in [("load", RESTORE, false), ("read", LIST, true)] {
            let original = peak(self.original(arguments), fill)?;
            let tool = peak(self.tool(arguments), fill)?;
            println!("{task}, peak memory: original {original} kB, tool {tool} kB");
            let mut more = Rounds::default();
            more.add_number(tool as f64 / 1024.0 - original as f64 / 1024.0);
            let name = format!("{task}, peak memory beyond the original's in MB");
            judge(&name, &more, Target::AtMost(4.0));
        }
        Ok(())
    }

    /// Loads the table the quickest way.
    fn fill(&self) -> Result<()> {
        let arguments = ["floor-load-together", &self.requests];
        self.program(&self.own, &arguments).time().map(drop)
    }

    /// What the floor says it took between its first and its last byte.
    fn millis(&self) -> Result<f64> {
        Ok(fs::read_to_string(&self.output)?.trim().parse()?)
    }
}

impl Figures {
    fn print(&self, task: &str) {
        println!("{task}");
        println!("  original                      {}", self.original);
        println!("  tool                          {}", self.tool);
        println!("  floor, whole process          {}", self.floor);
        println!("  floor, socket only            {}", self.floor_inside);
        if !self.floor_together.is_empty() {
            println!("  floor, answers read together  {}", self.floor_together);
        }
    }

    fn judge(&self, task: &str, faster: Option<f64>, of_floor: f64) {
        let name = format!("{task}, times faster than the original");
        let ratio = self.original.over(&self.tool);
        match faster {
            Some(least) => judge(&name, &ratio, Target::AtLeast(least)),
            None => println!("      {name}: {ratio:.2}"),
        }
        let name = format!("{task}, times the floor");
        judge(
            &name,
            &self.tool.over(&self.floor),
            Target::AtMost(of_floor),
        );
    }
}
