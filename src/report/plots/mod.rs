//! Pictures of a run as SVG, for a white page of 900 pixels, in colours safe for the colour-blind. Drawing them needs
//! no fonts.

mod bytes;
pub(crate) mod canvas;
mod compare;
mod dots;
pub(crate) mod frame;
mod grid;
mod incentive;
mod loss;
pub(crate) mod palette;
mod peers;
mod series;
mod status;
mod work;

pub use bytes::bytes;
pub(super) use bytes::unit_of;
pub use canvas::stacked;
pub use compare::{compare, compared_losses, groups, name};
pub use dots::{Dots, Mark, dots};
pub(super) use frame::number;
pub use incentive::incentive;
pub(super) use loss::adamw;
pub use loss::{late_loss, loss};
pub use peers::columns;
pub(super) use series::quantile;
pub use status::status;
pub use work::work;

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

/// Files of the pictures that do not depend on the mechanism.
const OTHERS: [&str; 6] = ["loss", "loss-late", "incentive", "work", "status", "bytes"];

/// All pictures of a run: file names and SVG texts. A run of the baseline alone has only the loss.
pub fn all(run: &RunData) -> Result<Vec<(String, String)>, ReportError> {
    let named = |file: &str, svg: String| (format!("{file}.svg"), svg);
    let mut pictures = vec![named("loss", loss(run)?)];
    pictures.extend(late_loss(run)?.map(|svg| named("loss-late", svg)));
    if !run.manifest.central {
        pictures.push(named("incentive", incentive(run)?));
        pictures.extend(work(run)?.map(|svg| named("work", svg)));
        pictures.push(named("status", status(run)?));
        pictures.extend(bytes(run)?.map(|svg| named("bytes", svg)));
        for (file, svg) in columns(run)? {
            // A mechanism may give a number any name.
            let file = if OTHERS.contains(&file.as_str()) { format!("peers-{file}") } else { file };
            pictures.push(named(&file, svg));
        }
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::{files::replace, sample};

    /// `cargo test --lib pictures -- --ignored` draws invented runs of all sizes for a look.
    #[test]
    #[ignore = "writes pictures to a temporary folder, to be looked at"]
    fn pictures_to_look_at() {
        let folder = std::env::temp_dir().join("gauntlet-pictures");
        let write = |path: &Path, svg: &str| {
            println!("{} {} bytes", path.display(), svg.len());
            replace(path, svg.as_bytes()).unwrap();
        };
        let runs = [
            sample::copycat(),
            sample::network(250, 40, 2),
            sample::network(16, 20_000, 3),
            sample::network(3, 60, 4),
            sample::network(16, 150, 5),
        ];
        for run in &runs {
            for (file, svg) in all(run).unwrap() {
                write(&folder.join(&run.name).join(file), &svg);
            }
        }
        let mut again = runs[4].clone();
        (again.manifest.seed, again.manifest.scenario.seed) = (6, 6);
        again.rounds.iter_mut().for_each(|row| row.loss = row.loss.map(|loss| loss * 1.03));
        for (file, svg) in compare(&[&runs[0], &runs[3], &runs[4], &again]).unwrap() {
            write(&folder.join(file), &svg);
        }
    }
}
