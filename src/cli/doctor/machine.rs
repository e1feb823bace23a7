//! What this machine gives a process: open files, memory, disk.

use std::path::Path;

use super::Finding;
use crate::cli::check::si;
use crate::cli::limits;

/// Fewer open files than this do not suffice for a store's connections, pages and logs.
const FEWEST_FILES: u64 = 128;
/// Fewer than this may run out where a corpus has many shards.
const FEW_FILES: u64 = 1024;
/// Less memory or disk than this is too little for any but the smallest models.
const LITTLE: u64 = 1 << 30;

/// What the node that is to run here needs, if a run says so.
pub struct Needs {
    /// Bytes of the host's memory.
    pub memory: u64,
    /// Bytes of disk, while a state replaces the one before.
    pub disk: u64,
    /// The scenario's name.
    pub run: String,
}

/// Looks at the machine.
pub fn examine(state: &Path, needs: Option<&Needs>, findings: &mut Vec<Finding>) {
    findings.push(files(limits::open_files()));
    findings.push(memory(limits::free_memory(), needs));
    findings.push(disk(state, needs));
}

fn files(limit: Option<u64>) -> Finding {
    let what = "open files";
    let remedy = "raise the hard limit: `ulimit -Hn`, LimitNOFILE= of a service, --ulimit nofile= of a container";
    match limit {
        None => Finding::ok(what, "no limit is known"),
        Some(limit) if limit < FEWEST_FILES => Finding::problem(what, format!("{limit} at most"), remedy),
        Some(limit) if limit < FEW_FILES => Finding::warning(what, format!("{limit} at most"), remedy),
        Some(limit) => Finding::ok(what, format!("{limit} at most")),
    }
}

fn memory(free: Option<u64>, needs: Option<&Needs>) -> Finding {
    let what = "memory";
    let Some(free) = free else { return Finding::ok(what, "the system does not say") };
    let found = format!("{} free", si(free as f64, "B"));
    match needs {
        Some(Needs { memory, run, .. }) if *memory > free => Finding::problem(
            what,
            format!("{found}; a peer of {run} takes {}", si(*memory as f64, "B")),
            "free some, take a larger machine, or run nodes on a device with memory of its own",
        ),
        Some(Needs { memory, run, .. }) => {
            Finding::ok(what, format!("{found}; a peer of {run} takes {}", si(*memory as f64, "B")))
        }
        None if free < LITTLE => Finding::warning(what, found, "`sim plan SCENARIO` says what a peer takes"),
        None => Finding::ok(what, found),
    }
}

fn disk(state: &Path, needs: Option<&Needs>) -> Finding {
    let what = "disk";
    let remedy = "name another folder with --state, or free some space";
    // A state's folder is made when a node starts.
    let there = state.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    if let Err(error) = tempfile::tempfile_in(there) {
        let cause = gauntlet::words::plain(&error.to_string());
        return Finding::problem(what, format!("{}: no file can be made: {cause}", there.display()), remedy);
    }
    let Some(free) = limits::free_disk(there) else { return Finding::ok(what, "the system does not say") };
    let found = format!("{} free in {}", si(free as f64, "B"), there.display());
    match needs {
        Some(Needs { disk, run, .. }) if *disk > free => {
            Finding::problem(what, format!("{found}; a state of {run} takes {}", si(*disk as f64, "B")), remedy)
        }
        Some(Needs { disk, run, .. }) => {
            Finding::ok(what, format!("{found}; a state of {run} takes {}", si(*disk as f64, "B")))
        }
        None if free < LITTLE => Finding::warning(what, found, remedy),
        None => Finding::ok(what, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn what_does_not_suffice_is_a_problem() {
        let needs = |memory, disk| Needs { memory, disk, run: "net".into() };
        assert_eq!(files(Some(64)).verdict, Verdict::Problem);
        assert_eq!(files(Some(256)).verdict, Verdict::Warning);
        assert_eq!(files(Some(4096)).verdict, Verdict::Ok);
        assert_eq!(memory(Some(1 << 32), Some(&needs(1 << 33, 0))).verdict, Verdict::Problem);
        assert_eq!(memory(Some(1 << 32), Some(&needs(1 << 31, 0))).verdict, Verdict::Ok);
        assert_eq!(memory(Some(1 << 29), None).verdict, Verdict::Warning);
        let here = tempfile::tempdir().unwrap();
        assert_eq!(disk(&here.path().join("not/yet"), Some(&needs(0, 1))).verdict, Verdict::Ok);
        if cfg!(target_os = "linux") {
            assert_eq!(disk(here.path(), Some(&needs(0, u64::MAX))).verdict, Verdict::Problem);
        }
    }
}
