//! Random sequences of what one thread can do to a promise, beside a model that does the same in the plainest way.

use std::sync::Arc;
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, poll};
use deferral::{Broken, BrokenKind, Progress};

/// A value that is seen to live.
#[derive(Clone)]
struct Value {
    n: u8,
    _lives: Arc<()>,
}

#[derive(Clone, Copy)]
enum Why {
    Said(u8),
    Broken(BrokenKind),
}

impl From<Broken> for Why {
    fn from(broken: Broken) -> Why {
        Why::Broken(broken.kind())
    }
}

/// An outcome as both tell it.
#[derive(Clone, Copy)]
enum End {
    Resolved(u8),
    Rejected(Why),
}

impl End {
    fn of(outcome: &Result<Value, Why>) -> Self {
        match outcome {
            Ok(value) => End::Resolved(value.n),
            Err(why) => End::Rejected(*why),
        }
    }

    fn text(self) -> String {
        match self {
            End::Resolved(n) => format!("{n}"),
            End::Rejected(Why::Said(n)) => format!("no{n}"),
            End::Rejected(Why::Broken(kind)) => format!("{kind:?}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Producer,
    Consumer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Done,
    Fail,
    Always,
}

/// What is done next. A number chooses among what there is.
#[derive(Clone, Copy, Debug)]
enum Op {
    CloneDeferred,
    DropDeferred(usize),
    Resolve(u8),
    Reject(u8),
    Notify(u8),
    Observe(Side, Kind, usize),
    Listen(Side, usize),
    OnCancel,
    ClonePromise(usize),
    DropPromise(usize),
    Poll(usize, u8),
    Cancel(usize),
    Peek(usize),
    Then(usize),
    CancelDerived(usize),
    DropDerived(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (which, n) = (|| 0..4_usize, || 0..4_u8);
    let side = || prop_oneof![Just(Side::Producer), Just(Side::Consumer)];
    let kind = prop_oneof![Just(Kind::Done), Just(Kind::Fail), Just(Kind::Always)];
    let op = prop_oneof![
        2 => Just(Op::CloneDeferred),
        3 => which().prop_map(Op::DropDeferred),
        1 => n().prop_map(Op::Resolve),
        1 => n().prop_map(Op::Reject),
        2 => n().prop_map(Op::Notify),
        5 => (side(), kind, which()).prop_map(|(side, kind, which)| Op::Observe(side, kind, which)),
        2 => (side(), which()).prop_map(|(side, which)| Op::Listen(side, which)),
        2 => Just(Op::OnCancel),
        4 => which().prop_map(Op::ClonePromise),
        3 => which().prop_map(Op::DropPromise),
        5 => (which(), n()).prop_map(|(which, waker)| Op::Poll(which, waker)),
        1 => which().prop_map(Op::Cancel),
        2 => which().prop_map(Op::Peek),
        4 => which().prop_map(Op::Then),
        1 => which().prop_map(Op::CancelDerived),
        2 => which().prop_map(Op::DropDerived),
    ];
    prop::collection::vec(op, 1..40)
}

/// A waker that writes its number into the log.
struct Ring(u8, Log);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.1.add(format!("wake{}", self.0));
    }
}

/// The crate.
struct Real {
    log: Log,
    lives: Arc<()>,
    /// How many callbacks for a cancel are gone.
    spent: Count,
    deferreds: Vec<Deferred<Value, Why>>,
    promises: Vec<Promise<Value, Why>>,
    derived: Vec<Promise<Value, Why>>,
}

fn chosen<X>(all: &[X], which: usize) -> Option<usize> {
    which.checked_rem(all.len())
}

impl Real {
    fn new() -> Self {
        let (deferred, promise) = Deferred::new();
        let (log, lives, spent) = (Log::new(), Arc::new(()), Count::new());
        Real { log, lives, spent, deferreds: vec![deferred], promises: vec![promise], derived: Vec::new() }
    }

    fn value(&self, n: u8) -> Value {
        Value { n, _lives: Arc::clone(&self.lives) }
    }

    fn observe(&mut self, side: Side, kind: Kind, which: usize, id: usize) {
        let log = self.log.clone();
        let see = move |end: End| log.add(format!("{kind:?}{id}:{}", end.text()));
        match side {
            Side::Producer => {
                let Some(i) = chosen(&self.deferreds, which) else { return };
                let deferred = &self.deferreds[i];
                match kind {
                    Kind::Done => deferred.done(move |value| see(End::Resolved(value.n))),
                    Kind::Fail => deferred.fail(move |why| see(End::Rejected(*why))),
                    Kind::Always => deferred.always(move |outcome| see(End::of(outcome))),
                };
            }
            Side::Consumer => {
                let Some(i) = chosen(&self.promises, which) else { return };
                let promise = self.promises.remove(i);
                let promise = match kind {
                    Kind::Done => promise.done(move |value| see(End::Resolved(value.n))),
                    Kind::Fail => promise.fail(move |why| see(End::Rejected(*why))),
                    Kind::Always => promise.always(move |outcome| see(End::of(outcome))),
                };
                self.promises.insert(i, promise);
            }
        }
    }

    fn listen(&mut self, side: Side, which: usize, id: usize) {
        let log = self.log.clone();
        let hear = move |report: &Progress| log.add(format!("Progress{id}:{}", report.done));
        match side {
            Side::Producer => {
                if let Some(i) = chosen(&self.deferreds, which) {
                    self.deferreds[i].progress(hear);
                }
            }
            Side::Consumer => {
                let Some(i) = chosen(&self.promises, which) else { return };
                let promise = self.promises.remove(i).progress(hear);
                self.promises.insert(i, promise);
            }
        }
    }

    fn then(&mut self, which: usize, id: usize) {
        let Some(i) = chosen(&self.promises, which) else { return };
        let (log, made) = (self.log.clone(), self.value(0));
        let derived = self.promises.remove(i).then(move |value| {
            log.add(format!("then{id}:{}", value.n));
            Ok(Value { n: value.n + 1, ..made })
        });
        let log = self.log.clone();
        self.derived.push(derived.always(move |outcome| log.add(format!("end{id}:{}", End::of(outcome).text()))));
    }

    fn poll(&mut self, which: usize, waker: u8) {
        let Some(i) = chosen(&self.promises, which) else { return };
        let polled = poll(&mut self.promises[i], &Waker::from(Arc::new(Ring(waker, self.log.clone()))));
        match polled {
            std::task::Poll::Pending => self.log.add("pending"),
            std::task::Poll::Ready(outcome) => {
                self.log.add(format!("ready:{}", End::of(&outcome).text()));
                self.promises.remove(i);
            }
        }
    }

    fn act(&mut self, op: Op, id: usize) {
        match op {
            Op::CloneDeferred => {
                if let Some(first) = self.deferreds.first() {
                    self.deferreds.push(first.clone());
                }
            }
            Op::DropDeferred(which) => {
                if let Some(i) = chosen(&self.deferreds, which) {
                    drop(self.deferreds.remove(i));
                }
            }
            Op::Resolve(n) => {
                if let Some(first) = self.deferreds.first() {
                    let won = first.resolve(self.value(n));
                    self.log.add(won);
                }
            }
            Op::Reject(n) => {
                if let Some(first) = self.deferreds.first() {
                    self.log.add(first.reject(Why::Said(n)));
                }
            }
            Op::Notify(n) => {
                if let Some(first) = self.deferreds.first() {
                    self.log.add(first.notify(Progress { done: n.into(), total: 4 }));
                }
            }
            Op::Observe(side, kind, which) => self.observe(side, kind, which, id),
            Op::Listen(side, which) => self.listen(side, which, id),
            Op::OnCancel => {
                if let Some(first) = self.deferreds.first() {
                    let (log, spent) = (self.log.clone(), self.spent.clone());
                    let end = OnDrop::new(move || spent.add());
                    first.on_cancel(move || {
                        let _end = end;
                        log.add(format!("cancel{id}"));
                    });
                }
            }
            Op::ClonePromise(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    self.promises.push(self.promises[i].clone());
                }
            }
            Op::DropPromise(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    drop(self.promises.remove(i));
                }
            }
            Op::Poll(which, waker) => self.poll(which, waker),
            Op::Cancel(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    self.log.add(self.promises[i].cancel());
                }
            }
            Op::Peek(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    let text = self.promises[i].peek(|outcome| outcome.map(|outcome| End::of(outcome).text()));
                    self.log.add(text.unwrap_or("none".to_owned()));
                }
            }
            Op::Then(which) => self.then(which, id),
            Op::CancelDerived(which) => {
                if let Some(i) = chosen(&self.derived, which) {
                    self.log.add(self.derived[i].cancel());
                }
            }
            Op::DropDerived(which) => {
                if let Some(i) = chosen(&self.derived, which) {
                    drop(self.derived.remove(i));
                }
            }
        }
    }

    /// How many values live, with those that the functions of `then` have ready.
    fn living(&self) -> usize {
        Arc::strong_count(&self.lives) - 1
    }
}

