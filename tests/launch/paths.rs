//! A launched run is the same run by every spelling of the paths that it names.

use std::path::Path;

use super::{done, refused};

#[test]
fn the_same_corpus_and_folder_by_other_names_are_the_same_run() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    let text: String = (0..2000).map(|line| format!("line {line} of a text that repeats itself\n")).collect();
    std::fs::write(at("text.txt"), &text).unwrap();
    std::fs::write(at("other.txt"), text.replace("line", "LINE")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::os::unix::fs::symlink("text.txt", at("link.txt")).unwrap();
    let words = |path: &str, out: &str| -> Vec<String> {
        let settings = ["three-peers", "--rounds", "2", "--set", "model.preset=nano", "--set", "corpus.kind=text"];
        let path = format!("corpus.path={path}");
        let rest = ["--set", &path, "--clock", "virtual", "--quiet", "--out", out];
        ["launch"].iter().chain(&settings).chain(&rest).map(ToString::to_string).collect()
    };
    let launch = |path: &str, out: &str| {
        let words = words(path, out);
        done(place.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
        std::fs::read_to_string(Path::new(&at("run")).join("rounds.csv")).unwrap()
    };
    let first = launch("text.txt", "run");
    assert_eq!(first.lines().count(), 3, "{first}");
    let whole = at("text.txt");
    for (path, out) in
        [("./text.txt", "run"), ("folder/../text.txt", "./run/"), (&whole, "run"), ("link.txt", &at("run"))]
    {
        assert!(launch(path, out) == first, "{path} {out}");
    }
    let words = words("other.txt", "run");
    let (code, told) = refused(place.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(2), "{told}");
    assert!(told.ends_with("error: run: it holds another run; give another --out\n"), "{told}");
}
