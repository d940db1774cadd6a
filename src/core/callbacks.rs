//! The callbacks of a promise: none, one in place, or lists. Beside this file only the order of what a lender does asks which.

use super::raw::{Block, Body, Callback, CloneFn, Kinds};
use crate::broken::Broken;
use crate::list::{Key, List, Taken};

/// The callbacks of a promise, and, of a promise that needs it, its rare part: `R`.
pub(super) struct Callbacks<S: Body, R>(Option<Callback<S>>, std::marker::PhantomData<R>);

/// In the place of the one callback. Once there, it stays.
struct Lists<S: Body, R> {
    /// The kinds of the callbacks in the lists, and [`Kinds::LISTS`].
    kinds: Kinds,
    observers: Vec<Callback<S>>,
    cancelers: Vec<Callback<S>>,
    continuations: List<Callback<S>>,
    wakers: List<Callback<S>>,
    ready: Vec<Ready<S>>,
    /// The number of continuations that cannot cancel.
    silent: u32,
    /// Recorded by the first clone of a promise: with one consumer alone nothing is ever cloned.
    clone: Option<CloneFn>,
    rare: Option<Box<R>>,
}

/// A continuation, and what it gets once the loan has ended.
pub(super) type Ready<S> = (Callback<S>, Result<Block, Broken>);

/// For how many observers there is room to begin with.
const FEW: usize = 4;

impl<S: Body, R> Lists<S, R> {
    fn push(&mut self, callback: Callback<S>) -> Key {
        let kinds = callback.kinds();
        self.kinds.set(kinds, true);
        if kinds.has(Kinds::OBSERVER) {
            if self.observers.len() == self.observers.capacity() {
                self.grow();
            }
            self.observers.push(callback);
        } else if kinds.has(Kinds::CANCELER) {
            self.cancelers.push(callback);
        } else if kinds.has(Kinds::WAKER) {
            return self.wakers.push(callback);
        } else {
            self.silent += u32::from(callback.is_silent());
            return self.continuations.push(callback);
        }
        Key::DANGLING
    }

    /// Moves the observers to a place for twice as many. An allocator that keeps a list of blocks of each size takes longer to enlarge one:
    /// without this, eight callbacks take a tenth more.
    #[cold]
    fn grow(&mut self) {
        let mut more = Vec::with_capacity(FEW.max(2 * self.observers.len()));
        more.append(&mut self.observers);
        self.observers = more;
    }
}

