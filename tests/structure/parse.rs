//! What a file imports: a small tokenizer, and a reader of use-trees and paths.

/// A path of segments, such as `crate::corpus::Corpus`.
pub type Segments = Vec<String>;

/// What a file says to other files.
#[derive(Default)]
pub struct Source {
    /// Name in this module, and the path that it stands for; globs have the name `*`.
    pub uses: Vec<(String, Segments)>,
    /// Paths in code.
    pub paths: Vec<Segments>,
}

/// Words and signs of Rust, without comments, strings and characters.
pub fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let peek = |at: usize| text.get(at).copied().unwrap_or('\0');
    while at < text.len() {
        let c = text[at];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if c == '/' && peek(at + 1) == '/' {
            while at < text.len() && text[at] != '\n' {
                at += 1;
            }
        } else if c == '"' {
            at += 1;
            while at < text.len() && text[at] != '"' {
                at += if text[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == 'r' && (peek(at + 1) == '"' || peek(at + 1) == '#') {
            let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
            at += 1 + hashes;
            if peek(at) == '"' {
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                at += 1;
                while at < text.len() && !text[at..].starts_with(&end) {
                    at += 1;
                }
                at += end.len();
            }
        } else if c == '\'' && (peek(at + 1) == '\\' || peek(at + 2) == '\'') {
            at += if peek(at + 1) == '\\' { 3 } else { 2 };
            while at < text.len() && text[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if is_word(c) {
            let start = at;
            while is_word(peek(at)) {
                at += 1;
            }
            tokens.push(text[start..at].iter().collect());
        } else if c == ':' && peek(at + 1) == ':' {
            tokens.push("::".to_string());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// The `use` lines and the paths of a file, without those for tests. A module inside of a file speaks for the file.
pub fn parse(tokens: &[String]) -> Source {
    let mut source = Source::default();
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token == word);
    let is_name = |at: usize| tokens.get(at).is_some_and(|token| token.starts_with(char::is_alphabetic));
    // Braces of modules inside of the file, by depth.
    let (mut depth, mut inner, mut at) = (0, Vec::new(), 0);
    while at < tokens.len() {
        let is_test = ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(i, word)| is(at + i, word));
        if is_test {
            // The item ends with `;`, or with the brace that closes its first one.
            let mut open = 0;
            at += 7;
            while at < tokens.len() {
                open += i32::from(is(at, "{")) - i32::from(is(at, "}"));
                at += 1;
                if open == 0 && (is(at - 1, ";") || is(at - 1, "}")) {
                    break;
                }
            }
        } else if is(at, "mod") && is(at + 2, "{") {
            depth += 1;
            inner.push(depth);
            at += 3;
        } else if is(at, "use") && (at == 0 || !is(at - 1, "+") && !is(at + 1, "<")) {
            let mut found = Vec::new();
            at = use_tree(tokens, at + 1, &mut Vec::new(), &mut found);
            found.iter_mut().for_each(|(_, path)| outward(path, inner.len()));
            source.uses.extend(found);
        } else if is_name(at) && is(at + 1, "::") {
            let mut path = vec![tokens[at].clone()];
            while is(at + 1, "::") && is_name(at + 2) {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            at += 1;
            outward(&mut path, inner.len());
            source.paths.push(path);
        } else {
            depth += usize::from(is(at, "{"));
            if is(at, "}") {
                inner.pop_if(|open| *open == depth);
                depth -= 1;
            }
            at += 1;
        }
    }
    source
}

/// Rewrites a path of a module inside of a file as the file itself would say it.
fn outward(path: &mut Segments, levels: usize) {
    for _ in 0..levels {
        if path[0] == "super" {
            path.remove(0);
            if path.is_empty() || path[0] != "super" {
                path.insert(0, "self".to_string());
            }
        }
    }
}

/// Reads a use-tree from `at` on, below `prefix`; returns what follows it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &mut Segments, found: &mut Vec<(String, Segments)>) -> usize {
    let length = prefix.len();
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        match word(at) {
            "{" => {
                at += 1;
                while !matches!(word(at), "}" | "") {
                    at = use_tree(tokens, at, prefix, found);
                    at += usize::from(word(at) == ",");
                }
                at += 1;
                break;
            }
            "*" => {
                found.push(("*".to_string(), prefix.clone()));
                at += 1;
                break;
            }
            "::" => at += 1,
            segment => {
                // `{self}` names the prefix.
                if segment != "self" || prefix.is_empty() {
                    prefix.push(segment.to_string());
                }
                at += 1;
                if word(at) != "::" {
                    let is_renamed = word(at) == "as";
                    let name = if is_renamed { word(at + 1) } else { &prefix[prefix.len() - 1] };
                    found.push((name.to_string(), prefix.clone()));
                    at += 2 * usize::from(is_renamed);
                    break;
                }
            }
        }
    }
    prefix.truncate(length);
    at
}
