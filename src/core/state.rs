//! The state of a promise whose types are not known, and its transitions.
//!
//! Nothing foreign runs in this file, and nothing of the user's is cloned or dropped: what has to be dropped is handed out.

use std::any::Any;
use std::mem;
use std::panic::Location;
use std::sync::Arc;

use super::callbacks::Callbacks;
use super::flavor::Flavor;
use super::note::{Note, Site};
use super::progress::{Event, Reports, ReportsOf};
use super::raw::{Body, Callback, CloneFn, Content, Fill, Kinds, Lent, Own, Ptr, Source};
use super::trampoline;
use crate::broken::{Broken, BrokenKind};
use crate::list::{Key, Taken};

/// A promise whose types are not known.
pub(crate) type AnyPromise<F> = Ptr<State<F>>;

/// A promise that crosses threads if its flavor does, whatever its types.
pub(crate) type AnySource<F> = Source<State<F>>;

/// Where a promise is, to itself. The order counts: an error need not be reported from `Seen` on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Pending,
    Resolved,
    /// Nothing has looked at the error yet.
    Rejected,
    /// Rejected, and something has looked at the error.
    Seen,
    /// Rejected in a way that need not be reported, here or at the end of a chain.
    Excused,
    /// Rejected by a cancel: excused as well.
    Canceled,
}

/// What a promise follows beside others, or while its place is taken: one continuation of a source.
pub struct Link<F: Flavor> {
    pub(crate) source: AnyPromise<F>,
    pub(crate) key: Key,
    /// Only the follower ever knew the source: it is canceled with the follower in any case.
    pub(crate) private: bool,
    /// Whether the source counts on a cancel from here.
    pub(crate) claims: bool,
}

/// Where callbacks and continuations run, if not on the thread that settles or registers: takes the promise there.
pub(crate) type Executor<F> = dyn Fn(AnySource<F>) + Send + Sync;

/// What few promises have.
pub(super) struct Rare<F: Flavor> {
    pub(super) links: Vec<Link<F>>,
    /// How many links there may be before those are looked for that have delivered.
    crowd: usize,
    pub(super) reports: Option<Box<dyn Reports>>,
    pub(super) executor: Option<Arc<Executor<F>>>,
    /// The promise is on its way to the executor.
    pub(super) posted: bool,
    /// Why the library rejected it, if its kind and origin do not say all; or why it is spoiled.
    broken: Option<Broken>,
}

/// As many links never get in each other's way.
const FEW: usize = 8;

impl<F: Flavor> Default for Rare<F> {
    fn default() -> Self {
        Rare { links: Vec::new(), crowd: FEW, reports: None, executor: None, posted: false, broken: None }
    }
}

/// The state of a promise, whatever its types.
pub struct State<F: Flavor> {
    /// The number of those that may still take the outcome: promises, and continuations.
    pub(super) rights: u32,
    /// The number of `Deferred`s.
    pub(super) producers: u32,
    /// The thread that does what there is to do. All others append, and leave it to that one. 0 if there is none.
    pub(super) lender: u32,
    phase: Phase,
    pub(super) content: Content,
    /// Why the library rejected it, where no error has been made yet.
    kind: BrokenKind,
    pub(super) marks: u8,
    pub(super) callbacks: Callbacks<Self, Rare<F>>,
    rejected_at: Site,
}

/// The source in the place counts on a cancel from here.
const CLAIMS: u8 = 1;
/// It cancels the sources that it does not need any more, however it was settled.
const CANCELS: u8 = 2;
/// It leaves its sources as soon as its outcome is unwanted.
pub(super) const IDLES: u8 = 4;
/// Something stands in its room.
pub(super) const ROOM: u8 = 8;
/// It has an executor.
const EXECUTOR: u8 = 16;
/// Its outcome has to be dropped or, if it is an error that nothing saw, reported.
pub(super) const DROPS: u8 = 32;
/// Those of few promises.
pub(super) const RARE_MARKS: u8 = CANCELS | IDLES | ROOM | EXECUTOR;

