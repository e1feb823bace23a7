//! `report.html`: the tables and pictures of a run on one self-contained page.

use std::fmt::Write;

use super::tables::{Look, by_behaviour, by_operator, by_peer, equality, losses};
use super::{RunData, diverged, plots};
use crate::words::{GLOSSARY, counted};

const STYLE: &str = "body{font:15px/1.5 Helvetica,Arial,sans-serif;color:#282828;max-width:940px;margin:2em auto;padding:0 1em}\
                     pre{font:12.5px/1.35 Menlo,Consolas,monospace;overflow-x:auto}svg{max-width:100%;height:auto;display:block}\
                     h2{margin-top:2em;font-size:1.1em}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1.5em}\
                     dt{color:#6e6e6e}dd{margin:0;overflow-wrap:anywhere}";

/// Builds the page from pictures drawn before (by [`plots::all`]).
pub(super) fn page(run: &RunData, pictures: &[(String, String)]) -> String {
    let manifest = &run.manifest;
    let title = escaped(&format!("{}, seed {}", manifest.scenario.name, manifest.seed));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<p>{}</p>\n<dl>",
        escaped(&manifest.scenario.summary)
    );
    for (name, value) in facts(run) {
        let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    page += "</dl>\n";
    for found in diverged(run) {
        let _ = writeln!(page, "<p><strong>{}</strong></p>", escaped(&found.to_string()));
    }
    let mut tables = Vec::new();
    if !manifest.central {
        tables.push(("Who was paid, by behaviour", by_behaviour(run, Look::Terminal)));
        tables.extend(by_operator(run, Look::Terminal).map(|table| ("Who was paid, by operator", table)));
        tables.push(("Who was paid, by peer", by_peer(run, Look::Terminal)));
    }
    tables.push(("Held-out loss (nats per token)", losses(run, Look::Terminal)));
    for (name, table) in tables {
        let _ = write!(page, "<h2>{name}</h2>\n<pre>{}</pre>\n", escaped(&table));
    }
    page += "<h2>Pictures</h2>\n";
    for (_, svg) in pictures {
        page += svg;
    }
    page += "<h2>Words</h2>\n<dl>";
    for (word, meaning) in GLOSSARY {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escaped(word), escaped(meaning));
    }
    page + "</dl>\n</body></html>\n"
}

fn facts(run: &RunData) -> Vec<(&'static str, String)> {
    let manifest = &run.manifest;
    let unfinished = if manifest.finished { "" } else { " (unfinished)" };
    let mut facts = vec![
        ("rounds", format!("{} of {}{unfinished}", manifest.rounds_done, manifest.scenario.rounds)),
        ("parameters", plots::number(manifest.parameters as f64)),
        ("tokens aggregated a round", plots::number(manifest.tokens_per_round as f64)),
        ("a peer's upload", format!("{} bytes", plots::number(manifest.upload_bytes as f64))),
        (
            "real time",
            format!("{:.1} s, {}, {}", manifest.wall_seconds, counted(manifest.threads, "thread"), manifest.device),
        ),
        ("gauntlet", format!("{}, {} {}", manifest.version, manifest.target.arch, manifest.target.os)),
        ("digest", manifest.digest.map_or_else(|| "none yet".into(), |digest| digest.to_string())),
    ];
    facts.extend(equality(run).map(|equality| ("pay of equal honest peers", equality)));
    facts
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn one_page_holds_tables_and_pictures_and_no_markup_of_the_scenario() {
        let mut run = sample::copycat();
        run.manifest.scenario.name = "<script>".into();
        let page = page(&run, &plots::all(&run).unwrap());
        assert_eq!(page.matches("<svg ").count(), 8);
        assert!(page.contains("150 of 150") && page.contains("139,584") && page.contains("copycat of best"));
        assert!(page.contains("<dt>loss score</dt><dd>how much a step along one peer's upload lowers the loss</dd>"));
        assert!(!page.contains("<script"), "names are escaped");
        assert!(page.matches("http").count() == 8, "only the namespaces of the pictures");
    }
}
