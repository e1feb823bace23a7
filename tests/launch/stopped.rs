//! A launch that is told to stop at once, or is killed.

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

/// A launcher that is killed cannot tell its nodes anything: they see for themselves that it is gone.
#[test]
fn a_killed_launcher_leaves_no_node_behind() {
    for clock in ["real", "virtual"] {
        let folder = folder();
        let words = ["launch", "parity.toml", "--rounds", "400", "--clock", clock, "--out", "killed", "--quiet"];
        let mut launch = Running::start(sim(folder.path(), &words));
        wait_for("nodes", || children(launch.0.id()).len() >= 8);
        let nodes = children(launch.0.id());
        launch.0.kill().unwrap();
        launch.0.wait().unwrap();
        wait_for("the end of the nodes", || nodes.iter().all(|node| stat(*node).is_none_or(|(state, _)| state == 'Z')));
        let logs = folder.path().join("killed/nodes");
        let logs = std::fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
        let mut logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")).peekable();
        assert!(logs.peek().is_some());
        for log in logs {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(!said.contains("panicked"), "{}: {said}", log.display());
        }
    }
}
