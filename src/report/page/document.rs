//! The page itself: HTML, style and script, whole in one file or as parts that a server hands out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::words::GLOSSARY;

const BODY: &str = include_str!("assets/page.html");
const STYLE: &str = concat!(include_str!("assets/uplot/uPlot.min.css"), "\n", include_str!("assets/page.css"));
const SCRIPT: &str = concat!(
    "\"use strict\";\n/*! uPlot\n\n",
    include_str!("assets/uplot/LICENSE"),
    "*/\n",
    include_str!("assets/uplot/uPlot.iife.min.js"),
    "\n",
    include_str!("assets/numbers.js"),
    include_str!("assets/store.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/pictures.js"),
    include_str!("assets/grid.js"),
    include_str!("assets/board.js"),
    include_str!("assets/peer.js"),
    include_str!("assets/page.js"),
);

/// What the browser may do with a served page: load its parts from the same server, and nothing else.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";

/// Parts of a served page: paths, types and texts.
pub const PARTS: [(&str, &str, &str); 2] =
    [("/page.css", "text/css; charset=utf-8", STYLE), ("/page.js", "text/javascript; charset=utf-8", SCRIPT)];

/// The page that asks its server for the data.
pub fn served() -> String {
    let head = "<link rel=\"stylesheet\" href=\"page.css\"><script src=\"page.js\" defer></script>";
    html("Gauntlet", head, "")
}

/// The page as one file that holds its data, a JSON text. A browser runs no other script in it and fetches nothing.
pub fn whole(title: &str, data: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    // The data is text to the browser, which never runs it; `<` could end it.
    let data = data.replace('<', "\\u003c");
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let head = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\"><style>{STYLE}</style>");
    let tail = format!("<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>\n");
    html(title, &head, &tail)
}

fn html(title: &str, head: &str, tail: &str) -> String {
    let words = GLOSSARY.map(|(word, meaning)| format!("<dt>{}</dt><dd>{}</dd>", escaped(word), escaped(meaning)));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">{head}</head>\n<body>\n{}{tail}</body></html>\n",
        escaped(title),
        BODY.replace("<!--words-->", &words.concat())
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_the_one_that_its_notice_names() {
        let notice = include_str!("assets/uplot/README.md");
        let files = [
            ("uPlot.iife.min.js", include_str!("assets/uplot/uPlot.iife.min.js")),
            ("uPlot.min.css", include_str!("assets/uplot/uPlot.min.css")),
        ];
        for (name, text) in files {
            let digest = hex::encode(Sha256::digest(text));
            assert!(notice.contains(&format!("| `{name}` | `{digest}` |")), "{name}: {digest}");
        }
        assert!(SCRIPT.contains("uPlot (v1.6.32)") && notice.starts_with("# uPlot 1.6.32\n"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere_and_no_text_becomes_markup() {
        let page = whole("<b>", "{\"name\":\"</script><script>alert(1)\"}");
        assert!(page.contains("<title>&lt;b&gt;</title>") && !page.contains("<script>alert"));
        assert_eq!(page.matches("<script").count(), 2);
        for text in [&page, &served()] {
            let own = text.replace("http-equiv", "").replace("https://github.com/leeoniya/uPlot", "");
            assert!(!own.contains("http:") && !own.contains("https:") && !own.contains("//cdn"));
        }
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
        assert!(
            served().contains("<dt>loss score</dt><dd>how much a step along one peer's upload lowers the loss</dd>")
        );
    }
}