impl<F: Flavor> Body for State<F> {
    type Number = F::Number;

    fn content(&mut self) -> &mut Content {
        &mut self.content
    }

    fn is_void(&self) -> bool {
        self.callbacks.is_void()
    }

    fn has_room(&self) -> bool {
        self.is(ROOM)
    }

    fn fills_place(&self) -> bool {
        match self.content {
            Content::Outcome => self.is(DROPS),
            content => content == Content::Follows,
        }
    }

    fn set_drops(&mut self) {
        self.marks |= DROPS;
    }
}

/// How one consumer gets the outcome.
pub(super) enum Take {
    /// The outcome itself.
    Last(Own),
    /// A clone of it, to be made as its lender.
    Copy(CloneFn, Lent),
    /// There is none to be had: [`State::spoiled`] says why.
    Spoiled,
}

impl<F: Flavor> State<F> {
    pub(super) fn new() -> Self {
        State {
            rights: 1,
            producers: 1,
            lender: 0,
            phase: Phase::Pending,
            content: Content::Empty,
            kind: BrokenKind::Abandoned,
            marks: 0,
            callbacks: Callbacks::NONE,
            rejected_at: Site::UNKNOWN,
        }
    }

    /// A promise that is settled from the beginning, without a producer.
    pub(super) fn settled(resolved: bool, origin: &'static Location<'static>) -> Self {
        let mut state = State { producers: 0, ..Self::new() };
        let _fill = state.settle(resolved, Note { excused: false, rejected_at: Site::at(origin) });
        state
    }

