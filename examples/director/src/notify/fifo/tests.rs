//! Both halves with a reader, without one, with one that does not read, and to the end.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use lvs_healthcheck::Command as Program;
use tempfile::TempDir;

use super::*;
use crate::notify::Ended;

/// Long enough for a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(60);

struct Rig {
    folder: TempDir,
    fifos: Fifos,
    events: Receiver<FifoEvent>,
}

impl Rig {
    fn new() -> Self {
        let (sender, events) = mpsc::channel();
        let fifos = Fifos::start(move |event| sender.send(event).unwrap()).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            fifos,
            events,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A FIFO with a reader that is this text for a shell, with the FIFO as `$1` and a file for what
    /// it has to say as `$2`.
    fn planned(&self, reader: Option<&str>) -> PlannedFifo {
        let path = self.path("fifo");
        let reader = reader.map(|text| {
            let program = Program::new("/bin/sh").with_argument("-c");
            let program = program.with_argument(text).with_argument("reader");
            program
                .with_argument(&path)
                .with_argument(&self.path("told"))
        });
        PlannedFifo {
            path,
            owner: None,
            reader,
            wait: PATIENCE,
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("told")).unwrap_or_default()
    }

    /// What happened until the end, and what the reader has told.
    fn finish(self) -> (Vec<FifoEvent>, String) {
        self.fifos.finish();
        (self.events.try_iter().collect(), self.told())
    }
}

/// Reads until the end, slower than it is written.
const SLOW: &str = "while read line; do sleep 0.02; echo \"$line\" >>$2; done <$1";
/// Waits for ever, with children.
const DEAF: &str = "trap '' TERM; echo $$ >$2; sleep 1000 & sleep 1000";

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn lines(prefix: &str, count: u32) -> String {
    (1..=count).map(|it| format!("{prefix} {it}\n")).collect()
}

#[test]
fn what_both_write_is_read_to_the_last_line() {
    let rig = Rig::new();
    let planned = [rig.planned(Some(SLOW))];
    thread::scope(|scope| {
        for (half, prefix) in [(Half::Servers, "s"), (Half::Routers, "r")] {
            let (fifos, planned) = (&rig.fifos, &planned);
            scope.spawn(move || {
                fifos.claim(half, planned);
                for line in lines(prefix, 20).lines() {
                    fifos.write(half, line);
                }
            });
        }
    });
    let path = rig.path("fifo");
    let (events, told) = rig.finish();
    assert_eq!(events, []);
    for prefix in ["s", "r"] {
        let own: String = told
            .split_inclusive('\n')
            .filter(|line| line.starts_with(prefix))
            .collect();
        assert_eq!(own, lines(prefix, 20), "{told}");
    }
    assert!(!Path::new(&path).exists(), "it was made here");
}

/// One claims it without the other, then the other again: as when a file is read again.
#[test]
fn it_stays_while_somebody_claims_it() {
    let rig = Rig::new();
    let planned = [rig.planned(Some(SLOW))];
    let inode = || fs::metadata(rig.path("fifo")).unwrap().ino();
    rig.fifos.claim(Half::Routers, &planned);
    rig.fifos.claim(Half::Servers, &planned);
    let first = inode();
    rig.fifos.write(Half::Routers, "1");
    rig.fifos.claim(Half::Routers, &[]);
    rig.fifos.write(Half::Routers, "nobody's");
    rig.fifos.write(Half::Servers, "2");
    rig.fifos.claim(Half::Routers, &planned);
    rig.fifos.claim(Half::Servers, &planned);
    rig.fifos.write(Half::Routers, "3");
    assert_eq!(inode(), first);
    let (events, told) = rig.finish();
    assert_eq!((events, told.as_str()), (vec![], "1\n2\n3\n"));
}

#[test]
fn one_that_nobody_claims_any_more_goes_once_it_is_read() {
    let rig = Rig::new();
    let planned = [rig.planned(Some(SLOW))];
    rig.fifos.claim(Half::Servers, &planned);
    for line in lines("s", 10).lines() {
        rig.fifos.write(Half::Servers, line);
    }
    rig.fifos.claim(Half::Servers, &[]);
    eventually("it is there", || !Path::new(&rig.path("fifo")).exists());
    eventually("not all is read", || rig.told() == lines("s", 10));
    assert_eq!(rig.finish().0, []);
}

#[test]
fn another_reader_takes_the_place_of_the_one_before() {
    let rig = Rig::new();
    let first = "echo first >>$2; while read line; do echo \"1 $line\" >>$2; done <$1";
    let second = "while read line; do echo \"2 $line\" >>$2; done <$1";
    rig.fifos.claim(Half::Servers, &[rig.planned(Some(first))]);
    rig.fifos.write(Half::Servers, "a");
    eventually("the first reader", || rig.told() == "first\n1 a\n");
    rig.fifos.claim(Half::Servers, &[rig.planned(Some(second))]);
    eventually("the first reader is there", || {
        rig.fifos.write(Half::Servers, "b");
        thread::sleep(Duration::from_millis(20));
        rig.told().contains("2 b")
    });
    assert_eq!(rig.finish().0, []);
}

/// 64 KiB fit; nobody waits for the rest.
#[test]
fn what_a_reader_does_not_read_is_counted() {
    let rig = Rig::new();
    let mut planned = rig.planned(Some(DEAF));
    planned.wait = Duration::from_millis(300);
    let path = planned.path.clone();
    rig.fifos.claim(Half::Servers, &[planned]);
    eventually("the reader runs", || !rig.told().is_empty());
    let line = "x".repeat(127);
    for _ in 0..600 {
        rig.fifos.write(Half::Servers, &line);
    }
    let (events, leader) = rig.finish();
    let reason = "it is full".to_owned();
    let expected = [
        FifoEvent::Losing {
            path: path.clone(),
            line,
            reason,
        },
        // None was read.
        FifoEvent::Lost { path, count: 600 },
    ];
    assert_eq!(events, expected);
    // It does not listen to SIGTERM, and has gone with its children.
    let group = leader.trim();
    let ps = std::process::Command::new("ps")
        .args(["-o", "stat=", "-g", group])
        .output();
    let left = String::from_utf8(ps.unwrap().stdout).unwrap();
    assert!(left.lines().all(|stat| stat.starts_with('Z')), "{left}");
}

#[test]
fn lines_are_counted_until_there_is_room_again() {
    let rig = Rig::new();
    let planned = rig.planned(None);
    let path = planned.path.clone();
    rig.fifos.claim(Half::Routers, &[planned]);
    let line = "x".repeat(1023);
    for _ in 0..70 {
        rig.fifos.write(Half::Routers, &line);
    }
    let next = || rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(next(), FifoEvent::Losing { .. }));
    // Somebody opens it late, and finds what there was room for.
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut found = vec![0; 65_536];
    (&file).read_exact(&mut found).unwrap();
    assert_eq!(found, format!("{line}\n").repeat(64).as_bytes());
    rig.fifos.write(Half::Routers, "again");
    assert_eq!(next(), FifoEvent::Lost { path, count: 6 });
    assert_eq!(rig.finish().0, []);
}

