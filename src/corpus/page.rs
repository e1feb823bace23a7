//! The numbers that pages go by.

/// Number of a page of the training data.
pub type PageId = u64;
