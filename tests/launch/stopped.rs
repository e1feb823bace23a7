//! A launch that is told to stop at once.

use std::process::Child;
use std::time::Duration;

use super::{Running, folder, sim, wait_for};

/// The processes that a process has started and that still run.
fn children(of: u32) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|process| stat(*process).is_some_and(|(state, parent)| parent == of && state != 'Z')).collect()
}

/// State and parent of a process; `None` where there is none.
fn stat(process: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn interrupt(child: &Child) {
    // SAFETY: a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) }, 0);
}

#[test]
fn a_second_ctrl_c_leaves_no_node_behind() {
    let folder = folder();
    for time in 0..2 {
        let launch =
            Running::start(sim(folder.path(), &["launch", "parity.toml", "--rounds", "100", "--out", "stopped"]));
        wait_for("nodes", || children(launch.0.id()).len() >= 3);
        // Round 0 begins after five seconds, and is long. A node would fail now, were the one of the launch before it
        // still there.
        std::thread::sleep(Duration::from_secs(8));
        let nodes = children(launch.0.id());
        interrupt(&launch.0);
        std::thread::sleep(Duration::from_millis(500));
        interrupt(&launch.0);
        let output = launch.output();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{told}");
        assert!(told.contains("finishing the round; press Ctrl-C again to stop at once"), "{told}");
        assert!(!told.contains("has failed"), "time {time}: {told}");
        wait_for("the end of the nodes", || nodes.iter().all(|node| stat(*node).is_none_or(|(state, _)| state == 'Z')));
    }
}
