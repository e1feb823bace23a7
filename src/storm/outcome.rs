//! One storm: its course, and how it went.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::broken::Broken;
use super::course::Course;
use super::fault::{Fault, KINDS};
use super::field::Field;
use super::verdict;

/// Memory that looks like a folder, where a system has it: nothing in a storm outlives it.
const SHARED_MEMORY: &str = "/dev/shm";

/// How a storm went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub seed: u64,
    /// How often each kind of [`KINDS`] struck.
    pub struck: [u64; KINDS.len()],
    /// The faults that struck.
    pub met: Vec<usize>,
    pub broken: Vec<Broken>,
    /// Covers all that the nodes told.
    pub digest: String,
}

/// Runs one storm.
pub fn run(field: &Field, seed: u64, faults: Vec<Fault>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| attempt(field, seed, faults))).unwrap_or_else(|panic| Outcome {
        seed,
        struck: [0; KINDS.len()],
        met: Vec::new(),
        broken: vec![Broken { what: "no panic", detail: message(&*panic) }],
        digest: String::new(),
    })
}

fn attempt(field: &Field, seed: u64, faults: Vec<Fault>) -> Outcome {
    let in_memory = Path::new(SHARED_MEMORY);
    let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    let folder = folder.or_else(|_| tempfile::tempdir()).expect("a temporary folder can be made");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing of the system").block_on(async {
        let mut course = Course::new(field, seed, faults, folder.path());
        course.run().await;
        let broken = verdict::check(&mut course).await;
        let digest = verdict::digest(&course).to_string();
        course.stop().await;
        Outcome { seed, struck: course.weather.struck(), met: course.weather.met(), broken, digest }
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "without a message".into())
}
