//! Defects that tests plant to see that storms find them. Nothing of this is in a program: it is built for tests alone.

use std::cell::Cell;

/// A defect, and what a program with it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A payload is taken without a comparison with the record's digest.
    SkippedDigest,
    /// A record is put whether or not there is one.
    ReplacedRecord,
    /// A node's state is saved only half.
    HalfState,
    /// A validator believes after a stop that its model is still the newest.
    StaleState,
    /// A slot is paid twice.
    DoublePay,
    /// A call that shows up late is applied as if it were new.
    LateCall,
    /// A body shorter than announced is indexed to its announced end.
    ShortBody,
    /// After a state could not be written, a node waits for it for ever.
    FullDisk,
    /// A validator that cannot read the round's record takes its own for it.
    UnreadRecord,
    /// Objects out of date are never deleted.
    NeverDeletes,
    /// A checkpoint is put only half.
    HalfCheckpoint,
    /// A peer that makes the next round's pages ready trains on them too early.
    EarlyPages,
    /// A node that skips a void round goes on with the first model.
    VoidStep,
}

thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Whether this defect is planted in this thread.
pub fn is(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

/// Does something with a defect in this thread.
pub fn with<T>(defect: Defect, work: impl FnOnce() -> T) -> T {
    PLANTED.set(Some(defect));
    let done = work();
    PLANTED.set(None);
    done
}