    #[inline(always)]
    pub(super) fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    #[inline(always)]
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending)
    }

    pub(super) fn is_canceled(&self) -> bool {
        matches!(self.phase, Phase::Canceled)
    }

    #[inline(always)]
    pub(super) fn is_lent(&self) -> bool {
        self.lender != 0
    }

    // Settling.

    /// Settles a pending promise that follows nothing in its place: the caller fills it before the visit ends.
    pub(super) fn settle(&mut self, resolved: bool, note: Note) -> Fill {
        self.phase = match resolved {
            true => Phase::Resolved,
            false if note.excused => Phase::Excused,
            false => Phase::Rejected,
        };
        self.rejected_at = note.rejected_at;
        self.content.fill()
    }

    /// Settles a pending promise with an end that the library made. Its error is made when it is needed, of `broken` if that is given.
    pub(super) fn reject_with(&mut self, kind: BrokenKind, broken: Option<Broken>) {
        self.phase = match kind {
            BrokenKind::Canceled => Phase::Canceled,
            BrokenKind::LoopClosed => Phase::Excused,
            BrokenKind::Panicked => Phase::Rejected,
            // It may come to nothing while it is unwanted.
            _ if !self.is_wanted() => Phase::Excused,
            _ => Phase::Rejected,
        };
        self.kind = kind;
        self.marks |= DROPS;
        if broken.is_some() {
            self.callbacks.make_rare().broken = broken;
        }
    }

    /// What the error of an end of the library's own is made of.
    pub(super) fn take_broken(&mut self, origin: &'static Location<'static>) -> Broken {
        let broken = self.callbacks.rare_mut().and_then(|rare| rare.broken.take());
        broken.unwrap_or_else(|| Broken::new(self.kind, origin))
    }

    /// Making the error has panicked.
    pub(super) fn spoil(&mut self, broken: Broken) {
        self.content = Content::Spoiled;
        self.callbacks.make_rare().broken = Some(broken);
    }

    /// Why there is no outcome to be had.
    pub(super) fn spoiled(&self) -> Option<Broken> {
        let rare = self.callbacks.rare().filter(|_| self.content == Content::Spoiled)?;
        rare.broken.clone()
    }

    // Running elsewhere.

    /// Whether there is something to do that runs at the executor alone.
    pub(super) fn is_bound(&self, kinds: Kinds, rare: &Rare<F>) -> bool {
        (!self.is_pending() && kinds.has(Kinds::OBSERVER | Kinds::CONTINUATION)) || rare.has_events()
    }

    /// Whether the outcome waits for its callbacks to run at the executor.
    pub(super) fn awaits_executor(&self) -> bool {
        self.has_executor() && self.callbacks.rare().is_some_and(|rare| self.is_bound(self.callbacks.kinds(), rare))
    }

    #[inline(always)]
    pub(super) fn has_executor(&self) -> bool {
        self.is(EXECUTOR)
    }

    /// Gives a new promise an executor. It has no producer then.
    pub(super) fn set_executor(&mut self, executor: Arc<Executor<F>>) {
        self.marks |= EXECUTOR;
        self.callbacks.make_rare().executor = Some(executor);
        self.producers = 0;
    }

    /// The way to the executor, which the caller takes.
    pub(super) fn post(&mut self) -> Option<Arc<Executor<F>>> {
        self.set_posted(true);
        self.callbacks.rare()?.executor.clone()
    }

    /// Whether the promise is on its way to its executor.
    pub(super) fn set_posted(&mut self, posted: bool) {
        if let Some(rare) = self.callbacks.rare_mut() {
            rare.posted = posted;
        }
    }

    // Observing.

    /// The observers are about to be shown the outcome: one of `done` does not see an error.
    pub(super) fn see_by_observers(&mut self) {
        if self.is_unseen() && self.callbacks.kinds().has(Kinds::SEES_ERRORS) {
            self.see();
        }
    }

    pub(super) fn observers(&self) -> usize {
        self.callbacks.observers().count()
    }

    /// What can no longer run or be of use: cancelers, observers, listeners, the last report.
    pub(super) fn take_useless(&mut self) -> (Vec<Callback<Self>>, Option<Box<dyn Any>>) {
        let mut callbacks = self.callbacks.take_cancelers();
        if self.is_pending() {
            return (callbacks, None);
        }
        if matches!(self.content, Content::Nothing | Content::Spoiled) {
            callbacks.extend(self.callbacks.take_one(Kinds::OBSERVER));
            callbacks.append(&mut self.callbacks.take_observers());
        }
        let deserted = self.is_deserted();
        let reports = self.callbacks.rare_mut().and_then(|rare| match deserted {
            true => rare.reports.take().map(|reports| Box::new(reports) as Box<dyn Any>),
            false => rare.reports.as_mut()?.take_listeners().map(|listeners| listeners.into_any()),
        });
        (callbacks, reports)
    }

    // Consuming.

    /// The continuations, with their rights, of a promise that may have several. While the outcome is cloned for them, the caller lends.
    pub(super) fn take_continuations(&mut self) -> Option<Taken<Callback<Self>>> {
        let (continuations, count) = self.callbacks.take_continuations()?;
        self.rights -= count;
        self.see();
        Some(continuations)
    }

    /// The one waker of a promise without lists, which ends the loan: such a promise has no executor, so no other thread lends it.
    #[inline(always)]
    pub(super) fn take_waker(&mut self) -> Option<Callback<Self>> {
        self.lender = 0;
        self.callbacks.take_last()
    }

    /// The one continuation of a promise without lists, with its right. It ends the loan.
    pub(super) fn take_continuation(&mut self) -> Option<Callback<Self>> {
        self.lender = 0;
        self.rights -= 1;
        self.see();
        self.callbacks.take_last()
    }

    /// What is known of the error.
    pub(super) fn note(&self) -> Note {
        Note { excused: self.phase >= Phase::Excused, rejected_at: self.rejected_at }
    }

    /// Whether there is nothing to be taken now.
    pub(super) fn waits(&self) -> bool {
        !matches!(self.content, Content::Outcome | Content::Spoiled) || self.is_lent() || self.awaits_executor()
    }

    /// Uses up one right, unless there is nothing to be taken yet, and says how. A copy is made as the lender, and its right is used up with
    /// the loan.
    pub(super) fn take(&mut self) -> Option<Take> {
        if self.waits() {
            return None;
        }
        self.see();
        match (self.content, self.callbacks.clone_fn()) {
            (Content::Outcome, Some(clone)) if self.rights > 1 => {
                self.lender = trampoline::this_thread();
                return Some(Take::Copy(clone, self.content.lend()));
            }
            _ => self.rights -= 1,
        }
        Some(if self.content == Content::Outcome { Take::Last(self.content.take()) } else { Take::Spoiled })
    }

    /// Takes the outcome for the only reference, if it is here and nothing was ever registered that is still here: then no thread lends it,
    /// as a lender has a reference, too.
    pub(super) fn take_alone(&mut self) -> Option<Own> {
        if !matches!(self.content, Content::Outcome) || !self.callbacks.is_void() {
            return None;
        }
        self.rights = 0;
        Some(self.content.take())
    }

    /// Makes the caller the lender of an outcome that is here, without using up a right.
    pub(super) fn peek(&mut self) -> Option<Lent> {
        if self.waits() || self.content != Content::Outcome {
            return None;
        }
        self.see();
        self.lender = trampoline::this_thread();
        Some(self.content.lend())
    }

    /// Ends a promise that did not take the outcome. With `cancel` an error that is here is none that was missed, and the last one cancels
    /// what is pending.
    pub(super) fn drop_right(&mut self, cancel: bool) -> bool {
        self.rights -= 1;
        if cancel {
            self.see();
        }
        let cancels = cancel && self.rights == 0 && self.is_pending();
        if cancels {
            self.reject_with(BrokenKind::Canceled, None);
        }
        cancels
    }

    // What is known of the error.

    /// Something looks at the outcome, whatever it is.
    pub(super) fn see(&mut self) {
        if self.is_unseen() {
            self.phase = Phase::Seen;
        }
    }

    /// Whether it is rejected, and nothing looked at the error, though something should.
    #[inline(always)]
    pub(super) fn is_unseen(&self) -> bool {
        matches!(self.phase, Phase::Rejected)
    }

    /// The line that rejected it, if that is known.
    pub(super) fn rejected_at(&self) -> Option<&'static Location<'static>> {
        self.rejected_at.get()
    }

    // What is the case.

    pub(super) fn state(&self) -> crate::state::State {
        use crate::state::State as Public;
        match self.phase {
            Phase::Pending => Public::Pending,
            Phase::Resolved => Public::Resolved,
            Phase::Rejected | Phase::Seen | Phase::Excused | Phase::Canceled => Public::Rejected,
        }
    }

    /// Whether a promise is still held, or a callback registered.
    pub(super) fn is_wanted(&self) -> bool {
        self.rights > 0
            || self.callbacks.kinds().has(Kinds::OBSERVER)
            || self.callbacks.rare().is_some_and(Rare::has_hearers)
    }

    /// No handle of either end is left that could show the outcome.
    pub(super) fn is_deserted(&self) -> bool {
        self.rights == 0 && self.producers == 0
    }

    /// Whether the outcome is left where nothing can ask for it, and has to be dropped or reported.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.is(DROPS) && self.is_deserted()
    }

    /// Whether a cancel can still come, here or at the end of a chain.
    pub(super) fn can_be_canceled(&self) -> bool {
        self.rights > self.callbacks.silent()
    }

    // Following.

    /// Has the source in the place count on a cancel from here.
    pub(super) fn set_claim(&mut self, claims: bool) {
        self.marks = if claims { self.marks | CLAIMS } else { self.marks & !CLAIMS };
    }

    /// Makes it an aggregate: it cancels the sources that it does not need, and leaves them when it is unwanted.
    pub(super) fn set_aggregate(&mut self) {
        self.marks |= CANCELS | IDLES;
    }

    /// Makes it cancel the sources that it does not need.
    pub(super) fn set_canceling(&mut self) {
        self.marks |= CANCELS;
    }

    pub(super) fn set_room(&mut self, room: bool) {
        self.marks = if room { self.marks | ROOM } else { self.marks & !ROOM };
    }

    pub(super) fn follows(&self) -> bool {
        self.content == Content::Follows || self.callbacks.rare().is_some_and(|rare| !rare.links.is_empty())
    }

    pub(super) fn has_claim(&self) -> bool {
        self.is(CLAIMS)
    }

    /// Whether its sources are canceled with it, if nothing else wants them.
    pub(super) fn cancels_sources(&self) -> bool {
        !self.is_pending() && (self.is_canceled() || self.is(CANCELS))
    }

    /// No source counts on a cancel from here any more.
    pub(super) fn drop_claims(&mut self) {
        self.set_claim(false);
        let links = self.callbacks.rare_mut().map(|rare| &mut rare.links);
        links.into_iter().flatten().for_each(|link| link.claims = false);
    }

    /// Whether what it follows may stand in the place of the outcome.
    pub(super) fn is_plain(&self) -> bool {
        self.callbacks.rare().is_none() && !self.is(CANCELS)
    }

    /// Whether a source counts on a cancel from here. On an aggregate it always may: that cancels what it does not need.
    pub(super) fn has_claims(&self) -> bool {
        let links = self.callbacks.rare().filter(|_| !self.is(CANCELS));
        self.is(CLAIMS) || links.is_some_and(|rare| rare.links.iter().any(|link| link.claims))
    }

    /// Whether a promise waits for this one: only then can it be part of a ring.
    pub(super) fn is_followed(&self) -> bool {
        self.callbacks.kinds().has(Kinds::CONTINUATION)
    }
}

