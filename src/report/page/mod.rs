//! A run as a page for a browser: its data, from a folder that may still be written, and the page that draws it.
//!
//! [`Watched`] reads a folder as it grows, [`Data`] and [`History`] are what the page draws, and [`document`] is the page. A
//! server hands out the parts on request; `report.html` holds all in one file.

mod about;
mod behaviours;
mod data;
pub mod document;
mod history;
mod kept;
mod numbers;
mod table;
mod watched;

pub use data::{Data, Held, Peers, Span};
pub use history::History;
pub use kept::Kept;
pub use watched::Watched;