#[test]
fn without_a_place_for_it_all_lines_are_lost_and_each_one_tries_again() {
    let rig = Rig::new();
    let mut planned = rig.planned(None);
    planned.path = rig.path("folder/fifo");
    let path = planned.path.clone();
    rig.fifos.claim(Half::Servers, &[planned]);
    rig.fifos.write(Half::Servers, "1");
    rig.fifos.write(Half::Servers, "2");
    fs::create_dir(rig.path("folder")).unwrap();
    rig.fifos.write(Half::Servers, "3");
    let kind = fs::metadata(&path).unwrap().file_type();
    assert!(kind.is_fifo());
    let (events, _) = rig.finish();
    let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
    let none = "No such file or directory";
    for (line, expected) in lines
        .iter()
        .zip([none, "so nobody hears: 1", "2 lines lost"])
    {
        assert!(line.contains(&path) && line.contains(expected), "{lines:?}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_reader_that_ends_or_cannot_start_is_told() {
    let rig = Rig::new();
    rig.fifos
        .claim(Half::Servers, &[rig.planned(Some("exit 3"))]);
    let path = rig.path("fifo");
    let ended = rig.events.recv_timeout(PATIENCE).unwrap();
    let expected = FifoEvent::ReaderEnded {
        path,
        ended: Ended::Code(3),
    };
    assert_eq!(ended, expected);
    let mut none = rig.planned(None);
    none.reader = Some(Program::new("/nonexistent/reader"));
    rig.fifos.claim(Half::Servers, &[none]);
    let told = rig.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(told, FifoEvent::NotRead { .. }), "{told}");
    // What nobody has read then.
    rig.fifos.write(Half::Servers, "1");
    assert_eq!(rig.finish().0.len(), 1);
}

/// What is unread is for the process after this one, which finds the FIFO.
#[test]
fn left_to_another_process_it_stays() {
    let (rig, next) = (Rig::new(), Rig::new());
    let planned = rig.planned(Some("exec sleep 1000"));
    rig.fifos
        .claim(Half::Routers, core::slice::from_ref(&planned));
    rig.fifos.write(Half::Routers, "1");
    next.fifos.inherit();
    next.fifos.claim(
        Half::Routers,
        &[PlannedFifo {
            reader: Some(
                Program::new("/bin/sh")
                    .with_argument("-c")
                    .with_argument(SLOW)
                    .with_argument("reader")
                    .with_argument(&planned.path)
                    .with_argument(&rig.path("told")),
            ),
            ..planned.clone()
        }],
    );
    rig.fifos.leave();
    rig.fifos.write(Half::Routers, "not any more");
    next.fifos.write(Half::Routers, "2");
    rig.fifos.finish();
    assert!(Path::new(&planned.path).exists());
    assert_eq!(rig.events.try_iter().count(), 0);
    assert_eq!(next.finish().0, []);
    assert_eq!(rig.told(), "1\n2\n");
    assert!(!Path::new(&planned.path).exists(), "it was inherited");
}
