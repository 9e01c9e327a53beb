//! Tables.

use super::inline::plain;

/// The rows of a table whose `{|` was read, each on a line with its cells apart by a tab. Tables within it are read as rows of it.
pub(super) fn rows<'m>(lines: &mut impl Iterator<Item = &'m str>) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut depth = 1;
    for line in lines {
        let line = line.trim();
        if line.starts_with("{|") {
            depth += 1;
            continue;
        }
        if line.starts_with("|}") {
            depth -= 1;
            if depth == 0 {
                break;
            }
            continue;
        }
        if line.starts_with("|-") {
            finish(&mut row, &mut rows);
            continue;
        }
        if let Some(caption) = line.strip_prefix("|+") {
            finish(&mut row, &mut rows);
            row.push(cell(caption));
            finish(&mut row, &mut rows);
            continue;
        }
        let (body, head) = match line.strip_prefix('|') {
            Some(body) => (body, false),
            None => match line.strip_prefix('!') {
                Some(body) => (body, true),
                // A cell goes on over lines.
                None => {
                    let more = plain(line.trim_start_matches(['*', '#', ':', ';']));
                    match row.last_mut() {
                        Some(last) if !more.is_empty() => {
                            if !last.is_empty() {
                                last.push(' ');
                            }
                            last.push_str(&more);
                        }
                        _ => {}
                    }
                    continue;
                }
            },
        };
        let cells = body.split("||");
        if head {
            row.extend(cells.flat_map(|cells| cells.split("!!")).map(cell));
        } else {
            row.extend(cells.map(cell));
        }
    }
    finish(&mut row, &mut rows);
    rows
}

fn finish(row: &mut Vec<String>, rows: &mut Vec<String>) {
    if row.iter().any(|cell| !cell.is_empty()) {
        rows.push(row.join("\t"));
    }
    row.clear();
}

/// A cell without its attributes: `align="right" | 3,020`.
fn cell(text: &str) -> String {
    let body = match text.split_once('|') {
        Some((attributes, body)) if attributes.contains('=') && !attributes.contains("[[") => body,
        _ => text,
    };
    plain(body)
}
