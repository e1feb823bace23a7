//! Pictures of a run, as SVG: readable on a white page at 900 pixels, in colours safe for the colour-blind. No fonts are needed to
//! draw them.

mod canvas;
mod frame;
mod incentive;
mod loss;
mod palette;
mod peers;
mod series;
mod status;

pub use incentive::incentive;
pub use loss::loss;
pub use peers::{proof, rating};
pub use status::status;

use super::{ReportError, RunData};

impl series::Group<'_> {
    /// Label with the number of peers.
    fn name(&self) -> String {
        match self.peers.len() {
            1 => format!("{} (1 peer)", self.label),
            peers => format!("{} ({peers} peers)", self.label),
        }
    }
}

/// All pictures of a run: names of their files, and the SVG text.
pub fn all(run: &RunData) -> Result<Vec<(&'static str, String)>, ReportError> {
    Ok(vec![
        ("loss.svg", loss(&[run])?),
        ("incentive.svg", incentive(run)?),
        ("rating.svg", rating(run)?),
        ("proof.svg", proof(run)?),
        ("status.svg", status(run)?),
    ])
}