impl<F: Flavor> State<F> {
    // Progress.

    /// The reports of type `P`, which is that of this promise.
    pub(super) fn reports<P: 'static>(&mut self) -> &mut ReportsOf<P> {
        let reports = self.callbacks.make_rare().reports.get_or_insert_with(|| Box::new(ReportsOf::<P>::new()));
        reports.as_any_mut().downcast_mut().expect("a promise has one type of progress")
    }

    /// Notes an event of progress. Gives back the report that it replaces, for the caller to drop.
    pub(super) fn add_event<P: 'static>(&mut self, event: Event<P>) -> Option<P> {
        let idle = self.is_pending() && !self.is_lent();
        self.reports::<P>().add(event, idle)
    }

    pub(super) fn has_events(&self) -> bool {
        self.callbacks.rare().is_some_and(Rare::has_events)
    }

    pub(super) fn reports_mut(&mut self) -> Option<&mut Box<dyn Reports>> {
        self.callbacks.rare_mut().and_then(|rare| rare.reports.as_mut())
    }
}

impl<F: Flavor> Rare<F> {
    /// Notes what the promise follows. Of a promise that goes on to follow others, the links to those that have delivered come out, once they
    /// could be as many as the others.
    pub(super) fn add_links(&mut self, links: Vec<Link<F>>) -> Vec<Link<F>> {
        let mut delivered = Vec::new();
        if self.links.is_empty() {
            self.links = links;
            return delivered;
        }
        if self.links.len() >= self.crowd {
            let (settled, pending) =
                mem::take(&mut self.links).into_iter().partition(|link| link.source.seems_settled());
            (delivered, self.links) = (settled, pending);
            self.crowd = FEW.max(2 * self.links.len());
        }
        self.links.extend(links);
        delivered
    }

    pub(super) fn has_events(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_events())
    }

    pub(super) fn has_listeners(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_listeners())
    }

    fn has_hearers(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_hearers())
    }
}
