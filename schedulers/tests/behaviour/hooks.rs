//! Every change reaches the scheduler through its own hook, with the list as it is afterwards.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use lvs_schedulers::{
    Algorithm, Context, Destination, DestinationEntry, Explanation, Flow, Removed, Scheduler,
    Semantics, Timestamp, VirtualService, explanation,
};

use crate::support::{self, Run, address};

/// Writes down what it is told; picks the destination with the index of the client's port.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    fn note(&self, hook: &str, list: &[DestinationEntry], index: Option<usize>) {
        let names: String = list.iter().map(support::name).collect();
        let index = index.map_or(String::new(), |index| format!(" {index}"));
        self.0
            .lock()
            .unwrap()
            .push(format!("{hook} {names}{index}"));
    }

    fn take(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Scheduler<DestinationEntry> for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn bind(&mut self, list: &[DestinationEntry], _: Timestamp) {
        self.note("bind", list, None);
    }

    fn added(&mut self, list: &[DestinationEntry], index: usize) {
        self.note("added", list, Some(index));
    }

    fn removed(&mut self, list: &[DestinationEntry], index: usize) {
        self.note("removed", list, Some(index));
    }

    fn edited(&mut self, list: &[DestinationEntry], index: usize) {
        self.note("edited", list, Some(index));
    }

    fn pick(
        &mut self,
        _: &[DestinationEntry],
        flow: &Flow,
        context: &mut Context<'_>,
    ) -> Option<usize> {
        assert_eq!(context.now().as_secs(), 5);
        Some(flow.client().port().into())
    }
}

#[test]
fn changes_call_their_hooks_once_and_refusals_call_none() {
    let recorder = Recorder::default();
    let service = VirtualService::with_scheduler(Box::new(recorder.clone()), Semantics::LINUX_6_1);
    let mut run = Run {
        service,
        connections: Vec::new(),
    };
    assert_eq!(run.service.scheduler_name(), "recorder");
    run.add('A', 1);
    run.add('B', 1);
    run.add('C', 1);
    assert_eq!(
        recorder.take(),
        ["bind ", "added A 0", "added AB 1", "added ABC 2"]
    );

    run.edit('B', 1);
    run.remove('A');
    assert_eq!(recorder.take(), ["edited ABC 1", "removed BC 0"]);

    assert!(run.service.add(Destination::new(address('B'))).is_err());
    assert!(run.service.edit(Destination::new(address('A'))).is_err());
    assert!(
        run.service
            .edit(Destination::new(address('B')).with_weight(u32::MAX))
            .is_err()
    );
    assert!(run.service.remove(address('A')).is_err());
    assert!(recorder.take().is_empty());

    run.service
        .set_scheduler(Algorithm::Rr.scheduler(Semantics::LINUX_6_1));
    run.service.set_scheduler(Box::new(recorder.clone()));
    assert_eq!(recorder.take(), ["bind BC"]);
}

/// A scheduler of the caller's own may answer nonsense: an index beyond the list is no pick.
#[test]
fn index_beyond_the_list_is_no_pick() {
    let recorder = Box::new(Recorder::default());
    let mut service = VirtualService::with_scheduler(recorder, Semantics::LINUX_6_1);
    let a = service.add(Destination::new(address('A'))).unwrap();
    let mut context = Context::new(Duration::from_secs(5));
    let to = ([192, 0, 2, 1], 80).into();
    let mut pick =
        |port| service.schedule(&Flow::udp(([192, 0, 2, 7], port).into(), to), &mut context);
    assert_eq!((pick(0), pick(1), pick(u16::MAX)), (Some(a), None, None));
    let flow = Flow::udp(([192, 0, 2, 7], 1).into(), to);
    assert!(service.connect(&flow, &mut context).is_none());
    assert_eq!(service.connections(), 0);
}

/// Knows one address, and notes what the context tells of it.
#[derive(Clone, Debug, Default)]
struct Rememberer(Arc<Mutex<Option<Removed>>>);

impl<D> Scheduler<D> for Rememberer {
    fn name(&self) -> &str {
        "rememberer"
    }

    fn refers_to(&self, asked: SocketAddr) -> bool {
        asked == address('A')
    }

    fn pick(&mut self, list: &[D], _: &Flow, context: &mut Context<'_>) -> Option<usize> {
        assert_eq!(context.removed(address('B')), None, "in the list");
        *self.0.lock().unwrap() = context.removed(address('A'));
        context.explain(|| explanation::Step::Note("noted".into()));
        list.len().checked_sub(1)
    }
}

/// A pick can ask for what became of a removed destination; the rest of the context stays as it is.
#[test]
fn the_context_tells_of_removed_destinations() {
    let rememberer = Rememberer::default();
    let service =
        VirtualService::with_scheduler(Box::new(rememberer.clone()), Semantics::LINUX_6_1);
    let mut run = Run {
        service,
        connections: Vec::new(),
    };
    run.add('A', 7);
    assert_eq!(run.connect(), Some('A'));
    assert_eq!(run.connect(), Some('A'));
    assert!(run.service.close(run.connections[0]));
    run.add('B', 1);
    assert_eq!(run.pick(), Some('B'));
    assert_eq!(*rememberer.0.lock().unwrap(), None, "not removed yet");

    run.remove('A');
    let mut why = Explanation::new();
    let mut context = Context::new(Duration::ZERO).with_trace(&mut why);
    run.service.schedule(&support::flow(), &mut context);
    assert_eq!(*rememberer.0.lock().unwrap(), Some(Removed::new(7, 1, 1)));
    assert_eq!(why.steps(), [explanation::Step::Note("noted".into())]);
}
