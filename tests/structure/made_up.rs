//! The resolver on made-up files.

use std::collections::BTreeSet;

use crate::tree::{Tree, upward};

#[test]
fn names_are_followed_to_their_files() {
    let tree = Tree::new([
        ("lib.rs", "//! | [`outer`] | a |\n//! | [`inner`] | b |\npub mod inner;\npub mod outer;\npub type Uid = u16;"),
        ("outer.rs", "use crate::inner::{self, Deep as D, thing::{Other, self}}; fn f() { inner::g(); }"),
        (
            "inner/mod.rs",
            "mod deep; pub mod thing; pub use deep::Deep; use std::io; pub struct Own; fn f() { thing::f(); }",
        ),
        ("inner/deep.rs", "use super::Own; // use crate::outer::A;\nconst S: &str = \"crate::outer::B\";"),
        ("inner/thing.rs", "#[cfg(test)]\nmod tests { use crate::outer::C; } fn f(x: crate::Uid) {}"),
        ("inner/tests.rs", "use crate::outer::D;"),
    ]);
    let arrows = tree.arrows();
    let expected = [
        ("inner", "inner::deep"),
        ("inner", "inner::thing"),
        ("inner::deep", "inner"),
        ("inner::thing", ""),
        ("outer", "inner"),
        ("outer", "inner::deep"),
        ("outer", "inner::thing"),
    ];
    assert_eq!(arrows, expected.map(|(from, to)| (from.to_string(), to.to_string())).into());
    assert_eq!(tree.circles(), [vec!["inner/deep.rs".to_string(), "inner/mod.rs".to_string()]].into());
    let order = ["outer", "inner"].map(str::to_string);
    assert_eq!(upward(&tree, &order), BTreeSet::new());
    let reversed = ["inner", "outer"].map(str::to_string);
    assert_eq!(upward(&tree, &reversed), [("outer.rs".to_string(), "inner".to_string())].into());
}

#[test]
fn modules_inside_of_a_file_speak_for_it() {
    let tree = Tree::new([
        ("a.rs", "mod cuda { use super::Watch; use super::super::b::X; fn f() { if x { } } } use crate::c::Y;"),
        ("b.rs", "fn f<'a>(x: &'a str) { let c = '\"'; crate::c::g('\\''); }"),
        ("c.rs", "const R: &str = r#\"use crate::a::Z; \"#; fn f(self) { self.x; }"),
    ]);
    let expected = [("a", "b"), ("a", "c"), ("b", "c")];
    assert_eq!(tree.arrows(), expected.map(|(from, to)| (from.to_string(), to.to_string())).into());
}