/// A promise that waits, or what was made of it.
#[derive(Clone, Copy, PartialEq)]
enum Consumer {
    Waker(usize, u8),
    /// Of the derived promise of that number.
    Continuation(usize),
}

struct Derived {
    id: usize,
    end: Option<End>,
    held: bool,
}

/// The model: lists, and what the documentation says of them.
#[derive(Default)]
struct Model {
    log: Vec<String>,
    spent: usize,
    producers: usize,
    end: Option<End>,
    /// Somebody may still ask for the outcome.
    present: bool,
    canceled: bool,
    /// Each has a number of its own.
    promises: Vec<usize>,
    observers: Vec<(Kind, usize)>,
    listeners: Vec<usize>,
    cancelers: Vec<usize>,
    consumers: Vec<Consumer>,
    report: Option<u8>,
    derived: Vec<Derived>,
    /// Which of them are in the order in which they are held.
    held: Vec<usize>,
    next: usize,
}

impl Model {
    fn new() -> Self {
        Model { producers: 1, promises: vec![0], next: 1, ..Model::default() }
    }

    fn add(&mut self, entry: impl ToString) {
        self.log.push(entry.to_string());
    }

    fn continuations(&self) -> impl Iterator<Item = usize> {
        self.consumers.iter().filter_map(|consumer| match consumer {
            Consumer::Continuation(derived) => Some(*derived),
            Consumer::Waker(..) => None,
        })
    }