impl<S: Body, R: Default + 'static> Callbacks<S, R> {
    pub(super) const NONE: Self = Callbacks(None, std::marker::PhantomData);

    #[inline(always)]
    fn lists(&self) -> Option<&Lists<S, R>> {
        self.0.as_ref().and_then(Callback::as_lists)
    }

    fn lists_mut(&mut self) -> Option<&mut Lists<S, R>> {
        self.0.as_mut().and_then(Callback::as_lists_mut)
    }

    fn make_lists(&mut self) -> &mut Lists<S, R> {
        if self.lists().is_none() {
            self.begin_lists();
        }
        self.lists_mut().expect("they have just been made")
    }

    #[inline(never)]
    fn begin_lists(&mut self) {
        let mut lists = Box::new(Lists::<S, R> {
            kinds: Kinds::LISTS,
            observers: Vec::new(),
            cancelers: Vec::new(),
            continuations: List::new(),
            wakers: List::new(),
            ready: Vec::new(),
            silent: 0,
            clone: None,
            rare: None,
        });
        // The key of the one callback stays good in its list. The key of one that has gone must name no other.
        let kinds = self.kinds();
        if !kinds.has(Kinds::WAKER) {
            lists.wakers.skip_first();
        }
        if !kinds.has(Kinds::CONTINUATION) {
            lists.continuations.skip_first();
        }
        if let Some(callback) = self.0.take() {
            lists.push(callback);
        }
        self.0 = Some(Callback::lists(lists));
    }

    pub(super) fn rare(&self) -> Option<&R> {
        self.lists().and_then(|lists| lists.rare.as_deref())
    }

    /// The rare part, if it is there.
    pub(super) fn rare_mut(&mut self) -> Option<&mut R> {
        self.lists_mut().and_then(|lists| lists.rare.as_deref_mut())
    }

    /// The rare part: from now on it is there.
    pub(super) fn make_rare(&mut self) -> &mut R {
        self.make_lists().rare.get_or_insert_default()
    }

    /// Whether nothing was ever registered that is still here.
    #[inline(always)]
    pub(super) fn is_void(&self) -> bool {
        self.0.is_none()
    }

    /// Whether nothing is registered, and there is no rare part.
    #[inline(always)]
    pub(super) fn is_idle(&self) -> bool {
        match self.lists() {
            None => self.is_void(),
            Some(lists) => lists.kinds == Kinds::LISTS && lists.rare.is_none(),
        }
    }

    /// Which kinds are registered, and whether there are lists of them.
    #[inline(always)]
    pub(super) fn kinds(&self) -> Kinds {
        match &self.0 {
            None => Kinds::NONE,
            Some(callback) => callback.as_lists::<Lists<S, R>>().map_or(callback.kinds(), |lists| lists.kinds),
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, callback: Callback<S>) -> Key {
        if self.is_void() {
            self.0 = Some(callback);
            return Key::FIRST;
        }
        self.push_to_lists(callback)
    }

    #[inline(never)]
    fn push_to_lists(&mut self, callback: Callback<S>) -> Key {
        self.make_lists().push(callback)
    }

    /// The key that the next continuation gets.
    pub(super) fn next_key(&mut self) -> Key {
        if self.0.is_none() { Key::FIRST } else { self.make_lists().continuations.next_key() }
    }

    /// The one callback, if it is of one of these kinds.
    #[inline(always)]
    pub(super) fn take_one(&mut self, kinds: Kinds) -> Option<Callback<S>> {
        if self.0.as_ref()?.kinds().has(kinds) { self.0.take() } else { None }
    }

    /// The one callback of a promise without lists.
    #[inline(always)]
    pub(super) fn take_last(&mut self) -> Option<Callback<S>> {
        debug_assert!(!self.kinds().has(Kinds::LISTS), "these are lists");
        self.0.take()
    }

    /// The observers of a promise that has lists of them.
    pub(super) fn take_observers(&mut self) -> Vec<Callback<S>> {
        let Some(lists) = self.lists_mut() else { return Vec::new() };
        lists.kinds.set(Kinds::OBSERVER | Kinds::SEES_ERRORS, false);
        std::mem::take(&mut lists.observers)
    }

    pub(super) fn take_cancelers(&mut self) -> Vec<Callback<S>> {
        let Some(lists) = self.lists_mut() else { return self.take_one(Kinds::CANCELER).into_iter().collect() };
        lists.kinds.set(Kinds::CANCELER, false);
        std::mem::take(&mut lists.cancelers)
    }

    /// The continuations of a promise that has lists of them, in the order of their registration, and their number.
    pub(super) fn take_continuations(&mut self) -> Option<(Taken<Callback<S>>, u32)> {
        let lists = self.lists_mut()?;
        lists.silent = 0;
        lists.kinds.set(Kinds::CONTINUATION, false);
        // No promise has more continuations than rights, which are as many as this number can count.
        let count = u32::try_from(lists.continuations.len()).unwrap_or(u32::MAX);
        Some((lists.continuations.take(), count))
    }

    /// Adds continuations to those that are to be served once the loan has ended.
    pub(super) fn add_ready(&mut self, mut ready: Vec<Ready<S>>) {
        let lists = self.make_lists();
        lists.ready.append(&mut ready);
        lists.kinds.set(Kinds::READY, !lists.ready.is_empty());
    }

    /// The tasks to wake and the continuations to serve, once the loan has ended.
    pub(super) fn take_ready(&mut self) -> (Taken<Callback<S>>, Vec<Ready<S>>) {
        let lists = self.make_lists();
        lists.kinds.set(Kinds::WAKER | Kinds::READY, false);
        (lists.wakers.take(), std::mem::take(&mut lists.ready))
    }

    fn has_one(&self, key: Key, kind: Kinds) -> bool {
        key == Key::FIRST && self.0.as_ref().is_some_and(|callback| callback.kinds().has(kind))
    }

    /// Takes out the waker of that key, if it is still here.
    pub(super) fn remove_waker(&mut self, key: Key) -> Option<Callback<S>> {
        if key == Key::DANGLING {
            return None;
        }
        if self.has_one(key, Kinds::WAKER) {
            return self.0.take();
        }
        let lists = self.lists_mut()?;
        let callback = lists.wakers.remove(key);
        lists.kinds.set(Kinds::WAKER, !lists.wakers.is_empty());
        callback
    }

    pub(super) fn waker_mut(&mut self, key: Key) -> Option<&mut std::task::Waker> {
        if self.has_one(key, Kinds::WAKER) {
            return self.0.as_mut()?.as_waker_mut();
        }
        self.lists_mut()?.wakers.get_mut(key)?.as_waker_mut()
    }

    /// Takes out the continuation of that key, if it is still here.
    pub(super) fn remove_continuation(&mut self, key: Key) -> Option<Callback<S>> {
        if self.has_one(key, Kinds::CONTINUATION) {
            return self.0.take();
        }
        let lists = self.lists_mut()?;
        let callback = lists.continuations.remove(key)?;
        lists.kinds.set(Kinds::CONTINUATION, !lists.continuations.is_empty());
        lists.silent -= u32::from(callback.is_silent());
        Some(callback)
    }

    /// Notes that no cancel will come through the continuation of that key, if it is still here.
    pub(super) fn silence(&mut self, key: Key) {
        if self.has_one(key, Kinds::CONTINUATION) {
            if let Some(callback) = &mut self.0 {
                callback.silence();
            }
        } else if let Some(lists) = self.lists_mut() {
            if let Some(callback) = lists.continuations.get_mut(key) {
                lists.silent += u32::from(!callback.is_silent());
                callback.silence();
            }
        }
    }

    /// How many continuations cannot cancel.
    pub(super) fn silent(&self) -> u32 {
        match &self.0 {
            None => 0,
            Some(callback) => self.lists().map_or(u32::from(callback.is_silent()), |lists| lists.silent),
        }
    }

    pub(super) fn clone_fn(&self) -> Option<CloneFn> {
        self.lists().and_then(|lists| lists.clone)
    }

    pub(super) fn set_clone_fn(&mut self, clone: CloneFn) {
        self.make_lists().clone = Some(clone);
    }

    pub(super) fn observers(&self) -> impl Iterator<Item = &Callback<S>> {
        let one = self.0.iter().filter(|callback| callback.kinds().has(Kinds::OBSERVER));
        one.chain(self.lists().into_iter().flat_map(|lists| &lists.observers))
    }

    pub(super) fn continuations(&self) -> impl Iterator<Item = &Callback<S>> {
        let one = self.0.iter().filter(|callback| callback.kinds().has(Kinds::CONTINUATION));
        one.chain(self.lists().into_iter().flat_map(|lists| lists.continuations.iter()))
    }

    pub(super) fn wakers(&self) -> impl Iterator<Item = &std::task::Waker> {
        let one = self.0.iter().filter_map(Callback::as_waker);
        one.chain(self.lists().into_iter().flat_map(|lists| lists.wakers.iter()).filter_map(Callback::as_waker))
    }
}
