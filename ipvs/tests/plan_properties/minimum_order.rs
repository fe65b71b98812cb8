//! Plans for the destinations of one service against the shortest way there is, found by
//! breadth-first search: with their order in the kernel's list, and with what drains.

use std::collections::{HashMap, HashSet, VecDeque};

use lvs_ipvs::{DestinationOrder, Drain, Outcome, Plan, Policy, Scope, Surplus, Table};

use crate::generate::{destination, services};
use crate::model::Model;
use crate::plan;

const HOSTS: u8 = 3;

/// Hosts with their weights, 0 or 1, oldest first.
type List = Vec<(u8, u32)>;

/// A single request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    Add(u8, u32),
    Set(u8, u32),
    Remove(u8),
}

/// What became of a host so far.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Touched {
    Not,
    Removed,
    Done,
}

impl Request {
    /// What the kernel makes of it; `None` where it refuses or nothing changes.
    fn apply(self, list: &List) -> Option<List> {
        let mut list = list.clone();
        let place = |host| list.iter().position(|(other, _)| *other == host);
        match self {
            Self::Add(host, _) if place(host).is_some() => return None,
            Self::Add(host, weight) => list.push((host, weight)),
            Self::Set(host, weight) => {
                let place = place(host)?;
                if list[place].1 == weight {
                    return None;
                }
                list[place].1 = weight;
            }
            Self::Remove(host) => drop(list.remove(place(host)?)),
        }
        Some(list)
    }
}

fn all_requests() -> Vec<Request> {
    let of_host = |host| {
        let weights = [0, 1].into_iter();
        let sets = weights
            .flat_map(move |weight| [Request::Add(host, weight), Request::Set(host, weight)]);
        sets.chain([Request::Remove(host)])
    };
    (1..=HOSTS).flat_map(of_host).collect()
}

/// Every list there is.
fn lists() -> Vec<List> {
    let mut all = vec![Vec::new()];
    for start in 0.. {
        let Some(list) = all.get(start).cloned() else {
            return all;
        };
        for host in 1..=HOSTS {
            for weight in [0, 1] {
                all.extend(Request::Add(host, weight).apply(&list));
            }
        }
    }
    all
}

fn weight(list: &List, host: u8) -> Option<u32> {
    let mut entries = list.iter();
    entries
        .find(|(other, _)| *other == host)
        .map(|(_, weight)| *weight)
}

fn is_usable(list: &List) -> bool {
    list.iter().any(|(_, weight)| *weight > 0)
}

/// The lists, and which request leads from which to which.
struct Space {
    lists: Vec<List>,
    ways: Vec<Vec<(Request, usize)>>,
}

impl Space {
    fn new() -> Self {
        let lists = lists();
        let numbers: HashMap<_, _> = lists.iter().cloned().zip(0..).collect();
        let ways = lists.iter().map(|list| {
            let requests = all_requests().into_iter();
            let ways =
                requests.filter_map(|request| Some((request, numbers[&request.apply(list)?])));
            ways.collect()
        });
        Self {
            ways: ways.collect(),
            lists,
        }
    }
}

/// A task: what is there, what is desired, and what is to become of the rest.
struct Task<'a> {
    space: &'a Space,
    from: usize,
    desired: &'a List,
    surplus: Surplus,
    orders: bool,
    /// Hosts with a connection.
    connected: &'static [u8],
}