    fn rights(&self) -> usize {
        self.promises.len() + self.continuations().count()
    }

    /// What nobody can ask for is dropped, and so is what waits for a cancel that cannot come.
    fn tidy(&mut self) {
        if self.end.is_some() && self.rights() == 0 && self.producers == 0 {
            self.present = false;
        }
        let held = self.continuations().filter(|derived| self.derived[*derived].held).count();
        if self.end.is_none() && self.promises.len() + held == 0 {
            self.spent += self.cancelers.drain(..).count();
        }
    }

    fn show(&mut self, kind: Kind, id: usize, end: End) {
        let wants = match end {
            End::Resolved(_) => kind != Kind::Fail,
            End::Rejected(_) => kind != Kind::Done,
        };
        if wants {
            self.add(format!("{kind:?}{id}:{}", end.text()));
        }
    }

    fn settle(&mut self, end: End) -> bool {
        if self.end.is_some() {
            return false;
        }
        (self.end, self.present) = (Some(end), true);
        self.canceled = matches!(end, End::Rejected(Why::Broken(BrokenKind::Canceled)));
        for id in std::mem::take(&mut self.cancelers) {
            self.spent += 1;
            if self.canceled {
                self.add(format!("cancel{id}"));
            }
        }
        for (kind, id) in std::mem::take(&mut self.observers) {
            self.show(kind, id, end);
        }
        let consumers = std::mem::take(&mut self.consumers);
        for consumer in &consumers {
            if let Consumer::Waker(_, waker) = consumer {
                self.add(format!("wake{waker}"));
            }
        }
        let mut made = Vec::new();
        for consumer in consumers {
            if let Consumer::Continuation(derived) = consumer {
                made.push((derived, self.derive(derived, end)));
                // The last right takes the outcome along.
                self.present &= !self.promises.is_empty();
            }
        }
        // What the library settles itself comes after what is under way.
        for (derived, end) in made {
            self.settle_derived(derived, end);
        }
        self.tidy();
        true
    }

