//! Modules and their imports, followed to the files that define what is imported.

use std::collections::{BTreeMap, BTreeSet};

use crate::parse::{Segments, Source, parse, tokens};

/// Modules by path from the crate's root (`corpus::tokens`), each with its file and what it says.
pub struct Tree {
    pub files: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
}

impl Tree {
    /// Files by path below `src`, and their texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut tree = Self { files: BTreeMap::new(), sources: BTreeMap::new() };
        for (file, text) in texts {
            if file.ends_with("tests.rs") || file.contains("/tests/") {
                continue;
            }
            let stem = file.trim_end_matches(".rs");
            let stem = stem.strip_suffix("/mod").unwrap_or(stem);
            // A binary's root is not part of the library.
            let module = match stem {
                "lib" => String::new(),
                "main" => continue,
                stem => stem.replace('/', "::"),
            };
            tree.sources.insert(module.clone(), parse(&tokens(text)));
            tree.files.insert(module, file.to_string());
        }
        tree
    }

    /// The module whose file defines what `path`, written in `module`, names; `None` for other crates.
    fn definition(&self, module: &str, path: &[String], depth: usize) -> Option<String> {
        let mut at = module.to_string();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => at = parent(&at),
            first => {
                // A child module, or a name that the module imports.
                if !self.files.contains_key(&join(&at, first)) {
                    return self.named(&at, path, depth);
                }
                return self.walk(at, path, depth);
            }
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|segment| segment == "super") {
            at = parent(&at);
            rest = &rest[1..];
        }
        self.walk(at, rest, depth)
    }

    /// Goes down from module `at`.
    fn walk(&self, mut at: String, path: &[String], depth: usize) -> Option<String> {
        for (place, segment) in path.iter().enumerate() {
            let child = join(&at, segment);
            if !self.files.contains_key(&child) {
                return self.named(&at, &path[place..], depth).or(Some(at));
            }
            at = child;
        }
        Some(at)
    }

    /// What the first name of `path` stands for in `module` by its `use` lines.
    fn named(&self, module: &str, path: &[String], depth: usize) -> Option<String> {
        // Globs may lead in circles.
        if depth == 0 {
            return None;
        }
        let source = self.sources.get(module)?;
        let found = source.uses.iter().find(|(name, _)| *name == path[0]);
        let (_, target) = found?;
        let full: Segments = target.iter().chain(&path[1..]).cloned().collect();
        self.definition(module, &full, depth - 1)
    }

    /// From and to, by module; re-exports included, children's declarations not.
    pub fn arrows(&self) -> BTreeSet<(String, String)> {
        let mut arrows = BTreeSet::new();
        for (module, source) in &self.sources {
            let is_rooted = |path: &&Segments| matches!(&*path[0], "crate" | "super" | "self");
            let is_child = |path: &&Segments| self.files.contains_key(&join(module, &path[0]));
            let paths = source.paths.iter().filter(|path| is_rooted(path) || is_child(path));
            for path in source.uses.iter().map(|(_, path)| path).chain(paths) {
                if let Some(to) = self.definition(module, path, 16).filter(|to| to != module) {
                    arrows.insert((module.clone(), to));
                }
            }
        }
        arrows
    }

    /// Files that import one another, each circle in order.
    pub fn circles(&self) -> BTreeSet<Vec<String>> {
        let mut reach: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in self.arrows() {
            reach.entry(from).or_default().insert(to);
        }
        let from = |start: &String| {
            let (mut seen, mut left) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(next) = left.pop() {
                let new = reach.get(&next).into_iter().flatten().filter(|to| seen.insert((*to).clone()));
                left.extend(new.cloned());
            }
            seen
        };
        let all: BTreeMap<&String, BTreeSet<String>> = self.files.keys().map(|module| (module, from(module))).collect();
        let circle = |module: &String| {
            let others = all[module].iter().filter(|other| all[other].contains(module));
            let mut files: Vec<String> = others.map(|other| self.files[other].clone()).collect();
            files.sort();
            files
        };
        let mut circles: BTreeSet<Vec<String>> = all.keys().map(|module| circle(module)).collect();
        circles.retain(|circle| !circle.is_empty());
        circles
    }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_string() } else { format!("{module}::{name}") }
}

fn parent(module: &str) -> String {
    module.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_string())
}

/// Modules of the table in `lib.rs`, from the outside in.
pub fn table(lib: &str) -> Vec<String> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | ["));
    rows.filter_map(|row| Some(row.split_once('`')?.1.split_once('`')?.0.to_string())).collect()
}

/// Files that import a module further out in the table, and that module.
pub fn upward(tree: &Tree, table: &[String]) -> BTreeSet<(String, String)> {
    let top = |module: &str| module.split("::").next().unwrap_or_default().to_string();
    let place = |module: &str| table.iter().position(|name| *name == top(module));
    let mut arrows = tree.arrows();
    arrows.retain(|(from, to)| matches!((place(from), place(to)), (Some(from), Some(to)) if to < from));
    arrows.iter().map(|(from, to)| (tree.files[from].clone(), top(to))).collect()
}