impl Task<'_> {
    fn before(&self) -> &List {
        &self.space.lists[self.from]
    }

    /// The weight a host is to have at the end; `None` if it is to be gone.
    fn goal(&self, host: u8) -> Option<u32> {
        let before = weight(self.before(), host);
        match (weight(self.desired, host), self.surplus) {
            (Some(weight), _) => Some(weight),
            (None, Surplus::Keep) => before,
            (None, Surplus::Drain) if before == Some(0) && !self.connected.contains(&host) => None,
            (None, Surplus::Drain) => before.map(|_| 0),
            _ => None,
        }
    }

    fn is_goal(&self, list: &List, in_order: bool) -> bool {
        let order = |list: &List| -> Vec<u8> {
            let hosts = list.iter().map(|(host, _)| *host);
            hosts
                .filter(|host| weight(self.desired, *host).is_some())
                .collect()
        };
        (1..=HOSTS).all(|host| weight(list, host) == self.goal(host))
            && (!in_order || order(list) == order(self.desired))
    }

    /// Whether a request may be sent at all.
    fn allows(&self, request: Request) -> bool {
        match request {
            Request::Add(host, _) => weight(self.desired, host).is_some(),
            // Of what is not desired the weight may only be lowered.
            Request::Set(host, to) => {
                weight(self.desired, host).is_some() || self.surplus == Surplus::Drain && to == 0
            }
            // Of what is desired, only to put it in order.
            Request::Remove(host) => match weight(self.desired, host) {
                Some(_) => self.orders,
                None => self.goal(host).is_none(),
            },
        }
    }

    /// Whether the service must not be without a usable destination on the way.
    fn lasts(&self) -> bool {
        is_usable(self.before()) && (1..=HOSTS).any(|host| self.goal(host).unwrap_or(0) > 0)
    }

    /// The least number of requests, if there is a way.
    fn least(&self, in_order: bool) -> Option<usize> {
        let lasts = self.lasts();
        let mut seen = vec![false; self.space.lists.len()];
        let mut queue = VecDeque::from([(self.from, 0)]);
        while let Some((number, requests)) = queue.pop_front() {
            if self.is_goal(&self.space.lists[number], in_order) {
                return Some(requests);
            }
            for (request, next) in &self.space.ways[number] {
                let is_allowed = self.allows(*request)
                    && (!lasts || is_usable(&self.space.lists[*next]))
                    && !seen[*next];
                if is_allowed {
                    seen[*next] = true;
                    queue.push_back((*next, requests + 1));
                }
            }
        }
        None
    }

    /// Whether the order can be reached without detours: every host is set once, removed once,
    /// added once, or removed and then added, with no weight but the last one.
    fn is_straight(&self) -> bool {
        let lasts = self.lasts();
        let start = (self.from, [Touched::Not; HOSTS as usize + 1]);
        let mut seen = HashSet::from([start]);
        let mut stack = vec![start];
        while let Some((number, touched)) = stack.pop() {
            let list = &self.space.lists[number];
            if self.is_goal(list, true) {
                return true;
            }
            for (request, next) in &self.space.ways[number] {
                let (host, to, way) = match *request {
                    Request::Add(host, to) => (host, Some(to), Touched::Done),
                    Request::Set(host, to) => (host, Some(to), Touched::Done),
                    Request::Remove(host) => (host, self.goal(host), Touched::Removed),
                };
                let place = usize::from(host);
                let is_straight = to == self.goal(host)
                    && match touched[place] {
                        Touched::Not => true,
                        Touched::Removed => matches!(request, Request::Add(..)),
                        Touched::Done => false,
                    };
                let mut touched = touched;
                touched[place] = way;
                let is_allowed = self.allows(*request)
                    && is_straight
                    && (!lasts || is_usable(&self.space.lists[*next]));
                if is_allowed && seen.insert((*next, touched)) {
                    stack.push((*next, touched));
                }
            }
        }
        false
    }

    fn table(&self, list: &List) -> Table {
        let [(service, port), ..] = services();
        let one =
            |(host, weight): &(u8, u32)| destination(&service, port, *host).with_weight(*weight);
        let mut table = Table::new();
        table.insert(service.clone(), list.iter().map(one));
        table
    }

    /// The table there is, and the plan.
    fn plan(&self) -> (Model, Plan) {
        let order = match self.orders {
            true => DestinationOrder::Exact,
            false => DestinationOrder::Any,
        };
        let policy = Policy::new(Scope::all())
            .with_surplus_destinations(self.surplus)
            .with_drain(Drain::new().with_limit(None))
            .with_order(order);
        let mut model = Model::of(&self.table(self.before()));
        let newest_first = self.before().iter().rev();
        let connections: Vec<_> = newest_first
            .map(|(host, _)| [u32::from(self.connected.contains(host)), 0, 0])
            .collect();
        model.connect(&services()[0].0.key(), &connections);
        let plan = plan(&model, &self.table(self.desired), &policy);
        (model, plan)
    }

    fn check(&self) {
        let (_, plan) = self.plan();
        let is_left = plan.out_of_order().iter().any(|one| !one.rebuilt);
        let least = self.least(self.orders && !is_left);
        assert_eq!(
            Some(plan.len()),
            least,
            "{:?} to {:?}, {:?}, connected {:?}:\n{plan}",
            self.before(),
            self.desired,
            self.surplus,
            self.connected
        );
        if self.orders && is_left {
            let is_straight = self.is_straight();
            assert!(!is_straight, "{:?} to {:?}", self.before(), self.desired);
        }
    }
}

/// `OP-13`, whichever of the requests the kernel refuses, in order or not.
#[test]
fn no_refusal_leaves_a_service_empty() {
    let space = Space::new();
    let key = services()[0].0.key();
    for from in 0..space.lists.len() {
        for desired in &space.lists {
            let task = Task {
                space: &space,
                from,
                desired,
                surplus: Surplus::Delete,
                orders: true,
                connected: &[],
            };
            if !task.lasts() {
                continue;
            }
            let (before, plan) = task.plan();
            for refused in 0..1_u32 << plan.len() {
                let mut model = before.clone();
                let mut done = Vec::new();
                for step in 0..plan.len() {
                    let is_done = plan.permits(step, |index| done[index])
                        && refused >> step & 1 == 0
                        && model.execute(&plan, step) == Outcome::Done;
                    done.push(is_done);
                    assert!(model.is_usable(&key), "{refused:b} refused of\n{plan}");
                }
            }
        }
    }
}

/// All 6,241 pairs of lists of up to three destinations, under each policy.
#[test]
fn every_plan_for_a_list_is_the_shortest() {
    let space = Space::new();
    assert_eq!(space.lists.len(), 79);
    let surplus: [(Surplus, &'static [u8]); 5] = [
        (Surplus::Delete, &[]),
        (Surplus::Keep, &[]),
        (Surplus::Drain, &[]),
        (Surplus::Drain, &[2]),
        (Surplus::Drain, &[1, 2, 3]),
    ];
    for from in 0..space.lists.len() {
        for desired in &space.lists {
            for (surplus, connected) in surplus {
                for orders in [false, true] {
                    let task = Task {
                        space: &space,
                        from,
                        desired,
                        surplus,
                        orders,
                        connected,
                    };
                    task.check();
                }
            }
        }
    }
}