    /// What the function of a derived promise makes of the outcome of its source.
    fn derive(&mut self, derived: usize, end: End) -> End {
        let id = self.derived[derived].id;
        match end {
            End::Resolved(n) => {
                self.add(format!("then{id}:{n}"));
                End::Resolved(n + 1)
            }
            rejected => rejected,
        }
    }

    fn settle_derived(&mut self, derived: usize, end: End) {
        self.derived[derived].end = Some(end);
        self.add(format!("end{}:{}", self.derived[derived].id, end.text()));
    }

    fn observe(&mut self, kind: Kind, id: usize) {
        match self.end {
            None => self.observers.push((kind, id)),
            Some(end) if self.present => self.show(kind, id, end),
            Some(_) => {}
        }
    }

    fn drop_promise(&mut self, i: usize) {
        let number = self.promises.remove(i);
        self.consumers.retain(|consumer| !matches!(consumer, Consumer::Waker(promise, _) if *promise == number));
    }

    fn poll(&mut self, i: usize, waker: u8) {
        let number = self.promises[i];
        if let Some(end) = self.end {
            self.add(format!("ready:{}", end.text()));
            self.take(i);
            return;
        }
        self.add("pending");
        let parked = self.consumers.iter_mut().find(|consumer| matches!(consumer, Consumer::Waker(n, _) if *n == number));
        match parked {
            Some(parked) => *parked = Consumer::Waker(number, waker),
            None => self.consumers.push(Consumer::Waker(number, waker)),
        }
    }

    /// A right is used: the last one takes the outcome along.
    fn take(&mut self, i: usize) {
        self.drop_promise(i);
        if self.rights() == 0 {
            self.present = false;
        }
    }

    fn then(&mut self, i: usize, id: usize) {
        let derived = self.derived.len();
        self.derived.push(Derived { id, end: None, held: true });
        self.held.push(derived);
        match self.end {
            Some(end) => {
                self.take(i);
                let end = self.derive(derived, end);
                self.settle_derived(derived, end);
            }
            None => {
                self.drop_promise(i);
                self.consumers.push(Consumer::Continuation(derived));
            }
        }
    }

    fn cancel_derived(&mut self, derived: usize) {
        let end = self.derived[derived].end;
        self.add_after(end.is_none(), |this| {
            if end.is_some() {
                return;
            }
            let canceled = End::Rejected(Why::Broken(BrokenKind::Canceled));
            this.settle_derived(derived, canceled);
            this.consumers.retain(|consumer| *consumer != Consumer::Continuation(derived));
            if this.rights() == 0 {
                this.settle(canceled);
            }
            this.tidy();
        });
    }

    /// What an operation returns is told after what it brings about.
    fn add_after(&mut self, result: bool, f: impl FnOnce(&mut Self)) {
        f(self);
        self.add(result);
    }

    fn settle_and_tell(&mut self, end: End) {
        let won = self.settle(end);
        self.add(won);
    }

