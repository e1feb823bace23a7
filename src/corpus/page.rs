//! The numbers that identify pages.

/// Number of a page of the training data.
pub type PageId = u64;
