//! What the doctor says of a folder, of this machine and of devices.

use std::process::Command;

use super::{Place, told};

#[test]
fn a_folder_and_the_operations_of_a_device_are_sound() {
    let place = Place::new();
    std::fs::create_dir(place.path("bucket")).unwrap();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let printed = place.succeed(&format!("doctor --bucket bucket --device cpu-bf16 --vectors {vectors}"));
    let lines: Vec<&str> = printed.lines().collect();
    for what in ["run", "write", "put if absent", "replace if unchanged", "clock", "delete", "memory", "disk"] {
        let line = lines.iter().find(|line| line.starts_with(&format!("| {what} ")));
        assert!(line.is_some_and(|line| line.contains("| ok ")), "{what}: {printed}");
    }
    assert!(printed.contains("the CPU's bits") && printed.contains("loss differs by"), "{printed}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("| vectors ")).count(), 2, "{printed}");
    let left = std::fs::read_dir(place.path("bucket")).unwrap().count();
    assert_eq!(left, 0, "nothing is left");
}

#[test]
fn what_is_missing_is_a_problem_with_something_to_do() {
    let place = Place::new();
    let output = place.sim("doctor --bucket nowhere --device cuda:0 --vectors .");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(told(&output).contains("error: 2 problems; a node would not run here"), "{}", told(&output));
    let problem = |what: &str| printed.lines().find(|line| line.starts_with(what) && line.contains("| PROBLEM | "));
    assert!(problem("| bucket ").is_some_and(|line| line.contains("`sim genesis`")), "{printed}");
    assert!(problem("| device ").is_some(), "{printed}");
    let output = place.sim("doctor --vectors .");
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stdout).contains("no folder llama_*"));
}

/// The soft limit is raised by the program itself, so only the hard one counts.
#[cfg(unix)]
#[test]
fn only_a_hard_limit_of_open_files_is_a_problem() {
    let place = Place::new();
    for (limit, code, verdict) in [("-Sn 64", 0, "| ok "), ("-n 64", 1, "| PROBLEM | raise the hard limit")] {
        let script = format!("ulimit {limit}; exec \"$0\" doctor");
        let arguments = ["-c", &script, env!("CARGO_BIN_EXE_sim")];
        let output = Command::new("sh").args(arguments).current_dir(place.path("")).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = printed.lines().find(|line| line.starts_with("| open files "));
        assert!(line.is_some_and(|line| line.contains(verdict)), "{limit}: {printed}{}", told(&output));
        assert_eq!(output.status.code(), Some(code), "{limit}: {printed}");
    }
}
