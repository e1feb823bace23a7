//! The table of many storms: which kinds of faults they had.

use super::batch::Row;
use super::fault::KINDS;
use crate::report::tables::Look;

/// How many storms each kind of fault struck, and how often in all.
pub fn of(rows: &[Row], look: Look) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(match look {
        Look::Terminal => comfy_table::presets::UTF8_FULL_CONDENSED,
        Look::Plain => comfy_table::presets::ASCII_MARKDOWN,
    });
    table.set_header(["fault", "storms", "struck"]);
    for (kind, name) in KINDS.iter().enumerate() {
        let storms = rows.iter().filter(|row| row.struck[kind] > 0).count();
        let struck: u64 = rows.iter().map(|row| row.struck[kind]).sum();
        table.add_row([name.to_string(), storms.to_string(), struck.to_string()]);
    }
    let broken = rows.iter().filter(|row| !row.broken.is_empty()).count();
    table.add_row(["all".into(), rows.len().to_string(), format!("{broken} broken")]);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(comfy_table::CellAlignment::Right));
    table.to_string()
}
