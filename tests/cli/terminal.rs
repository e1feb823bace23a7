//! Output on terminals of all kinds and on a pipe: escape sequences only where they work, and no number cut in two.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::Command;

use super::{Place, told};

/// Runs a command on a terminal with this many columns; what the terminal got.
fn on_terminal(mut command: Command, columns: u16) -> String {
    let mut master = OpenOptions::new().read(true).write(true).open("/dev/ptmx").unwrap();
    let slave = slave_of(&master);
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call reads the structure.
    assert_eq!(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    let copy = |slave: &File| slave.try_clone().unwrap();
    command.stdin(copy(&slave)).stdout(copy(&slave)).stderr(slave);
    let mut child = command.spawn().unwrap();
    // The command holds the terminal open; reading ends when nobody does.
    drop(command);
    let (mut got, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read) = master.read(&mut part)
        && read > 0
    {
        got.extend(&part[..read]);
    }
    assert!(child.wait().unwrap().code().is_some());
    String::from_utf8(got).unwrap()
}

/// The other end of a terminal.
fn slave_of(master: &File) -> File {
    let mut name = [0; 64];
    // SAFETY: the calls take an open terminal, and a buffer and its length.
    unsafe {
        assert_eq!(libc::grantpt(master.as_raw_fd()), 0);
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0);
        assert_eq!(libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()), 0);
    }
    let name: Vec<u8> = name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    OpenOptions::new().read(true).write(true).open(String::from_utf8(name).unwrap()).unwrap()
}

/// `sim` on a terminal of this name; an empty `no_color` means that the user did not ask.
fn command(place: &Place, words: &str, name: Option<&str>, no_color: &str) -> Command {
    let mut command = place.command(words);
    command.env_remove("TERM").env_remove("CLICOLOR_FORCE").env("NO_COLOR", no_color);
    command.envs(name.map(|name| ("TERM", name)));
    command
}

/// Whether a text sets a colour or another look.
fn has_colours(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|next: char| next.is_ascii_digit() || next == ';').starts_with('m'))
}

/// Help, a wrong command line, a wrong scenario, a warning and a run.
const COMMANDS: [&str; 5] = [
    "--help",
    "walk",
    "check nothing.toml",
    "run net.toml --rounds 8 --out warned --set training.lr=100",
    "run net.toml --rounds 12 --out run",
];

#[test]
fn a_terminal_gets_no_escape_sequences_that_it_does_not_know_and_no_unwanted_colours() {
    let place = Place::new();
    let again = |place: &Place| ["run", "warned"].iter().for_each(|run| drop(std::fs::remove_dir_all(place.path(run))));
    for name in [None, Some(""), Some("dumb")] {
        for words in COMMANDS {
            let got = on_terminal(command(&place, words, name, ""), 100);
            assert!(!got.contains('\u{1b}') && !got.trim().is_empty(), "{name:?}, sim {words}: {got:?}");
        }
        again(&place);
    }
    for words in COMMANDS {
        let got = on_terminal(command(&place, words, Some("xterm-256color"), "1"), 100);
        assert!(!has_colours(&got) && !got.trim().is_empty(), "sim {words}: {got:?}");
    }
    assert!(has_colours(&on_terminal(command(&place, "--help", Some("xterm-256color"), ""), 100)));
    again(&place);
    for words in COMMANDS {
        let output = command(&place, words, Some("xterm-256color"), "").output().unwrap();
        let got = String::from_utf8(output.stdout.clone()).unwrap() + &told(&output);
        assert!(!got.contains('\u{1b}') && !got.contains('\r') && !got.trim().is_empty(), "sim {words}: {got:?}");
    }
}

#[test]
fn a_narrow_terminal_gets_lines_that_fit_it() {
    let place = Place::new();
    let got = on_terminal(command(&place, "run net.toml --out run", Some("xterm"), ""), 40);
    let plain = got.replace("\u{1b}[2K", "");
    assert!(!plain.contains('\u{1b}'), "{got:?}");
    let is_drawn = |line: &&str| line.starts_with("round ") || line.starts_with(['┌', '│', '╞', '└']);
    let drawn: Vec<&str> = plain.split(['\r', '\n']).filter(is_drawn).collect();
    for line in &drawn {
        assert!(line.chars().count() <= 40, "{line:?}");
    }
    assert!(drawn.iter().any(|line| line.contains("/40, loss 5.")), "progress in {got:?}");
    // Each column of the tables is somewhere.
    for title in ["final pay of one", "proof of computation", "rating mu", "failed", "AdamW", "difference"] {
        assert!(drawn.iter().any(|line| line.contains(title)), "{title} in {got}");
    }
}

#[test]
fn tables_of_all_commands_fit_the_terminal() {
    let place = Place::new();
    for (words, columns, titles) in [
        ("plan net.toml --device cpu", 70, vec!["memory of a peer", "cost of those held, USD", "link needed, Mbit/s"]),
        ("bench --preset nano --device cpu --pass-only --seconds 0", 60, vec!["nano on cpu"]),
        ("doctor", 76, vec!["what to do"]),
    ] {
        let got = on_terminal(command(&place, words, Some("xterm"), ""), columns);
        let drawn: Vec<&str> = got.lines().filter(|line| line.starts_with(['┌', '│', '╞', '└'])).collect();
        assert!(drawn.len() > 3, "sim {words}: {got}");
        for line in &drawn {
            assert!(line.trim_end().chars().count() <= columns.into(), "sim {words}: {line:?}");
        }
        for title in titles {
            assert!(drawn.iter().any(|line| line.contains(title)), "{title} in {got}");
        }
    }
    let listed = on_terminal(command(&place, "scenarios", Some("xterm"), ""), 60);
    assert!(
        listed.lines().count() > 15 && listed.lines().all(|line| line.trim_end().chars().count() <= 60),
        "{listed}"
    );
}
