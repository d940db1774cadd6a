//! What stands in the place of an outcome, and the rights to use it.

/// What stands in the place of the outcome. Only the methods of this type change it, and they hand out the rights to use the place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing yet.
    Empty,
    /// What the promise follows.
    Follows,
    Outcome,
    /// The outcome is gone: its last consumer has it, or it was dropped.
    Nothing,
    /// There is no outcome to be had: making the error panicked.
    Spoiled,
}

/// The right to fill the place, before the visit ends or as its lender.
#[must_use]
pub(in crate::core) struct Fill(());

/// The right to look at the outcome in its place, as its lender.
#[derive(Clone, Copy)]
pub(in crate::core) struct Lent(());

/// The right to move the outcome out of its place, or to drop it there.
#[must_use]
pub(in crate::core) struct Own(());

impl Content {
    pub(in crate::core) fn fill(&mut self) -> Fill {
        debug_assert!(matches!(self, Content::Empty), "a place is filled twice");
        *self = Content::Outcome;
        Fill(())
    }

    pub(in crate::core) fn lend(self) -> Lent {
        debug_assert!(matches!(self, Content::Outcome), "there is no outcome to lend");
        Lent(())
    }

    pub(in crate::core) fn take(&mut self) -> Own {
        debug_assert!(matches!(self, Content::Outcome), "there is no outcome to take");
        *self = Content::Nothing;
        Own(())
    }
}