    fn act(&mut self, op: Op, id: usize) {
        let produces = self.producers > 0;
        match op {
            Op::CloneDeferred => self.producers += usize::from(produces),
            Op::DropDeferred(_) if produces => {
                self.producers -= 1;
                if self.producers == 0 {
                    self.settle(End::Rejected(Why::Broken(BrokenKind::Abandoned)));
                }
                self.tidy();
            }
            Op::Resolve(n) if produces => self.settle_and_tell(End::Resolved(n)),
            Op::Reject(n) if produces => self.settle_and_tell(End::Rejected(Why::Said(n))),
            Op::Notify(n) if produces => {
                if self.end.is_none() {
                    self.report = Some(n);
                    for id in self.listeners.clone() {
                        self.add(format!("Progress{id}:{n}"));
                    }
                }
                self.add(self.end.is_none());
            }
            Op::Observe(side, kind, which) => {
                let there = match side {
                    Side::Producer => produces,
                    Side::Consumer => chosen(&self.promises, which).is_some(),
                };
                if there {
                    self.observe(kind, id);
                }
            }
            Op::Listen(side, which) => {
                let there = match side {
                    Side::Producer => produces,
                    Side::Consumer => chosen(&self.promises, which).is_some(),
                };
                if there {
                    self.listeners.push(id);
                    if let Some(n) = self.report {
                        self.add(format!("Progress{id}:{n}"));
                    }
                }
            }
            Op::OnCancel if produces => match self.end {
                None => {
                    self.cancelers.push(id);
                    self.tidy();
                }
                Some(_) => {
                    self.spent += 1;
                    if self.canceled {
                        self.add(format!("cancel{id}"));
                    }
                }
            },
            Op::Poll(which, waker) => {
                if let Some(i) = chosen(&self.promises, which) {
                    self.poll(i, waker);
                }
            }
            Op::ClonePromise(which) if chosen(&self.promises, which).is_some() => {
                self.promises.push(self.next);
                self.next += 1;
            }
            Op::DropPromise(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    self.drop_promise(i);
                    self.tidy();
                }
            }
            Op::Cancel(which) if chosen(&self.promises, which).is_some() => {
                self.settle_and_tell(End::Rejected(Why::Broken(BrokenKind::Canceled)));
            }
            Op::Peek(which) if chosen(&self.promises, which).is_some() => {
                let text = self.end.map_or("none".to_owned(), End::text);
                self.add(text);
            }
            Op::Then(which) => {
                if let Some(i) = chosen(&self.promises, which) {
                    self.then(i, id);
                }
            }
            Op::CancelDerived(which) => {
                if let Some(i) = chosen(&self.held, which) {
                    self.cancel_derived(self.held[i]);
                }
            }
            Op::DropDerived(which) => {
                if let Some(i) = chosen(&self.held, which) {
                    let derived = self.held.remove(i);
                    self.derived[derived].held = false;
                    self.tidy();
                }
            }
            _ => {}
        }
    }

    /// The outcome, those of derived promises, and what a function that waits for its turn has ready.
    fn living(&self) -> usize {
        let own = matches!(self.end, Some(End::Resolved(_)) if self.present);
        let derived = self.derived.iter().filter(|derived| derived.held && matches!(derived.end, Some(End::Resolved(_))));
        usize::from(own) + derived.count() + self.continuations().count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// G1 to G8: who is told what, and in which order; what a call returns; what lives, and for how long.
    #[test]
    fn is_as_the_model(ops in ops()) {
        let (mut real, mut model) = (Real::new(), Model::new());
        for (id, op) in ops.into_iter().enumerate() {
            real.act(op, id);
            model.act(op, id);
            prop_assert_eq!(real.log.text(), model.log.join(" "), "after {:?}", op);
            prop_assert_eq!(real.spent.get(), model.spent, "callbacks for a cancel that are gone, after {:?}", op);
            prop_assert_eq!(real.living(), model.living(), "values, after {:?}", op);
        }
        let lives = Arc::clone(&real.lives);
        drop(real);
        prop_assert_eq!(Arc::strong_count(&lives), 1, "values that nobody can reach");
    }
}
