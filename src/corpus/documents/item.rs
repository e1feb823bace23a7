//! What reading a file yields, item by item.

use crate::corpus::error::DocumentError;
use crate::corpus::left_out::Nothing;

/// Something in a file.
pub enum Item {
    Text(String),
    Failed(DocumentError),
    /// No document, and no error.
    Nothing(Nothing),
}
