//! The items that reading a file yields.

use crate::corpus::error::DocumentError;
use crate::corpus::left_out::Nothing;

/// An item of a file.
pub enum Item {
    Text(String),
    Failed(DocumentError),
    /// Neither a document nor an error.
    Nothing(Nothing),
}
