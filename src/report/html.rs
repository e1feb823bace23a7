//! `report.html`: the page of a run with its data in it, for a browser without a network.

use serde::Serialize;

use super::page::{Data, History, Kept, document};
use super::{BackdoorRow, RunData, SlotRow};

/// Most rounds and lines of peers in the file. They make some megabytes of it.
const MOST: (u64, u64) = (512, 32_000);

/// The data in the file.
#[derive(Serialize)]
struct Whole<'a> {
    data: Data<'a>,
    histories: Vec<History>,
}

/// Builds the page.
pub(super) fn page(run: &RunData, slots: &[SlotRow], backdoor: &[BackdoorRow]) -> Result<String, serde_json::Error> {
    let manifest = &run.manifest;
    let kept = Kept::of(run, slots, backdoor, MOST);
    let data = Data::all(&kept, 0);
    let text = serde_json::to_string(&Whole { data, histories: History::all(&kept) })?;
    Ok(document::whole(&format!("{}, seed {}", manifest.scenario.name, manifest.seed), &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_page_holds_the_run_and_no_markup_of_it() {
        let mut run = sample::copycat();
        run.manifest.scenario.name = "<script>".into();
        run.peers.iter_mut().for_each(|row| row.behaviour = row.behaviour.replace("best", "</script><img src=x>"));
        let page = page(&run, &[], &[]).unwrap();
        assert!(page.contains("150 of 150") && page.contains("139,584") && page.contains("copycat of"));
        assert!(page.contains("<dt>loss score</dt><dd>how much a step along one peer's upload lowers the loss</dd>"));
        assert_eq!((page.matches("<script").count(), page.matches("<img").count()), (2, 0), "names are escaped");
        assert!(page.contains("uid 13 of copycat-1: 150 of 150 rounds"), "its story");
    }

    #[test]
    fn the_page_of_a_long_run_is_bounded() {
        let run = sample::network(40, 3000, 2);
        let page = page(&run, &[], &[]).unwrap();
        assert!((1_000_000..6_000_000).contains(&page.len()), "{} bytes", page.len());
    }
}
