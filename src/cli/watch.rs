//! `sim watch`: serves a page that draws a run as it goes on, from its folder or from a network's bucket.

mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gauntlet::report::page::Watched;
use gauntlet::runtime::{Run, bucket};

use super::collect::Collector;
use super::{UsageError, block_on, interrupt, say, told};
pub use server::{Page, USUAL};

/// Time between two looks into a bucket.
const EVERY: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Args {
    /// Run folder, or the bucket of a real network
    #[arg(value_name = "RUN|BUCKET")]
    place: String,
    /// Address and port of the page; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = USUAL)]
    at: std::net::SocketAddr,
}

/// Serves the page until Ctrl-C.
pub fn watch(args: Args) -> anyhow::Result<()> {
    let page = Page::bind(args.at, "--at")?;
    let stop = interrupt::on_stop();
    interrupt::say_nothing();
    match folder(&args.place)? {
        Some(folder) => {
            // A folder that cannot be read is told here, and not only in a browser.
            Watched::open(&folder)?;
            page.serve(&folder)?;
            say(format_args!("{}: {}; Ctrl-C ends it", folder.display(), page.url()));
            wait(&stop);
            Ok(())
        }
        None => follow(&args.place, &page, &stop),
    }
}

/// Waits for Ctrl-C.
pub fn wait(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
}

/// The run folder that a word names; `None` if it names a bucket.
fn folder(place: &str) -> anyhow::Result<Option<PathBuf>> {
    let path = Path::new(place);
    if place.contains("://") || path.join("genesis").is_file() {
        return Ok(None);
    }
    if path.join("manifest.json").exists() {
        return Ok(Some(path.to_path_buf()));
    }
    Err(UsageError(format!(
        "{place}: neither a run folder, which has a manifest.json, nor a bucket, which has a genesis; `sim run SCENARIO \
         --watch` starts a run with its page"
    ))
    .into())
}

/// Collects a network's rounds into a temporary folder and serves that.
fn follow(url: &str, page: &Page, stop: &AtomicBool) -> anyhow::Result<()> {
    let run = block_on(Run::read(bucket::open_patiently(url, false)?))?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().join(&run.scenario.name);
    let mut collector = Collector::open(&run.scenario, url, &root, "", true)?;
    page.serve(&root)?;
    say(format_args!("{url}: {}; Ctrl-C ends it", page.url()));
    let mut is_open = true;
    while !stop.load(Ordering::Relaxed) {
        if is_open {
            let step = block_on(collector.step(&run));
            page.tell(step.as_ref().err().map(|error| format!("The bucket cannot be read now: {}", told(error))));
            if collector.is_complete() {
                collector.close()?;
                is_open = false;
            }
        }
        for _ in 0..EVERY.as_millis() / LOOK.as_millis() {
            if !stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
            }
        }
    }
    Ok(())
}
